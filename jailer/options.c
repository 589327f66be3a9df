/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of mayfly-jailer, by one table of flags. See options.h. */
#include "jailer/options.h"

#include "vmm/base/option.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum option_kind {
	OPT_FLAG,
	OPT_STRING,
	OPT_ID,
	OPT_UID,
	OPT_GID,
	OPT_CGROUP,
	OPT_CGROUP_VERSION,
	OPT_PARENT_CGROUP,
	OPT_LIMIT,
	OPT_PASS_FD,
	OPT_CLEANUP,
	OPT_ACTION,
};

#define OPTIONS_SUMMARY "Run a monitor in a jail"
#define OPTIONS_USAGE   "[OPTION]... [-- ARGUMENT...]"
#define OPTIONS_TEXT                                                                               \
	"Builds a jail around a monitor, with a root folder, namespaces, cgroups, limits and no "  \
	"privilege, and becomes the monitor in it. ARGUMENTs are the monitor's. Needs root."
#define OPTIONS_STATUS                                                                             \
	"Exit status: 1 if something failed; then nothing of the jail is left, or it is said. "    \
	"Otherwise the monitor's; with --daemonize or --new-pid-ns 0 once the monitor runs."

#define AT(member) offsetof(struct jailer_options, member)

/* clang-format off */
static const struct option_row option_rows[] = {
	{"The jail", NULL, OPTION_HEADING, 0, 0, NULL},
	{"id", "ID", OPT_ID, AT(id), 0, "1 to 64 letters, digits or -: names the jail and the VM"},
	{"exec-file", "PATH", OPT_STRING, AT(exec_file), 0, "the monitor; copied into the jail"},
	{"uid", "N", OPT_UID, AT(uid), 0, "user that the monitor becomes"},
	{"gid", "N", OPT_GID, AT(gid), 0, "group that the monitor becomes"},
	{"chroot-base-dir", "PATH", OPT_STRING, AT(chroot_base), 0, "where jails are, an existing folder (default /srv/jailer)"},
	{"Namespaces and processes", NULL, OPTION_HEADING, 0, 0, NULL},
	{"netns", "PATH", OPT_STRING, AT(netns), 0, "join this network namespace"},
	{"new-net-ns", NULL, OPT_FLAG, AT(new_net_ns), 0, "a network namespace of its own, empty"},
	{"new-pid-ns", NULL, OPT_FLAG, AT(new_pid_ns), 0, "a process namespace of its own; the monitor is its process 1"},
	{"new-user-ns", NULL, OPT_FLAG, AT(new_user_ns), 0, "a user namespace that knows only --uid and --gid"},
	{"daemonize", NULL, OPT_FLAG, AT(daemonize), 0, "a session of its own, standard input and output to /dev/null"},
	{"pass-fd", "N", OPT_PASS_FD, 0, 0, "leave descriptor N, 3 to 255, open; may be given more than once"},
	{"Limits", NULL, OPTION_HEADING, 0, 0, NULL},
	{"cgroup", "FILE=VALUE", OPT_CGROUP, 0, 0, "write this into the jail's cgroup; may be given more than once"},
	{"cgroup-version", "N", OPT_CGROUP_VERSION, 0, 0, "1 (default) or 2"},
	{"parent-cgroup", "PATH", OPT_PARENT_CGROUP, AT(parent_cgroup), 0, "cgroup that holds the jail's (default: name of the exec file)"},
	{"resource-limit", "NAME=N", OPT_LIMIT, 0, 0, "no-file (default 2048) or fsize; may be given more than once"},
	{"Instead of running", NULL, OPTION_HEADING, 0, 0, NULL},
	{"cleanup", "ID", OPT_CLEANUP, AT(id), JAILER_CLEANUP, "remove the jail of a VM that has ended, with all files in it"},
	{"version", NULL, OPT_ACTION, 0, JAILER_VERSION, "the version"},
	{"describe-options", NULL, OPT_ACTION, 0, JAILER_DESCRIBE_OPTIONS, "these options, for the makers of man pages"},
	{"help", NULL, OPT_ACTION, 0, JAILER_HELP, "this"},
};
/* clang-format on */

static const struct option_table option_table = {
	.program = "mayfly-jailer",
	.rows = option_rows,
	.count = NELEM(option_rows),
	.help_column = 28,
};

