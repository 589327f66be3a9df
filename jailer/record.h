/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a jail leaves for --cleanup: a text file that belongs to root and lies outside of what the
 * monitor can see. Always one byte less than a page, filled up with newlines and
 * written at once, so that a killed writer leaves no half of it.
 *
 *	mayfly-jail 1
 *	pid 4711 88123
 *	cgroup firecracker/vm1
 *	hierarchy 1 cpu 2
 *	hierarchy 2 - 1
 *
 * pid: the monitor's, in the host, and its start time in /proc. cgroup: the jail's, below each
 * hierarchy. hierarchy: the version, a controller, and how many of the path's last folders the
 * jailer made.
 */
#pragma once

#include "vmm/base/err.h"

#define RECORD_SIZE_MAX        4096
#define RECORD_HIERARCHIES_MAX 16
#define RECORD_CONTROLLER_MAX  31
#define RECORD_CGROUP_MAX      1400

struct record_hierarchy {
	unsigned version;
	char controller[RECORD_CONTROLLER_MAX + 1]; /* "-" for version 2 */
	unsigned made;                              /* folders, from the last */
};

struct record {
	int pid; /* or 0: none yet */
	uint64_t pid_start;
	char cgroup[RECORD_CGROUP_MAX + 1]; /* relative, or "" */
	struct record_hierarchy hierarchies[RECORD_HIERARCHIES_MAX];
	size_t hierarchy_count;
};

/* Text of RECORD_SIZE_MAX - 1 bytes, terminated. 0 or -E2BIG. */
int record_print(const struct record *r, char text[RECORD_SIZE_MAX], struct err *e) MUST_USE;

/* Of terminated text, of anybody's; what it accepts is within all bounds. 0 or -EINVAL. */
int record_parse(const char *text, struct record *ret, struct err *e) MUST_USE;
