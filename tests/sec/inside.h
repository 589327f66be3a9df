/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A monitor that misbehaves. Linked with -Wl,--wrap=seccomp_install, it makes attempts from inside each
 * thread at the moment at which that thread would put its filter on: Landlock, the jail and the
 * credentials are on already. Each attempt is made by a child of its own, which first puts the filter
 * on, or leaves it out to show what the other walls do. Then the thread puts its filter on and goes on,
 * so the VM also boots and ends as ever.
 *
 * What to do stands in the file /attack; without it this is an ordinary monitor. Lines of words:
 *
 *	sets NAME...      which sets of attempts: calls, arguments, jail, processes, same-user,
 *			forks, landlock
 *	only MODE         filter or bare (without the filter); otherwise both, one after the other
 *	label TEXT        is put behind what was tried, in brackets
 *	itself ROLE NAME  after the filter is on, the thread itself makes a forbidden call: call or i386
 *	pid N, same N     processes outside: of root; of the monitor's own user
 *	port N, name TEXT, key N  of the host: a TCP listener, an abstract Unix socket, a shared memory
 *
 * What happened is in the file /told, which must be there, of INSIDE_TOLD_SIZE bytes:
 * THREAD MODE VERDICT WALLS TRIED OUTCOME, parted by tabs; VERDICT is "held" or "BROKEN". "end" follows the
 * last of each thread.
 */
#pragma once

#include "seccomp/seccomp.h"
#include "vmm/base/compiler.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#define INSIDE_TOLD_SIZE ((size_t)256 * 1024)
#define INSIDE_ERRNO_MAX 6
#define INSIDE_NO_EFFECT 10000 /* -INSIDE_NO_EFFECT: made, and in vain, as attempt.no_effect says */

struct attempt {
	const char *tried; /* as in the table of attacks */
	const char
		*walls; /* which stop it without the filter: numbers of docs/security.md; or NULL */
	/*
	 * Makes the attempt, in a process of its own. Success is 0 or more; -errno, or
	 * -INSIDE_NO_EFFECT, is failure.
	 */
	int (*make)(void);
	const char *no_effect;
	int good[INSIDE_ERRNO_MAX]; /* what -errno may be */
};

struct inside_order {
	bool calls, arguments, jail, processes, same_user, forks, landlock;
	bool no_filter_mode, no_bare_mode;
	char label[64], name[64], itself[16];
	int itself_role; /* or -1 */
	int pid, same, port, key;
};

extern struct inside_order inside_order;

extern const struct attempt inside_files[], inside_mounts[], inside_kernel[], inside_credentials[];
extern const struct attempt inside_network[], inside_processes[], inside_same[];
extern const struct attempt inside_forks[], inside_landlock[];
extern const size_t inside_files_count, inside_mounts_count, inside_kernel_count;
extern const size_t inside_credentials_count, inside_network_count, inside_processes_count;
extern const size_t inside_same_count, inside_forks_count, inside_landlock_count;

/* What became of a child. */
struct inside_end {
	bool denied;    /* by the filter: SIGSYS, with nr, if the filter told it */
	bool told;      /* it told a result */
	int nr, result; /* of the denied call; of the attempt */
	int signal;     /* that ended it, or 0 */
};

/* What a child does; its result is told. At its end it may be in the middle of anything. */
typedef int (*inside_child_fn)(const void *ctx);

/* Makes a child that puts the role's filter on (or not), calls fn and ends; waits for it. */
struct inside_end inside_make(
	enum seccomp_role role, bool filter, inside_child_fn fn, const void *ctx);

/* A line in /told. */
void inside_tell(enum seccomp_role role, bool filter, bool held, const char *walls,
	const char *tried, const char *outcome);

/*
 * Makes a call that the filter must deny, and goes on. Whether it was denied. In a child, under a filter.
 */
bool inside_denies(long nr, const unsigned long args[6]);

/* The sets of attempts on the filter alone (inside_calls.c, inside_arguments.c). */
void inside_calls(enum seccomp_role role);
void inside_arguments(enum seccomp_role role);

/* Whether the role has a rule for the call; for the call with these arguments. */
bool inside_has_rule(enum seccomp_role role, long nr);
bool inside_allows(enum seccomp_role role, long nr, const unsigned long args[6]);
