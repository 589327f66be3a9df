/* SPDX-License-Identifier: Apache-2.0 */
/* Putting the state of a snapshot into a machine that is built and wired. For load.c. */
#pragma once

#include "snapshot/load.h"

/* The present phase of the load ends; to, unless NULL, takes how long it took. */
void load_phase(struct snapshot_load *l, struct latency *to);

/* m is paused afterwards, with its clock to be set when it goes on. -errno: *e. */
int restore_machine(struct snapshot_load *l, struct machine *m, struct err *e) MUST_USE;
