/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fail-the-Nth-call injection. The unit tests are linked with --wrap (rules.mk) for the calls
 * below, so that the product code needs no seam of its own; unarmed, they go straight through.
 */
#pragma once

#include <stddef.h>

enum fail_call {
	FAIL_MMAP,
	FAIL_MADVISE,
	FAIL_MEMFD_CREATE,
	FAIL_FTRUNCATE,
	FAIL_EVENTFD,
	FAIL_PREADV,
	FAIL_PWRITEV,
	FAIL_PREAD,
	FAIL_PWRITE,
	FAIL_FDATASYNC,
	FAIL_FALLOCATE,
	FAIL_GETRANDOM,
	FAIL_CALLOC,
	FAIL_POSIX_MEMALIGN,
	FAIL_CALL_COUNT,
};

/* The nth call from now on (1: the next one) fails with err; the others go through. */
void fail_nth(enum fail_call call, unsigned nth, int err);

/* As fail_nth, for one call only: it moves at most max bytes (preadv, pwritev, getrandom, pread, pwrite). */
void fail_short(enum fail_call call, unsigned nth, size_t max);

/* Such calls of all threads but this one wait until fail_release, as on a disk that hangs. */
void fail_hold(enum fail_call call);
/* Lets them go; how many waited. */
unsigned fail_release(void);
unsigned fail_held_count(void);

/* Calls seen since fail_reset. */
unsigned fail_seen(enum fail_call call);

/* Disarms everything and counts from zero. A test's setup and teardown call it. */
void fail_reset(void);
