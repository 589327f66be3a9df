/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state schema as text: what `mayfly-vmm --describe-state` prints and what
 * tests/golden/state-schema.txt holds, so that no change of a state struct goes unseen. One line
 * a table, then one line a field; a nested table stands once, before the first that holds it:
 *
 *	table vq size=48
 *	vq.size id=1 since=1 type=u16 count=1 max=256
 *	virtio.vqs id=5 since=1 type=vq count=3 max=0
 */
#pragma once

#include "vmm/base/field.h"

#include <stdio.h>

#define DESCRIBE_TABLES_MAX 64

/*
 * Prints the tables and what they nest. Two tables of one name, or more than DESCRIBE_TABLES_MAX,
 * are a bug. 0, -EINVAL naming what is not sound in a table, or -EIO.
 */
int describe_state(
	FILE *out, const struct field_table *const *tables, uint32_t count, struct err *e) MUST_USE;

/* The schema of everything that is in a state file: the machine's tables, then the snapshot's own. */
int describe_snapshot_state(FILE *out, struct err *e) MUST_USE;

/* `--describe-snapshot`: what a state file is of, a line each. */
int describe_file(FILE *out, const char *path, struct err *e) MUST_USE;
