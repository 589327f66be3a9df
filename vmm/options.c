/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of mayfly-vmm, by one table of flags. See options.h. */
#include "vmm/options.h"

#include "vmm/base/check.h"
#include "vmm/base/option.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum option_kind {
	OPT_FLAG,
	OPT_STRING,
	OPT_U64,
	OPT_SIZE, /* a number from 1 */
	OPT_INT,
	OPT_LEVEL,
	OPT_LOG_FORMAT,
	OPT_ID,
	OPT_ACTION,
	OPT_LATER,
};

#define VMM_OPTIONS_SUMMARY "Run one microVM"
#define VMM_OPTIONS_STATUS                                                                         \
	"Exit status: 0 the guest powered off, rebooted, reset or panicked; 1 error; 3 triple "    \
	"fault; 4 KVM error; 148 forbidden system call; 149-157 fatal signal; 152 bad "            \
	"configuration; 153 bad argument."

#define AT(member) offsetof(struct vmm_options, member)

/* clang-format off */
static const struct option_row option_rows[] = {
	{"The API", NULL, OPTION_HEADING, 0, 0, NULL},
	{"api-sock", "PATH", OPT_STRING, AT(api_sock), 0, "serve the API on this Unix socket (default " VMM_OPTIONS_API_SOCK ")"},
	{"no-api", NULL, OPT_FLAG, AT(no_api), 0, "serve no API (needs --config-file)"},
	{"http-api-max-payload-size", "N", OPT_SIZE, AT(payload_size_max), 0, "largest body of a request in bytes (default 51200)"},
	{"The VM", NULL, OPTION_HEADING, 0, 0, NULL},
	{"config-file", "PATH", OPT_STRING, AT(config_file), 0, "configure and start from this JSON file"},
	{"restore", "PATH", OPT_STRING, AT(restore), 0, "load this state file and go on (needs --memory or --memory-handler)"},
	{"memory", "PATH", OPT_STRING, AT(restore_memory), 0, "the memory file that belongs to it"},
	{"prefetch", "PATH", OPT_STRING, AT(restore_prefetch), 0, "with --memory: a diff of an earlier clone, whose pages are brought before the guest runs"},
	{"memory-handler", "PATH", OPT_STRING, AT(restore_handler), 0, "socket of a userfaultfd handler that gives the memory instead"},
	{"fork-from", "PATH", OPT_STRING, AT(fork_from), 0, "be a child of the fork that is offered on this socket, and go on"},
	{"paused", NULL, OPT_FLAG, AT(restore_paused), 0, "with --restore or --fork-from: wait for PATCH /vm"},
	{"clock-realtime", NULL, OPT_FLAG, AT(restore_clock), 0, "with --restore or --fork-from: the guest's wall clock jumps to now"},
	{"force", NULL, OPT_FLAG, AT(restore_force), 0, "with --restore: also if this CPU lacks features that the guest uses"},
	{"id", "ID", OPT_ID, AT(id), 0, "instance id: 1 to 64 letters, digits or - (default anonymous-instance)"},
	{"metadata", "PATH", OPT_STRING, AT(metadata), 0, "JSON file with the first contents of the metadata service"},
	{"mmds-size-limit", "N", OPT_SIZE, AT(mmds_size_max), 0, "most metadata in bytes (default: as --http-api-max-payload-size)"},
	{"boot-timer", NULL, OPT_FLAG, 0, 0, "accepted: the boot timer is always there"},
	{"enable-pci", NULL, OPT_LATER, 0, 0, "not supported yet: virtio devices are on MMIO"},
	{"The log and metrics", NULL, OPTION_HEADING, 0, 0, NULL},
	{"log-path", "PATH", OPT_STRING, AT(log_path), 0, "log to this file or fifo instead of standard output"},
	{"level", "LEVEL", OPT_LEVEL, AT(log_level), 0, "Error, Warning, Info (default), Debug, Trace or Off"},
	{"module", "PREFIX", OPT_STRING, AT(log_module), 0, "log only from source paths that start so"},
	{"show-level", NULL, OPT_FLAG, AT(show_level), 0, "put the level into each log line"},
	{"show-log-origin", NULL, OPT_FLAG, AT(show_log_origin), 0, "put file and line into each log line"},
	{"log-format", "FORMAT", OPT_LOG_FORMAT, AT(log_json), 0, "text (default), or json: one object a line"},
	{"metrics-path", "PATH", OPT_STRING, AT(metrics_path), 0, "write metrics to this file or fifo"},
	{"Confinement", NULL, OPTION_HEADING, 0, 0, NULL},
	{"seccomp-filter", "PATH", OPT_STRING, AT(seccomp_filter), 0, "the system-call filters of this file, from 'mayfly seccomp compile'"},
	{"seccomp-log", NULL, OPT_FLAG, AT(seccomp_log), 0, "log denied system calls, and make them (for debugging only)"},
	{"seccomp-record", "PATH", OPT_STRING, AT(seccomp_record), 0, "the same, and note in this file which rules were used"},
	{"no-seccomp", NULL, OPT_FLAG, AT(no_seccomp), 0, "no system-call filters (for debugging only)"},
	{"landlock", "DIRS", OPT_STRING, AT(landlock), 0, "once the guest runs, files are opened only below these directories (a:b:c), or off. Default: none with --no-api, off otherwise"},
	{"For the jailer and supervisors", NULL, OPTION_HEADING, 0, 0, NULL},
	{"fds-from", "PATH", OPT_STRING, AT(fds_from), 0, "Unix socket of a launcher that sends descriptors, for paths fd:NAME"},
	{"start-time-us", "N", OPT_U64, AT(start_time_us), 0, "monotonic time at which the process was started"},
	{"start-time-cpu-us", "N", OPT_U64, AT(start_time_cpu_us), 0, "CPU time used by then"},
	{"parent-cpu-time-us", "N", OPT_U64, AT(parent_cpu_time_us), 0, "CPU time of the parent"},
	{"supervisor-fd", "N", OPT_INT, AT(supervisor_fd), 0, "seqpacket socket of `mayfly run`"},
	{"Print and exit", NULL, OPTION_HEADING, 0, 0, NULL},
	{"version", NULL, OPT_ACTION, 0, VMM_ACTION_VERSION, "the version"},
	{"snapshot-version", NULL, OPT_ACTION, 0, VMM_ACTION_SNAPSHOT_VERSION, "the version of the snapshot format"},
	{"describe-snapshot", "PATH", OPT_ACTION, AT(describe_snapshot), VMM_ACTION_DESCRIBE_SNAPSHOT, "what is in a state file, its version first"},
	{"describe-api", NULL, OPT_ACTION, 0, VMM_ACTION_DESCRIBE_API, "the endpoints of the API and their bodies"},
	{"describe-state", NULL, OPT_ACTION, 0, VMM_ACTION_DESCRIBE_STATE, "the state schema"},
	{"describe-seccomp", NULL, OPT_ACTION, 0, VMM_ACTION_DESCRIBE_SECCOMP, "the system-call rules"},
	{"describe-options", NULL, OPT_ACTION, 0, VMM_ACTION_DESCRIBE_OPTIONS, "these options, for the makers of man pages"},
	{"help", NULL, OPT_ACTION, 0, VMM_ACTION_HELP, "this"},
};
/* clang-format on */

