/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of `mayfly run`. Files are looked at here, so that a typing error is answered
 * by its option's name and before anything has been created; the monitor checks again.
 */
#include "cli/run.h"

#include "cli/cli.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define STOP_TIMEOUT_S_MAX 86400u

enum {
	OPT_KERNEL = 256,
	OPT_RESTORE,
	OPT_RESTORE_MEMORY,
	OPT_FORK_OF,
	OPT_CLOCK_REALTIME,
	OPT_INITRD,
	OPT_DRIVE,
	OPT_ROOT,
	OPT_CPUS,
	OPT_MEMORY,
	OPT_CMDLINE,
	OPT_CMDLINE_REPLACE,
	OPT_ENTROPY,
	OPT_NO_ENTROPY,
	OPT_TIMELINE,
	OPT_STOP_TIMEOUT,
	OPT_LOG_LEVEL,
	OPT_LOG_PATH,
	OPT_VMM,
	OPT_NAME,
	OPT_JAIL,
	OPT_JAIL_DIR,
	OPT_JAIL_USER,
	OPT_JAIL_CGROUP,
	OPT_JAILER,
};

static const struct cli_option run_option_table[] = {
	{OPT_KERNEL, "kernel", "PATH", "@file", "vmlinux (ELF) or bzImage"},
	{OPT_RESTORE, "restore", "PATH", "@file",
		"instead of a kernel: go on from this snapshot's state file"},
	{OPT_RESTORE_MEMORY, "restore-memory", "PATH", "@file",
		"the memory file that belongs to it"},
	{OPT_FORK_OF, "fork-of", "VM", "@vm",
		"instead of a kernel: go on as a live fork of a VM that runs"},
	{OPT_CLOCK_REALTIME, "clock-realtime", NULL, NULL,
		"with --restore or --fork-of: the guest's wall clock jumps to now"},
	{OPT_INITRD, "initrd", "PATH", "@file", "initial RAM file system"},
	{OPT_ROOT, "root", "PATH[:ro]", "@file",
		"disk image that holds the root file system: the first disk, and root= on the "
		"kernel command line"},
	{OPT_DRIVE, "drive", "PATH[:ro]", "@file",
		"further disk, image or block device; may be repeated"},
	{OPT_CPUS, "cpus", "N", NULL, "vCPUs, 1 to 32 (1)"},
	{OPT_MEMORY, "memory", "SIZE", NULL, "MiB, or with M or G (256M)"},
	{OPT_CMDLINE, "cmdline", "TEXT", NULL, "appended to the default kernel command line"},
	{OPT_CMDLINE_REPLACE, "cmdline-replace", NULL, NULL,
		"--cmdline is used instead of the default"},
	{OPT_ENTROPY, "entropy", NULL, NULL, "virtio entropy device (the default)"},
	{OPT_NO_ENTROPY, "no-entropy", NULL, NULL, "no entropy device"},
	{OPT_NAME, "name", "NAME", NULL,
		"what 'mayfly ps' and the others call this VM: 1 to 64 letters, digits or - "
		"(run-PID)"},
	{OPT_TIMELINE, "timeline", NULL, NULL, "at the end, print when the VM reached which point"},
	{OPT_STOP_TIMEOUT, "stop-timeout", "S", NULL,
		"time a guest has to power off before it is stopped (10)"},
	{OPT_LOG_LEVEL, "log-level", "LEVEL", "Off Error Warning Info Debug Trace",
		"Off, Error, Warning, Info, Debug, Trace (Warning)"},
	{OPT_LOG_PATH, "log-path", "PATH", "@file", "log of the monitor (standard error)"},
	{OPT_VMM, "vmm", "PATH", "@file",
		"the monitor (mayfly-vmm beside this program or in PATH)"},
	{OPT_JAIL, "jail", NULL, NULL,
		"run the monitor in a jail of its own: no file but those named here, no network, "
		"no privilege; needs root"},
	{OPT_JAIL_DIR, "jail-dir", "PATH", "@file", "where jails are (" RUN_JAIL_DIR ")"},
	{OPT_JAIL_USER, "jail-user", "UID[:GID]", NULL,
		"who the monitor is in its jail (numbers that nobody else has)"},
	{OPT_JAIL_CGROUP, "jail-cgroup", "FILE=VALUE", NULL,
		"write this into the jail's cgroup, such as memory.max=512M; may be repeated"},
	{OPT_JAILER, "jailer", "PATH", "@file",
		"the jailer (mayfly-jailer beside this program or in PATH)"},
	CLI_OPTION_HELP,
};

/* Unlike strtoull: no sign, no leading space, no other base. *ret_rest is what follows. */
static bool number_parse(const char *s, uint64_t *ret, const char **ret_rest)
{
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	*ret = strtoull(s, &end, 10);
	*ret_rest = end;
	return errno == 0;
}

