/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The undoer: a process beside the jailer, in the host, that takes back whatever was made if the
 * monitor does not come to run.
 *
 * It reads a pipe whose writing ends are closed by exec. When the last is gone, either the monitor
 * runs, and the undoer ends quietly; or the jailer has failed, or was killed at any point, and the
 * undoer goes through the steps backwards. Its answer on a second pipe tells the jailer, which
 * waits so that whoever started it finds the host as it was.
 */
#pragma once

#include "jailer/jail.h"

struct jail_step {
	const char *name;
	int (*make)(struct jail *j, struct err *e);
	void (*undo)(struct jail *j); /* or NULL: ends with our processes */
};

/* Starts the undoer of these steps. 0 or a negative errno. */
int undo_start(struct jail *j, const struct jail_step *steps, size_t count, struct err *e) MUST_USE;

/*
 * In a process that goes on in a child: waits until the monitor runs and exits with 0, or until
 * everything is undone and exits with 1 and the message.
 */
_Noreturn void undo_watch(struct jail *j);

/* In the process in which a step failed, with j->error set: the same, after the failure. */
_Noreturn void undo_fail(struct jail *j);
