/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a snapshot of a paused machine: a state file and a memory file. See docs/snapshot.md.
 *
 * Both files are written aside and take the place of old ones together, when both are on the
 * disk. A diff onto a memory file of guest RAM's size is merged into it in place. Whatever fails, the
 * machine can be resumed, and the next diff has everything that this one should have had.
 */
#pragma once

#include "snapshot/pages.h"

struct machine;

struct snapshot_save_options {
	const char *state_path;
	const char *mem_path;
	const char *config; /* JSON text of the machine's configuration */
	bool diff;          /* only what changed since the last snapshot, or since the start */
};

/* 0, or -errno with *e. Main thread. */
int snapshot_save(struct machine *m, const struct snapshot_save_options *o,
	struct pages_written *ret, struct err *e) MUST_USE;