static int memory_parse(const char *s, uint64_t *ret_mib)
{
	static const struct {
		const char *name;
		uint64_t mib;
	} units[] = {{"", 1}, {"M", 1}, {"MiB", 1}, {"G", 1024}, {"GiB", 1024}};
	const char *unit;
	uint64_t n;

	if (number_parse(s, &n, &unit) && n > 0 && n <= (1u << 30)) {
		for (size_t i = 0; i < NELEM(units); i++) {
			if (strcasecmp(unit, units[i].name) == 0) {
				*ret_mib = n * units[i].mib;
				return CLI_OK;
			}
		}
	}
	return cli_usage("run",
		"--memory '%s': must be a number of MiB, or a number and M or G, "
		"for instance 256M",
		s);
}

static int cpus_parse(const char *s, uint32_t *ret)
{
	const char *rest;
	uint64_t n;

	if (!number_parse(s, &n, &rest) || *rest != '\0' || n < 1 || n > LAYOUT_VCPUS_MAX)
		return cli_usage(
			"run", "--cpus '%s': must be a number from 1 to %u", s, LAYOUT_VCPUS_MAX);
	*ret = (uint32_t)n;
	return CLI_OK;
}

static int stop_timeout_parse(const char *s, uint64_t *ret_ns)
{
	const char *rest;
	uint64_t secs, tenths = 0;

	if (!number_parse(s, &secs, &rest) || secs > STOP_TIMEOUT_S_MAX)
		goto bad;
	if (rest[0] == '.' && rest[1] >= '0' && rest[1] <= '9') {
		tenths = (uint64_t)(rest[1] - '0');
		rest += 2;
	}
	if (*rest != '\0')
		goto bad;
	*ret_ns = secs * CLOCK_NS_PER_S + tenths * (CLOCK_NS_PER_S / 10);
	return CLI_OK;
bad:
	return cli_usage("run",
		"--stop-timeout '%s': must be seconds, from 0 to %u, with at most "
		"one decimal",
		s, STOP_TIMEOUT_S_MAX);
}

/* Does fopen with mode work on path, and is it of a kind that can be read from the start? */
static int file_check(const char *option, const char *path, const char *mode, bool device_too)
{
	struct stat st;
	FILE *f;

	if (stat(path, &st) < 0)
		return cli_usage("run", "%s '%s': %s", option, path, strerror(errno));
	if (!S_ISREG(st.st_mode) && !(device_too && S_ISBLK(st.st_mode)))
		return cli_usage("run", "%s '%s': must be a regular file%s", option, path,
			device_too ? " or a block device" : "");
	if (S_ISREG(st.st_mode) && st.st_size == 0)
		return cli_usage("run", "%s '%s': the file is empty", option, path);
	f = fopen(path, mode);
	if (!f)
		return cli_usage("run", "%s '%s': %s%s", option, path, strerror(errno),
			*mode == 'r' && mode[1] == '+' ? "; append ':ro' to attach it read-only"
						       : "");
	(void)fclose(f);
	return CLI_OK;
}

/* PATH, PATH:ro or PATH:rw. A path that ends in ':ro' itself is written with the suffix. */
static int drive_add(struct run_options *o, const char *option, const char *arg, bool is_root)
{
	struct run_drive *d = &o->drives[o->drive_count];
	size_t len = strlen(arg);

	if (o->drive_count == RUN_DRIVES_MAX)
		return cli_usage(
			"run", "%s '%s': there are at most %u drives", option, arg, RUN_DRIVES_MAX);
	*d = (struct run_drive){.is_root = is_root};
	if (len >= 3 && (strcmp(arg + len - 3, ":ro") == 0 || strcmp(arg + len - 3, ":rw") == 0)) {
		d->is_read_only = arg[len - 1] == 'o';
		len -= 3;
	}
	if (len == 0 || len >= sizeof(d->path))
		return cli_usage("run", "%s '%s': the path is %s", option, arg,
			len == 0 ? "empty" : "too long");
	memcpy(d->path, arg, len);
	d->path[len] = '\0';
	o->drive_count++;
	return file_check(option, d->path, d->is_read_only ? "r" : "r+", true);
}

static int root_add(struct run_options *o, const char *arg)
{
	if (o->drive_count > 0 && o->drives[0].is_root)
		return cli_usage("run", "--root '%s': there can be only one root drive", arg);
	if (o->drive_count > 0)
		return cli_usage("run",
			"--root '%s': must come before --drive, since it is the "
			"guest's first disk",
			arg);
	return drive_add(o, "--root", arg, true);
}

