/* SPDX-License-Identifier: Apache-2.0 */
/* The jail's cgroups, of either version. */
#pragma once

#include "jailer/jail.h"

/* Fills j->record with the cgroups that the options ask for. Makes nothing. */
int cgroup_plan(struct jail *j, struct err *e) MUST_USE;

/*
 * Removes the cgroup of each hierarchy of the record, and of the folders above it those that the
 * jailer made and that are empty. Waits a while for processes that are just ending. 0, also for
 * what is not there.
 */
int cgroup_remove(const struct record *r, struct err *e) MUST_USE;
