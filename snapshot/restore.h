/* SPDX-License-Identifier: Apache-2.0 */
/* Putting the state of a snapshot into a machine that is built and wired. For load.c. */
#pragma once

#include "snapshot/load.h"

/* m is paused afterwards, with its clock to be set when it goes on. -errno: *e. */
int restore_machine(struct snapshot_load *l, struct machine *m, struct err *e) MUST_USE;