static int jail_user_parse(const char *s, struct run_options *o)
{
	uint64_t uid, gid = UINT64_MAX;
	const char *rest = s;

	if (number_parse(s, &uid, &rest) && *rest == ':' && !number_parse(rest + 1, &gid, &rest))
		gid = UINT64_MAX;
	else if (*rest == '\0' && rest != s && gid == UINT64_MAX)
		gid = uid;
	if (rest == s || *rest != '\0' || uid >= UINT32_MAX || gid >= UINT32_MAX)
		return cli_usage("run",
			"--jail-user '%s': must be UID or UID:GID, numbers from 0 to %u", s,
			UINT32_MAX - 1);
	o->jail_uid = (uint32_t)uid;
	o->jail_gid = (uint32_t)gid;
	o->has_jail_user = true;
	return CLI_OK;
}

/* The jailer knows what a cgroup may be. */
static int jail_cgroup_add(struct run_options *o, const char *s)
{
	if (o->jail_cgroup_count == RUN_CGROUPS_MAX)
		return cli_usage(
			"run", "--jail-cgroup '%s': there are at most %u", s, RUN_CGROUPS_MAX);
	o->jail_cgroups[o->jail_cgroup_count++] = s;
	return CLI_OK;
}

static int log_level_check(const char *s)
{
	enum log_level level;

	if (log_level_parse(s, &level) == 0)
		return CLI_OK;
	return cli_usage("run",
		"--log-level '%s': must be Off, Error, Warning, Info, Debug or "
		"Trace",
		s);
}

static int jail_option_apply(struct run_options *o, int opt)
{
	switch (opt) {
	case OPT_JAIL:
		o->jail = true;
		return CLI_OK;
	case OPT_JAIL_DIR:
		o->jail_dir = optarg;
		return CLI_OK;
	case OPT_JAIL_USER:
		return jail_user_parse(optarg, o);
	case OPT_JAIL_CGROUP:
		return jail_cgroup_add(o, optarg);
	case OPT_JAILER:
		o->jailer_path = optarg;
		return CLI_OK;
	default:
		return CLI_USAGE;
	}
}

static int source_option_apply(struct run_options *o, int opt)
{
	switch (opt) {
	case OPT_KERNEL:
		o->kernel = optarg;
		return file_check("--kernel", optarg, "r", false);
	case OPT_RESTORE:
		o->restore = optarg;
		return file_check("--restore", optarg, "r", false);
	case OPT_RESTORE_MEMORY:
		o->restore_memory = optarg;
		return file_check("--restore-memory", optarg, "r", false);
	case OPT_FORK_OF:
		o->fork_of = optarg;
		return CLI_OK;
	case OPT_CLOCK_REALTIME:
		o->clock_realtime = true;
		return CLI_OK;
	default:
		return jail_option_apply(o, opt);
	}
}

/* What a machine is made of: a snapshot and a fork have it all. */
static int machine_option_apply(struct run_options *o, int opt)
{
	o->machine_given = true;
	switch (opt) {
	case OPT_INITRD:
		o->initrd = optarg;
		return file_check("--initrd", optarg, "r", false);
	case OPT_DRIVE:
		return drive_add(o, "--drive", optarg, false);
	case OPT_ROOT:
		return root_add(o, optarg);
	case OPT_CPUS:
		return cpus_parse(optarg, &o->vcpu_count);
	case OPT_MEMORY:
		return memory_parse(optarg, &o->memory_mib);
	case OPT_CMDLINE:
		o->cmdline = optarg;
		return CLI_OK;
	case OPT_CMDLINE_REPLACE:
		o->cmdline_replaces = true;
		return CLI_OK;
	case OPT_ENTROPY:
	case OPT_NO_ENTROPY:
		o->entropy = opt == OPT_ENTROPY;
		return CLI_OK;
	default:
		return CLI_USAGE;
	}
}

/* One option, a flat switch. */
static int option_apply(struct run_options *o, int opt)
{
	switch (opt) {
	case OPT_INITRD:
	case OPT_DRIVE:
	case OPT_ROOT:
	case OPT_CPUS:
	case OPT_MEMORY:
	case OPT_CMDLINE:
	case OPT_CMDLINE_REPLACE:
	case OPT_ENTROPY:
	case OPT_NO_ENTROPY:
		return machine_option_apply(o, opt);
	case OPT_TIMELINE:
		o->timeline = true;
		return CLI_OK;
	case OPT_STOP_TIMEOUT:
		return stop_timeout_parse(optarg, &o->stop_timeout_ns);
	case OPT_LOG_LEVEL:
		o->log_level = optarg;
		return log_level_check(optarg);
	case OPT_LOG_PATH:
		o->log_path = optarg;
		return CLI_OK;
	case OPT_VMM:
		o->vmm_path = optarg;
		return CLI_OK;
	case OPT_NAME:
		o->name = optarg;
		if (runtime_name_ok(optarg))
			return CLI_OK;
		return cli_usage(
			"run", "--name '%s': must be 1 to 64 letters, digits or -", optarg);
	default:
		return source_option_apply(o, opt);
	}
}