static const char *option_words(const struct option_row *r)
{
	if (r->kind == OPT_LEVEL)
		return "Error Warning Info Debug Trace Off";
	return r->kind == OPT_LOG_FORMAT ? "text json" : NULL;
}

static const struct option_table option_table = {
	.program = "mayfly-vmm",
	.rows = option_rows,
	.count = NELEM(option_rows),
	.help_column = 34,
	.words = option_words,
};

void vmm_options_help(void)
{
	(void)printf("Usage: mayfly-vmm [OPTION]...\n"
		     "Runs one microVM, configured by the API on a Unix socket or by a file.\n");
	option_help(&option_table);
	(void)printf("\n" VMM_OPTIONS_STATUS "\n");
}

void vmm_options_describe(void)
{
	(void)printf("command\tmayfly-vmm\t" VMM_OPTIONS_SUMMARY "\t[OPTION]...\t\t"
		     "Runs one microVM, configured by the API on a Unix socket or by a "
		     "file.\t" VMM_OPTIONS_STATUS "\n");
	option_describe(&option_table);
}

static int option_number(
	const char *name, const char *text, uint64_t max, uint64_t *ret, struct err *e)
{
	if (option_u64(text, max, ret))
		return 0;
	return err_set(e, -EINVAL, "--%s: \"%s\" is not a number from 0 to %llu", name, text,
		(unsigned long long)max);
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
		o->action = (enum vmm_action)r->action;
	else if (r->kind == OPT_FLAG && r->offset)
		*(bool *)field = true;
	else if (r->kind == OPT_LATER && !o->not_supported)
		o->not_supported = r->name;
	if (!r->value)
		return 0;
	CHECK(value);
	switch ((enum option_kind)r->kind) {
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
	case OPT_LOG_FORMAT:
		*(bool *)field = strcmp(value, "json") == 0;
		if (*(bool *)field || strcmp(value, "text") == 0)
			return 0;
		return err_set(e, -EINVAL, "--log-format: \"%s\" is not text or json", value);
	case OPT_U64:
		return option_number(r->name, value, UINT64_MAX, (uint64_t *)(void *)field, e);
	case OPT_SIZE:
		rc = option_number(r->name, value, UINT32_MAX, (uint64_t *)(void *)field, e);
		if (rc == 0 && *(uint64_t *)(void *)field == 0)
			return err_set(e, -EINVAL, "--%s: 0 is not a number from 1 to %u", r->name,
				UINT32_MAX);
		return rc;
	case OPT_INT:
		rc = option_number(r->name, value, INT32_MAX, &number, e);
		if (rc == 0)
			*(int *)(void *)field = (int)number;
		return rc;
	case OPT_ACTION:
		*(const char **)(void *)field = value;
		return 0;
	case OPT_FLAG:
	case OPT_LATER:
		break;
	}
	return 0;
}

