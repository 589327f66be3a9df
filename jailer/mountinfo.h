/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/self/mountinfo, read for cgroup hierarchies: they may be mounted anywhere. */
#pragma once

#include "vmm/base/err.h"

#include <limits.h>

#define MOUNTINFO_SIZE_MAX (4 << 20)

/*
 * Where the hierarchy is mounted: version 1 with this controller (its name need not be
 * terminated), or version 2. text is terminated. False if there is none, or if its path does not
 * fit.
 */
bool mountinfo_cgroup(const char *text, unsigned version, const char *controller, size_t len,
	char ret_path[PATH_MAX]) MUST_USE;
