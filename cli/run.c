/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly run`: one VM in the foreground, its console on standard input and output. */
#include "cli/run.h"

#include "cli/cli.h"

static int run_with_options(const struct run_options *o)
{
	struct run_result result;
	struct run_child child;
	struct run_tty tty;
	struct err e;
	int r;

	run_watch_block_signals();
	run_tty_open(&tty);
	r = run_child_start(&child, o, tty.in_background, &e);
	if (r == 0) {
		r = run_watch(&child, o->stop_timeout_ns, &result, &e);
		run_child_fini(&child);
	}
	run_tty_restore(&tty);
	if (r < 0) {
		cli_say("run", "%s", e.msg);
		return CLI_FAILED;
	}
	if (o->timeline)
		run_timeline_print(result.timeline);
	return run_report(&result);
}

static int run_main(int argc, char **argv)
{
	struct run_options o;
	int status = run_options_parse(&o, argc, argv);

	if (status != CLI_OK)
		return status;
	if (o.help)
		return cli_help(&cli_run_command);
	return run_with_options(&o);
}

const struct cli_command cli_run_command = {
	.name = "run",
	.summary = "Boot a kernel in a new VM, its console here",
	.main = run_main,
	.help = "Usage: mayfly run --kernel PATH [OPTION]...\n"
		"\n"
		"Boots a Linux kernel in a new VM whose serial console is this terminal.\n"
		"\n"
		"  --kernel PATH          vmlinux (ELF) or bzImage; needed\n"
		"  --initrd PATH          initial RAM file system\n"
		"  --root PATH[:ro]       disk image that holds the root file system: the first\n"
		"                         disk, and root= on the kernel command line\n"
		"  --drive PATH[:ro]      further disk, image or block device; may be repeated\n"
		"  --cpus N               vCPUs, 1 to 32 (1)\n"
		"  --memory SIZE          MiB, or with M or G (256M)\n"
		"  --cmdline TEXT         appended to the default kernel command line\n"
		"  --cmdline-replace      --cmdline is used instead of the default\n"
		"  --entropy              virtio entropy device (the default)\n"
		"  --no-entropy           no entropy device\n"
		"  --timeline             at the end, print when the VM reached which point\n"
		"  --stop-timeout S       time a guest has to power off before it is stopped (10)\n"
		"  --log-level LEVEL      Off, Error, Warning, Info, Debug, Trace (Warning)\n"
		"  --log-path PATH        log of the monitor (standard error)\n"
		"  --vmm PATH             the monitor (mayfly-vmm beside this program or in PATH)\n"
		"\n"
		"Default kernel command line:\n"
		"  " RUN_CMDLINE_DEFAULT "\n"
		"\n"
		"Ctrl-C or SIGTERM asks the guest to power off, and stops the VM if it does not\n"
		"within the stop timeout; a second one stops it at once.\n"
		"\n"
		"Exit status: 0 power-off, 1 host or monitor error, 2 usage, 64 reboot, 65 reset,\n"
		"66 panic, 67 triple fault, 68 internal error, 69 stopped, 130 or 143 power-off\n"
		"asked for by Ctrl-C or SIGTERM, 137 stopped by force.\n",
};
