/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mayfly run --jail`: the jailer between this process and the monitor. The monitor gets its files as
 * descriptors; its jail is empty but for itself and the devices.
 *
 * Who removes the jail: a process beside this one, the janitor. It waits for the end of a pipe that only this
 * process holds, so it knows of any death; then it sees to it that the monitor ends, and runs
 * `mayfly-jailer --cleanup`. What even that left, because both were killed, the next run removes.
 */
#pragma once

#include "cli/run.h"

#define RUN_ARGV_MAX 128

/* A command line in the making, and the descriptors that the program is to get. Begins zeroed. */
struct run_argv {
	char *argv[RUN_ARGV_MAX]; /* into text; always a NULL behind them */
	size_t count;
	int keep[RUN_DRIVES_MAX + 8];
	size_t keep_count;
	size_t used;
	bool overflow; /* there was no room for something */
	char text[4 * PATH_MAX];
};

void run_argv_add(struct run_argv *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * Opens the files of o, which stays as it is, and starts the janitor for the jail `id` of the monitor `vmm`; what a
 * dead run left in the same folder is removed first. 0 and *ret, to be closed; or -errno and *e. Makes this
 * process the parent of whatever becomes an orphan below it, which the monitor does.
 */
int run_jail_open(struct run_jail **ret, const struct run_options *o, const char *id,
	const char *vmm, struct err *e) MUST_USE;

/* The same options, with descriptors in the place of files. Lives as long as j. */
const struct run_options *run_jail_options(const struct run_jail *j);

/*
 * Adds the jailer's arguments, up to the -- before the monitor's, and the open files; a->keep has what else the
 * monitor is to get. `program` is the monitor, and becomes the jailer.
 */
void run_jail_arguments(const struct run_jail *j, struct run_argv *a, char program[PATH_MAX]);

/* Waits for the jailer, our child. The monitor's pid, or -errno and *e if there is no jail. */
pid_t run_jail_entered(struct run_jail *j, pid_t jailer, struct err *e) MUST_USE;

/* Waits until the jail is gone. The monitor must have been waited for. NULL: nothing. */
void run_jail_close(struct run_jail *j);