void jailer_options_help(void)
{
	(void)printf("Usage: mayfly-jailer " OPTIONS_USAGE "\n" OPTIONS_TEXT "\n");
	option_help(&option_table);
	(void)printf("\n" OPTIONS_STATUS "\n");
}

void jailer_options_describe(void)
{
	(void)printf("command\tmayfly-jailer\t" OPTIONS_SUMMARY "\t" OPTIONS_USAGE
		     "\t\t" OPTIONS_TEXT "\t" OPTIONS_STATUS "\n");
	option_describe(&option_table);
}

static int option_id(const char *id, struct err *e)
{
	size_t len = strlen(id),
	       good = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");

	if (len < 1 || len > JAILER_ID_MAX)
		return err_set(e, -EINVAL,
			"Invalid instance ID: Invalid len (%zu);  the length must be between 1 "
			"and %d",
			len, JAILER_ID_MAX);
	if (good < len)
		return err_set(e, -EINVAL,
			"Invalid instance ID: Invalid char (%c) at position %zu; it must be 1 to "
			"%d letters, digits or -",
			id[good], good, JAILER_ID_MAX);
	return 0;
}

/* An id that the system calls do not take for "leave it as it is", which is what the last one is. */
static int option_owner(const char *name, const char *text, uint32_t *ret, struct err *e)
{
	uint64_t v;

	if (!option_u64(text, UINT32_MAX - 1, &v))
		return err_set(e, -EINVAL, "Invalid %s: %s; --%s is a number from 0 to %u", name,
			text, name, UINT32_MAX - 1);
	*ret = (uint32_t)v;
	return 0;
}

/* FILE=VALUE, where FILE is a plain name of the form CONTROLLER.WHAT. */
static int option_cgroup(struct jailer_options *o, const char *text, struct err *e)
{
	struct jailer_cgroup c = {.file = text, .file_len = strcspn(text, "=")};

	if (o->cgroup_count == JAILER_CGROUPS_MAX)
		return err_set(e, -EINVAL, "--cgroup: \"%s\" is one too many; at most %d are taken",
			text, JAILER_CGROUPS_MAX);
	c.value = text + c.file_len + (text[c.file_len] == '=');
	if (text[c.file_len] != '=' || c.file_len == 0 || !*c.value || strlen(c.value) > 4095)
		return err_set(e, -EINVAL,
			"Invalid format for cgroups: %.200s; --cgroup wants FILE=VALUE, such as "
			"cpuset.cpus=0-3",
			text);
	c.controller_len = strcspn(text, ".");
	if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") <
			c.file_len ||
		c.file_len > 128 || c.controller_len == 0 || c.controller_len + 1 >= c.file_len ||
		text[c.controller_len + 1] == '.')
		return err_set(e, -EINVAL,
			"Cgroup invalid file: %.*s; it must be a controller's name, a dot and a "
			"name, such as cpuset.cpus",
			(int)MIN(c.file_len, 200), text);
	o->cgroups[o->cgroup_count++] = c;
	return 0;
}

