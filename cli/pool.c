/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly pool`: its command line. What it does is in pool_*.c. */
#include "cli/pool.h"

#include <getopt.h>
#include <string.h>

static const struct pool_action {
	const char *name;
	int least, most; /* arguments */
	const char *args;
	int (*main)(const struct pool_options *o, char **args, int count);
} actions[] = {
	{"serve", 0, 0, "no arguments", pool_serve_main},
	{"status", 0, 0, "no arguments", pool_status_main},
	{"take", 0, INT_MAX, "a command, or nothing", pool_take_main},
	{"end", 1, INT_MAX, "the ids of clones", pool_end_main},
	{"stop", 0, 0, "no arguments", pool_stop_main},
};

static const struct pool_action *action_find(const char *name)
{
	for (size_t i = 0; i < NELEM(actions); i++)
		if (strcmp(actions[i].name, name) == 0)
			return &actions[i];
	return NULL;
}

static int pool_main(int argc, char **argv)
{
	const struct pool_action *action = argc > 1 ? action_find(argv[1]) : NULL;
	const int skip = action ? 1 : 0;
	struct pool_options o = {.size = 1, .wait_ms = POOL_WAIT_MS};
	int status = pool_options_read(&o, argc - skip, argv + skip);
	int count = argc - skip - optind;

	if (status >= 0)
		return status;
	if (!action && count > 0)
		return cli_usage("pool", "'%s': must be serve, status, take, end or stop",
			argv[skip + optind]);
	if (!action)
		return cli_usage("pool", "missing: serve, status, take, end or stop");
	if (count < action->least || count > action->most)
		return cli_usage("pool", "%s takes %s", action->name, action->args);
	return action->main(&o, argv + skip + optind, count);
}

const struct cli_command cli_pool_command = {
	.name = "pool",
	.summary = "Keep clones of a snapshot ready, and hand them out",
	.arguments = "serve|status|take|end|stop [OPTION]... [COMMAND... | ID...]",
	.description =
		"A pool keeps clones of a snapshot restored and paused, each in a monitor of its "
		"own, so that a VM is there as soon as it has been told to go on.\n\n"
		"serve keeps them, in the foreground, until it is stopped. All its clones end with "
		"it, however it ends. Patterns name something else for each clone by {id}, which "
		"is "
		"never used again, {slot}, a number below --max, or {dir}, a directory of the "
		"clone's own that goes with it.\n\n"
		"status prints how many are ready, and why no more are.\n\n"
		"take hands one out and prints its id and API socket. It lives until its guest or "
		"the pool ends, or by 'end'. With a COMMAND, which is run with MAYFLY_ID, "
		"MAYFLY_API_SOCK and MAYFLY_DIR in its environment, the clone ends with that.\n\n"
		"end ends clones that were taken.\n\n"
		"stop ends the pool.",
	.words = "serve status take end stop",
	.options = pool_option_table,
	.option_count = POOL_OPTION_COUNT,
	.notes = "Exit status: 0; 1 if the pool could not be served or reached, or has no clone in "
		 "time; 2 usage, of serve also a snapshot that cannot be used. Of take with a "
		 "COMMAND: that of the command.",
	.main = pool_main,
};
