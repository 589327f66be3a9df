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

int run_main(int argc, char **argv)
{
	struct run_options o;
	int status = run_options_parse(&o, argc, argv);

	if (status != CLI_OK)
		return status;
	if (o.help)
		return cli_help(&cli_run_command);
	return run_with_options(&o);
}