/* A relative path of real names without spaces: it is one word of the jail's record. */
static int option_parent_cgroup(const char *text, struct err *e)
{
	for (const char *at = text;; at++) {
		size_t len = strcspn(at, "/");
		bool dots =
			(len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.');

		for (size_t i = 0; i < len; i++)
			dots = dots || (unsigned char)at[i] <= ' ' || at[i] == 127;
		if (len == 0 || dots || strlen(text) > 1024)
			return err_set(e, -EINVAL,
				"Parent cgroup path is invalid. Path should not be absolute or "
				"contain '..' or '.': --parent-cgroup \"%.200s\"; nor spaces, nor "
				"an empty name, nor more than 1024 characters",
				text);
		if (len > NAME_MAX)
			return err_set(e, -ENAMETOOLONG,
				"--parent-cgroup: the name \"%.32s...\" in the path has %zu "
				"characters; shorten it to at most %d",
				at, len, NAME_MAX);
		at += len;
		if (!*at)
			return 0;
	}
}

static int option_limit(struct jailer_options *o, const char *text, struct err *e)
{
	bool *has;
	uint64_t *value;
	const char *eq = strchr(text, '=');
	size_t len = strcspn(text, "=");

	if (!eq)
		return err_set(e, -EINVAL,
			"Invalid format for resources limits: %s; --resource-limit wants "
			"no-file=N or fsize=N",
			text);
	if (len == 7 && memcmp(text, "no-file", 7) == 0) {
		has = &o->has_no_file;
		value = &o->no_file;
	} else if (len == 5 && memcmp(text, "fsize", 5) == 0) {
		has = &o->has_fsize;
		value = &o->fsize;
	} else {
		return err_set(e, -EINVAL,
			"Invalid resource argument: %.*s; --resource-limit knows no-file and fsize",
			(int)MIN(len, 200), text);
	}
	if (!option_u64(eq + 1, UINT64_MAX - 1, value))
		return err_set(e, -EINVAL,
			"Invalid limit value for resource: %s; it is a number from 0 to %llu",
			eq + 1, (unsigned long long)UINT64_MAX - 1);
	*has = true;
	return 0;
}

static int option_pass_fd(struct jailer_options *o, const char *text, struct err *e)
{
	uint64_t fd;

	if (!option_u64(text, JAILER_PASS_FD_MAX, &fd) || fd < 3)
		return err_set(e, -EINVAL,
			"Invalid descriptor: %.200s; --pass-fd is a number from 3 to %d", text,
			JAILER_PASS_FD_MAX);
	o->pass_fd[fd] = true;
	return 0;
}

static int option_store(
	struct jailer_options *o, const struct option_row *r, const char *value, struct err *e)
{
	void *field = (char *)o + r->offset;

	switch ((enum option_kind)r->kind) {
	case OPT_FLAG:
		*(bool *)field = true;
		return 0;
	case OPT_CLEANUP:
	case OPT_ID:
		if (o->id)
			return err_set(e, -EINVAL,
				"The argument '--%s' was provided more than once, or --id together "
				"with --cleanup",
				r->name);
		if (r->kind == OPT_CLEANUP)
			o->action = (enum jailer_action)r->action;
		o->id = value;
		return option_id(value, e);
	case OPT_PARENT_CGROUP:
	case OPT_STRING:
		if (!*value)
			return err_set(e, -EINVAL, "--%s: \"\" is no path", r->name);
		*(const char **)field = value;
		return r->kind == OPT_STRING ? 0 : option_parent_cgroup(value, e);
	case OPT_UID:
		o->has_uid = true;
		return option_owner("uid", value, field, e);
	case OPT_GID:
		o->has_gid = true;
		return option_owner("gid", value, field, e);
	case OPT_CGROUP:
		return option_cgroup(o, value, e);
	case OPT_CGROUP_VERSION:
		if (strcmp(value, "1") != 0 && strcmp(value, "2") != 0)
			return err_set(e, -EINVAL,
				"%s is an invalid cgroup version specifier; --cgroup-version is 1 "
				"or 2",
				value);
		o->cgroup_version = value[0] == '1' ? 1 : 2;
		return 0;
	case OPT_LIMIT:
		return option_limit(o, value, e);
	case OPT_PASS_FD:
		return option_pass_fd(o, value, e);
	case OPT_ACTION:
		o->action = (enum jailer_action)r->action;
		return 0;
	}
	return 0;
}

/* Rules that hold between flags. */
static int option_check(const struct jailer_options *o, struct err *e)
{
	const char *missing = !o->id          ? "id"
			      : !o->exec_file ? "exec-file"
			      : !o->has_uid   ? "uid"
			      : !o->has_gid   ? "gid"
					      : NULL;

	if (o->action == JAILER_CLEANUP)
		return 0;
	if (missing)
		return err_set(e, -EINVAL, "The argument '--%s' is required, but was not provided.",
			missing);
	if (o->netns && o->new_net_ns)
		return err_set(e, -EINVAL,
			"--netns, --new-net-ns: a process has one network namespace; leave one of "
			"the two out");
	return 0;
}

int jailer_options_parse(struct jailer_options *o, int argc, char **argv, struct err *e)
{
	*o = (struct jailer_options){
		.chroot_base = "/srv/jailer",
		.cgroup_version = 1,
		.no_file = 2048,
	};
	for (int i = 1; i < argc; i++) {
		const struct option_row *r;
		const char *value;

		if (strcmp(argv[i], "--") == 0) {
			o->extra = argv + i + 1;
			o->extra_count = (size_t)(argc - i - 1);
			break;
		}
		r = option_next(&option_table, argc, argv, &i, &value, e);
		if (!r || option_store(o, r, value, e) < 0)
			return err_wrap(e, "Failed to parse arguments");
		if (o->action > JAILER_CLEANUP)
			return 0;
	}
	return option_check(o, e) < 0 ? err_wrap(e, "Failed to parse arguments") : 0;
}
