/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of mayfly-vmm, by one table of flags. See options.h. */
#include "vmm/options.h"

#include "vmm/base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_kind { OPT_FLAG, OPT_STRING, OPT_U64, OPT_INT, OPT_LEVEL, OPT_ID, OPT_ACTION };

struct option_row {
	const char *name;
	const char *value; /* what --help calls it, or NULL for a flag */
	enum option_kind kind;
	size_t offset;
	enum vmm_action action;
	const char *help;
};

#define AT(member) offsetof(struct vmm_options, member)

/* clang-format off */
static const struct option_row option_rows[] = {
	{"config-file", "PATH", OPT_STRING, AT(config_file), 0, "configure and boot from this JSON file"},
	{"no-api", NULL, OPT_FLAG, AT(no_api), 0, "serve no API socket (needs --config-file)"},
	{"id", "ID", OPT_ID, AT(id), 0, "instance id: 1 to 64 letters, digits or -"},
	{"log-path", "PATH", OPT_STRING, AT(log_path), 0, "log to this file or fifo instead of standard output"},
	{"level", "LEVEL", OPT_LEVEL, AT(log_level), 0, "Error, Warning, Info (default), Debug, Trace or Off"},
	{"module", "PREFIX", OPT_STRING, AT(log_module), 0, "log only from source paths that start so"},
	{"show-level", NULL, OPT_FLAG, AT(show_level), 0, "put the level into each log line"},
	{"show-log-origin", NULL, OPT_FLAG, AT(show_log_origin), 0, "put file and line into each log line"},
	{"metrics-path", "PATH", OPT_STRING, AT(metrics_path), 0, "write metrics to this file or fifo"},
	{"boot-timer", NULL, OPT_FLAG, 0, 0, "accepted: the boot timer is always there"},
	{"no-seccomp", NULL, OPT_FLAG, AT(no_seccomp), 0, "no system-call filters (for debugging only)"},
	{"start-time-us", "N", OPT_U64, AT(start_time_us), 0, "monotonic time at which the process was started"},
	{"start-time-cpu-us", "N", OPT_U64, AT(start_time_cpu_us), 0, "CPU time used by then"},
	{"parent-cpu-time-us", "N", OPT_U64, AT(parent_cpu_time_us), 0, "CPU time of the parent"},
	{"supervisor-fd", "N", OPT_INT, AT(supervisor_fd), 0, "seqpacket socket of `mayfly run`"},
	{"describe-state", NULL, OPT_ACTION, 0, VMM_ACTION_DESCRIBE_STATE, "print the state schema and exit"},
	{"describe-seccomp", NULL, OPT_ACTION, 0, VMM_ACTION_DESCRIBE_SECCOMP, "print the system-call rules and exit"},
	{"version", NULL, OPT_ACTION, 0, VMM_ACTION_VERSION, "print the version and exit"},
	{"help", NULL, OPT_ACTION, 0, VMM_ACTION_HELP, "print this and exit"},
};
/* clang-format on */

void vmm_options_help(void)
{
	(void)printf("Usage: mayfly-vmm --config-file PATH --no-api [OPTION]...\n"
		     "Boots one microVM and runs until it ends.\n\n");
	for (size_t i = 0; i < NELEM(option_rows); i++) {
		const struct option_row *r = &option_rows[i];
		char left[48];

		(void)snprintf(left, sizeof(left), "--%s%s%s", r->name, r->value ? " " : "",
			r->value ? r->value : "");
		(void)printf("  %-24s %s\n", left, r->help);
	}
	(void)printf(
		"\nExit status: 0 the guest powered off, rebooted, reset or panicked; 1 error; 3 "
		"triple fault;\n4 KVM error; 148 forbidden system call; 149-157 fatal signal; 152 "
		"bad configuration;\n153 bad argument.\n");
}