/* Rules that hold between flags. */
static int option_check(struct vmm_options *o, struct err *e)
{
	if (o->not_supported)
		return err_set(e, -EINVAL, "--%s: not supported by this version; leave it out",
			o->not_supported);
	if (o->restore && (o->config_file || !o->restore_memory == !o->restore_handler))
		return err_set(e, -EINVAL,
			"--restore: exactly one of --memory and --memory-handler is needed with "
			"it, "
			"and --config-file cannot be");
	if (o->restore_prefetch && !o->restore_memory)
		return err_set(e, -EINVAL, "--prefetch: it needs --restore and --memory");
	if (o->fork_from && (o->restore || o->config_file))
		return err_set(
			e, -EINVAL, "--fork-from: --restore and --config-file cannot be with it");
	if (!o->restore && (o->restore_memory || o->restore_handler || o->restore_force))
		return err_set(
			e, -EINVAL, "--memory, --memory-handler, --force: they need --restore");
	if (!o->restore && !o->fork_from && (o->restore_paused || o->restore_clock))
		return err_set(e, -EINVAL,
			"--paused, --clock-realtime: they need --restore or --fork-from");
	if (o->no_api && o->restore_paused)
		return err_set(e, -EINVAL, "--paused: nobody could resume it with --no-api");
	if (o->no_api && !o->config_file && !o->restore && !o->fork_from)
		return err_set(e, -EINVAL,
			"--no-api: the argument '--config-file' is required with it, but was not "
			"provided");
	if (o->no_seccomp && (o->seccomp_filter || o->seccomp_log || o->seccomp_record))
		return err_set(e, -EINVAL,
			"--no-seccomp: the argument '--%s' cannot be used with it; leave one out",
			o->seccomp_filter ? "seccomp-filter"
			: o->seccomp_log  ? "seccomp-log"
					  : "seccomp-record");
	if (o->seccomp_filter && o->seccomp_record)
		return err_set(e, -EINVAL,
			"--seccomp-record: it is about the built-in filters; leave "
			"'--seccomp-filter' out");
	if (o->mmds_size_max == 0)
		o->mmds_size_max = o->payload_size_max;
	return 0;
}

int vmm_options_parse(struct vmm_options *o, int argc, char **argv, struct err *e)
{
	*o = (struct vmm_options){
		.id = "anonymous-instance",
		.api_sock = VMM_OPTIONS_API_SOCK,
		.payload_size_max = 51200,
		.log_level = LOG_INFO,
		.supervisor_fd = -1,
	};
	for (int i = 1; i < argc; i++) {
		const char *value;
		const struct option_row *r = option_next(&option_table, argc, argv, &i, &value, e);
		int rc = r ? option_store(o, r, value, e) : -EINVAL;

		if (rc < 0)
			return rc;
		if (o->action != VMM_ACTION_RUN)
			return 0;
	}
	return option_check(o, e);
}
