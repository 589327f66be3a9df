/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly logs`: what a VM's monitor has logged. */
#include "cli/cli.h"
#include "cli/vm.h"
#include "vmm/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <string.h>

#define FOLLOW_MS 200

static const struct cli_option logs_options[] = {
	{'f', "follow", NULL, NULL, "go on until the VM ends"},
	CLI_OPTION_HELP,
};

/* What the file holds beyond *at. A file that was begun anew is printed from its start. */
static int log_print(int fd, off_t *at, struct err *e)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char buf[16384];
	ssize_t n;

	if (size < *at)
		*at = 0;
	while ((n = pread(fd, buf, sizeof(buf), *at)) > 0) {
		(void)fwrite(buf, 1, (size_t)n, stdout);
		*at += n;
	}
	return n < 0 ? err_set_os(e, -errno, "cannot read the log") : 0;
}

static int log_show(const struct runtime_vm *vm, bool follow, struct err *e)
{
	CLEANUP_FD
	int fd = open(vm->log, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP_FD
	/* The runner outlives the monitor, to take down its last words. */
	int pidfd = runtime_process_open(vm->runner.pid ? &vm->runner : &vm->monitor);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	off_t at = 0;
	int rc;

	if (fd < 0)
		return err_set_os(e, -errno, "cannot open %s", vm->log);
	rc = log_print(fd, &at, e);
	while (follow && rc == 0 && pidfd >= 0 && !ferror(stdout)) {
		bool over = poll(&p, 1, FOLLOW_MS) > 0;

		rc = log_print(fd, &at, e);
		(void)fflush(stdout);
		if (over)
			break;
	}
	return rc;
}

static int logs_vm(const char *target, bool follow)
{
	struct runtime_vm vm;
	struct err e;
	int rc = runtime_find(&vm, target, &e);

	if (rc == 0 && vm.log[0] == '\0')
		rc = err_set(&e, -ENOENT,
			"%s: where its monitor logs is known only of VMs that 'mayfly run' started",
			vm.name);
	if (rc == 0)
		rc = log_show(&vm, follow, &e);
	if (rc < 0) {
		cli_say("logs", "%s", e.msg);
		return CLI_FAILED;
	}
	return cli_finish("logs", CLI_OK);
}

static int logs_main(int argc, char **argv)
{
	bool follow = false;
	int opt;

	while ((opt = cli_option_next(&cli_logs_command, argc, argv)) != -1) {
		if (opt == 'h')
			return cli_help(&cli_logs_command);
		if (opt == '?')
			return CLI_USAGE;
		follow = true;
	}
	if (argc - optind > 1)
		return cli_usage("logs", "'%s': one VM at a time", argv[optind + 1]);
	return logs_vm(argv[optind], follow);
}

const struct cli_command cli_logs_command = {
	.name = "logs",
	.summary = "Print the log of a VM's monitor",
	.arguments = "[-f] [VM]",
	.description = "Prints what the monitor of a VM has logged since its start; the file is "
		       "begun anew when it reaches 1 MiB. The guest's own messages are on its "
		       "console. VM is a name; it may be left out while just one VM runs.",
	.words = "@vm",
	.options = logs_options,
	.option_count = NELEM(logs_options),
	.notes = "Exit status: 0; 1 if there is no such VM or no log; 2 usage.",
	.main = logs_main,
};