/* Where the VM comes from. */
static int source_check(const struct run_options *o)
{
	int count = (o->kernel != NULL) + (o->restore != NULL) + (o->fork_of != NULL);

	if (count != 1)
		return cli_usage(
			"run", count ? "--kernel, --restore and --fork-of: give only one"
				     : "--kernel PATH is needed, or --restore, or --fork-of");
	if (!o->restore != !o->restore_memory)
		return cli_usage("run", "--restore and --restore-memory need each other");
	if (o->kernel && o->clock_realtime)
		return cli_usage("run", "--clock-realtime needs --restore or --fork-of");
	if (o->kernel)
		return CLI_OK;
	if (o->machine_given)
		return cli_usage("run",
			"--restore and --fork-of: the machine is the one that it was; leave out "
			"--initrd, --root, --drive, --cpus, --memory, --cmdline and --entropy");
	if (o->jail)
		return cli_usage(
			"run", "--jail: not with --restore or --fork-of; use mayfly-jailer");
	return CLI_OK;
}

/* What can only be said once all options are known. */
static int options_check(const struct run_options *o, int argc, char **argv)
{
	size_t cmdline_size = sizeof(RUN_CMDLINE_DEFAULT);
	uint32_t device_count = o->drive_count + (o->entropy ? 1 : 0);

	if (optind < argc)
		return cli_usage(
			"run", "'%s': every argument must belong to an option", argv[optind]);
	if (source_check(o) != CLI_OK)
		return CLI_USAGE;
	if (!o->jail && (o->jail_dir || o->has_jail_user || o->jail_cgroup_count || o->jailer_path))
		return cli_usage(
			"run", "--jail-dir, --jail-user, --jail-cgroup and --jailer need --jail");
	if (o->cmdline_replaces && !o->cmdline)
		return cli_usage("run", "--cmdline-replace needs --cmdline");
	if (device_count > LAYOUT_VIRTIO_COUNT_MAX)
		return cli_usage("run",
			"%u drives and the entropy device: there are at most %u "
			"devices; leave one drive out, or use --no-entropy",
			o->drive_count, LAYOUT_VIRTIO_COUNT_MAX);
	if (o->cmdline)
		cmdline_size = strlen(o->cmdline) + 1 + (o->cmdline_replaces ? 0 : cmdline_size);
	if (cmdline_size > LAYOUT_CMDLINE_SIZE_MAX)
		return cli_usage("run", "--cmdline: the command line has %zu bytes, the most is %u",
			cmdline_size - 1, LAYOUT_CMDLINE_SIZE_MAX - 1);
	return CLI_OK;
}

int run_options_parse(struct run_options *o, int argc, char **argv)
{
	int opt, status = CLI_OK;

	*o = (struct run_options){
		.log_level = "Warning",
		.memory_mib = 256,
		.stop_timeout_ns = 10 * CLOCK_NS_PER_S,
		.vcpu_count = 1,
		.entropy = true,
	};
	while (status == CLI_OK && (opt = cli_option_next(&cli_run_command, argc, argv)) != -1) {
		if (opt == 'h') {
			o->help = true;
			return CLI_OK;
		}
		status = option_apply(o, opt);
	}
	return status == CLI_OK ? options_check(o, argc, argv) : status;
}

const struct cli_command cli_run_command = {
	.name = "run",
	.summary = "Boot a kernel in a new VM, its console here",
	.arguments = "--kernel PATH|--restore PATH|--fork-of VM [OPTION]...",
	.description = "Boots a Linux kernel in a new VM whose serial console is this terminal; or "
		       "goes on "
		       "with a machine that was saved, or as a live fork of one that runs.",
	.options = run_option_table,
	.option_count = NELEM(run_option_table),
	.notes = "Default kernel command line:\n" RUN_CMDLINE_DEFAULT "\n\n"
		 "Ctrl-C or SIGTERM asks the guest to power off, and stops the VM if it does not "
		 "within the stop timeout; a second one stops it at once.\n\n"
		 "Exit status: 0 power-off, 1 host or monitor error, 2 usage, 64 reboot, 65 reset, "
		 "66 panic, 67 triple fault, 68 internal error, 69 stopped, 130 or 143 power-off "
		 "asked for by Ctrl-C or SIGTERM, 137 stopped by force.",
	.main = run_main,
};
