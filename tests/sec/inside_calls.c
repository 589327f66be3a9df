/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that a role has no rule for, by number, whatever the kernel knows by it; and every number of the
 * two other ways into the kernel. One child for each.
 */
#include "tests/sec/inside.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CALLS_MAX 1024 /* more than the kernel has in any of its tables */
#define CALLS_X32 0x40000000L
/*
 * Linux 6.14 and later let these two by any filter (seccomp_uprobe_exception): they are what a probe that the
 * host has set on a program calls. From anywhere else the first is SIGILL, the second ENXIO.
 */
#define CALLS_URETPROBE 335
#define CALLS_UPROBE    336

struct calls_way {
	const char *tried;
	bool has_rules; /* declared calls are left out */
	int (*make)(const void *nr);
};

static int calls_native(const void *nr)
{
	long rc = syscall(*(const long *)nr, 0, 0, 0, 0, 0, 0);

	return rc < 0 ? -errno : 0;
}

static int calls_x32(const void *nr)
{
	long rc = syscall(CALLS_X32 | *(const long *)nr, 0, 0, 0, 0, 0, 0);

	return rc < 0 ? -errno : 0;
}

static int calls_i386(const void *nr)
{
	long rc = *(const long *)nr;

	__asm__ volatile("int $0x80"
			 : "+a"(rc)
			 : "b"(0L), "c"(0L), "d"(0L), "S"(0L), "D"(0L)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)rc < 0 ? (int)rc : 0;
}

static const struct calls_way calls_ways[] = {
	{"every system call that the thread has no rule for, but for the two next", true,
		calls_native},
	{"every number of the x32 calls", false, calls_x32},
	{"every number of the i386 calls (int 0x80)", false, calls_i386},
};

bool inside_has_rule(enum seccomp_role role, long nr)
{
	size_t count;
	const struct seccomp_rule *r = seccomp_rules_get(&count);

	for (size_t i = 0; i < count; i++)
		if (r[i].role == role && r[i].nr == nr)
			return true;
	return false;
}

static bool calls_is_probe(long nr)
{
	return nr == CALLS_URETPROBE || nr == CALLS_UPROBE;
}

static void calls_probes(enum seccomp_role role)
{
	const long nrs[] = {CALLS_URETPROBE, CALLS_UPROBE};
	const struct inside_end first = inside_make(role, true, calls_native, &nrs[0]);
	const struct inside_end second = inside_make(role, true, calls_native, &nrs[1]);
	const bool ill = first.signal == SIGILL, enxio = second.told && second.result == -ENXIO;

	inside_tell(role, true, (ill || first.denied) && (enxio || second.denied), "3",
		"uretprobe and uprobe, which Linux 6.14 and later let by every filter",
		ill && enxio ? "SIGILL, ENXIO: nothing is done"
		: ill        ? "SIGILL, SIGSYS: nothing is done"
			     : "SIGSYS");
}

static bool calls_held(const struct calls_way *w, long nr, const struct inside_end *end)
{
	/* The filter ends the process there; where the kernel has no such way in, the processor. */
	if (!w->has_rules)
		return end->denied || end->signal == SIGSEGV;
	return end->denied && end->signal == 0 && end->nr == nr;
}

void inside_calls(enum seccomp_role role)
{
	for (size_t i = 0; i < NELEM(calls_ways); i++) {
		const struct calls_way *w = &calls_ways[i];
		char text[256] = "SIGSYS";
		size_t at = 0;
		bool all = true;

		for (long nr = 0; nr < CALLS_MAX; nr++) {
			struct inside_end end;

			if (w->has_rules && (inside_has_rule(role, nr) || calls_is_probe(nr)))
				continue;
			end = inside_make(role, true, w->make, &nr);
			if (calls_held(w, nr, &end))
				continue;
			all = false;
			if (at < sizeof(text) - 64)
				at += (size_t)snprintf(text + at, sizeof(text) - at,
					"%ld: result %d, signal %d; ", nr,
					end.told ? end.result : 0, end.signal);
		}
		inside_tell(role, true, all, "3", w->tried, text);
		if (w->has_rules)
			calls_probes(role);
	}
}