static const struct option_row *option_find(const char *name, size_t len)
{
	for (size_t i = 0; i < NELEM(option_rows); i++)
		if (strlen(option_rows[i].name) == len &&
			memcmp(option_rows[i].name, name, len) == 0)
			return &option_rows[i];
	return NULL;
}

static int option_parse_u64(
	const char *name, const char *text, uint64_t max, uint64_t *ret, struct err *e)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || v > max)
		return err_set(e, -EINVAL, "--%s: \"%s\" is not a number from 0 to %llu", name,
			text, (unsigned long long)max);
	*ret = v;
	return 0;
}

static bool option_id_ok(const char *id)
{
	size_t len = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");

	return len >= 1 && len <= 64 && id[len] == '\0';
}

static int option_store(
	struct vmm_options *o, const struct option_row *r, const char *value, struct err *e)
{
	char *field = (char *)o + r->offset;
	uint64_t number = 0;
	int rc;

	if (r->kind == OPT_ACTION)
		o->action = r->action;
	else if (r->kind == OPT_FLAG && r->offset)
		*(bool *)field = true;
	if (!r->value)
		return 0;
	CHECK(value);
	switch (r->kind) {
	case OPT_ID:
		if (!option_id_ok(value))
			return err_set(e, -EINVAL,
				"--id: Invalid instance ID: \"%s\"; it must be 1 to 64 letters, "
				"digits "
				"or -",
				value);
		o->id = value;
		return 0;
	case OPT_STRING:
		*(const char **)(void *)field = value;
		return 0;
	case OPT_LEVEL:
		o->has_log_level = true;
		if (log_level_parse(value, &o->log_level) == 0)
			return 0;
		return err_set(e, -EINVAL,
			"--level: \"%s\" is not one of Error, Warning, Info, Debug, Trace, Off",
			value);
	case OPT_U64:
		return option_parse_u64(r->name, value, UINT64_MAX, (uint64_t *)(void *)field, e);
	case OPT_INT:
		rc = option_parse_u64(r->name, value, INT32_MAX, &number, e);
		if (rc == 0)
			*(int *)(void *)field = (int)number;
		return rc;
	case OPT_FLAG:
	case OPT_ACTION:
		break;
	}
	return 0;
}

static int option_parse_one(struct vmm_options *o, char **argv, int argc, int *i, struct err *e)
{
	const char *arg = argv[*i], *eq = strchr(arg, '=');
	const struct option_row *r = NULL;
	const char *value = NULL;

	if (strncmp(arg, "--", 2) == 0)
		r = option_find(arg + 2, eq ? (size_t)(eq - arg) - 2 : strlen(arg + 2));
	if (!r)
		return err_set(
			e, -EINVAL, "Found argument '%s' which wasn't expected; see --help", arg);
	if (!r->value && eq)
		return err_set(e, -EINVAL, "--%s takes no value", r->name);
	if (r->value) {
		value = eq ? eq + 1 : (*i + 1 < argc ? argv[++*i] : NULL);
		if (!value)
			return err_set(e, -EINVAL,
				"The argument '--%s' requires a value, but none was supplied",
				r->name);
	}
	return option_store(o, r, value, e);
}

int vmm_options_parse(struct vmm_options *o, int argc, char **argv, struct err *e)
{
	*o = (struct vmm_options){
		.id = "anonymous-instance",
		.log_level = LOG_INFO,
		.supervisor_fd = -1,
	};
	for (int i = 1; i < argc; i++) {
		int rc = option_parse_one(o, argv, argc, &i, e);

		if (rc < 0)
			return rc;
		if (o->action != VMM_ACTION_RUN)
			return 0;
	}
	if (!o->config_file)
		return err_set(
			e, -EINVAL, "--config-file is missing: say what to boot, or see --help");
	if (!o->no_api)
		return err_set(e, -EINVAL,
			"this version serves no API socket yet: add --no-api to run from "
			"--config-file");
	return 0;
}
