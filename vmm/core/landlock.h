/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock, the second wall around files: whatever a taken-over monitor may call, it opens no file but
 * below the directories it was given, connects to no TCP port, and signals no other process (what the kernel
 * knows of these; landlock(7)). Descriptors that are open already are not concerned. For a monitor that has no jail.
 */
#pragma once

#include "vmm/base/err.h"

#include <stdbool.h>

struct landlock_config {
	bool on;
	bool required;    /* a kernel without it is an error, not a line in the log */
	const char *dirs; /* borrowed: separated by colons, or NULL: none */
};

/* The rules, as a descriptor of the kernel's. Any thread may put them on. */
struct landlock {
	int fd; /* owned; -1: none */
};

#define LANDLOCK_NONE ((struct landlock){.fd = -1})

/*
 * Makes the rules of c. 0, also if they are off, or the kernel has no Landlock and it is not required: then
 * there are none. -errno: *e.
 */
int landlock_open(struct landlock *l, const struct landlock_config *c, struct err *e) MUST_USE;
/* Restricts the calling thread for good. NULL or none: nothing. */
int landlock_restrict(const struct landlock *l, struct err *e) MUST_USE;
void landlock_close(struct landlock *l);
