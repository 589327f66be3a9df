/* SPDX-License-Identifier: Apache-2.0 */
/* Fail-the-Nth-call injection. See fail.h. */
#include "tests/unit/lib/fail.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

struct fail_plan {
	unsigned seen, nth; /* nth 0: not armed */
	int err;
	size_t max;
};

static struct fail_plan fail_plans[FAIL_CALL_COUNT];
static pthread_mutex_t fail_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fail_changed = PTHREAD_COND_INITIALIZER;
static struct {
	bool on;
	enum fail_call call;
	pthread_t but; /* this thread is not held */
	unsigned held;
} fail_held;

void fail_nth(enum fail_call call, unsigned nth, int err)
{
	fail_plans[call].nth = fail_plans[call].seen + nth;
	fail_plans[call].err = err;
}

void fail_short(enum fail_call call, unsigned nth, size_t max)
{
	fail_nth(call, nth, 0);
	fail_plans[call].max = max;
}

unsigned fail_seen(enum fail_call call)
{
	return fail_plans[call].seen;
}

void fail_hold(enum fail_call call)
{
	(void)pthread_mutex_lock(&fail_lock);
	fail_held.on = true;
	fail_held.call = call;
	fail_held.but = pthread_self();
	(void)pthread_mutex_unlock(&fail_lock);
}

unsigned fail_release(void)
{
	unsigned held;

	(void)pthread_mutex_lock(&fail_lock);
	held = fail_held.held;
	fail_held.on = false;
	(void)pthread_cond_broadcast(&fail_changed);
	(void)pthread_mutex_unlock(&fail_lock);
	return held;
}

unsigned fail_held_count(void)
{
	unsigned held;

	(void)pthread_mutex_lock(&fail_lock);
	held = fail_held.held;
	(void)pthread_mutex_unlock(&fail_lock);
	return held;
}

void fail_reset(void)
{
	(void)fail_release();
	for (int i = 0; i < FAIL_CALL_COUNT; i++)
		fail_plans[i] = (struct fail_plan){0};
}

/* True if this call is the one. errno is set for it, to 0 if it is to be cut short instead. */
static bool fail_now(enum fail_call call, size_t *ret_max)
{
	struct fail_plan *p = &fail_plans[call];
	bool hit;

	(void)pthread_mutex_lock(&fail_lock);
	while (fail_held.on && fail_held.call == call &&
		!pthread_equal(pthread_self(), fail_held.but)) {
		fail_held.held++;
		(void)pthread_cond_wait(&fail_changed, &fail_lock);
		fail_held.held--;
	}
	hit = ++p->seen == p->nth;
	if (hit) {
		errno = p->err;
		*ret_max = p->max;
	}
	(void)pthread_mutex_unlock(&fail_lock);
	return hit;
}

/* Cuts a list of iovecs to max bytes in all; at least one entry stays. */
static int fail_cut(const struct iovec *iov, int count, size_t max, struct iovec *ret)
{
	int n = 0;

	for (; n < count && (n == 0 || max > 0); n++) {
		ret[n] = iov[n];
		if (ret[n].iov_len > max)
			ret[n].iov_len = max;
		max -= ret[n].iov_len;
	}
	return n;
}

#define FAIL_PROTO(type, name, args)                                                               \
	type __real_##name args;                                                                   \
	type __wrap_##name args;                                                                   \
	type __wrap_##name args

FAIL_PROTO(void *, mmap, (void *at, size_t len, int prot, int flags, int fd, off_t off))
{
	size_t max;

	return fail_now(FAIL_MMAP, &max) ? MAP_FAILED : __real_mmap(at, len, prot, flags, fd, off);
}

FAIL_PROTO(int, madvise, (void *at, size_t len, int advice))
{
	size_t max;

	return fail_now(FAIL_MADVISE, &max) ? -1 : __real_madvise(at, len, advice);
}

FAIL_PROTO(int, memfd_create, (const char *name, unsigned flags))
{
	size_t max;

	return fail_now(FAIL_MEMFD_CREATE, &max) ? -1 : __real_memfd_create(name, flags);
}

FAIL_PROTO(int, ftruncate, (int fd, off_t len))
{
	size_t max;

	return fail_now(FAIL_FTRUNCATE, &max) ? -1 : __real_ftruncate(fd, len);
}

FAIL_PROTO(int, eventfd, (unsigned start, int flags))
{
	size_t max;

	return fail_now(FAIL_EVENTFD, &max) ? -1 : __real_eventfd(start, flags);
}

FAIL_PROTO(ssize_t, preadv, (int fd, const struct iovec *iov, int count, off_t off))
{
	struct iovec cut[IOV_MAX];
	size_t max;

	if (!fail_now(FAIL_PREADV, &max))
		return __real_preadv(fd, iov, count, off);
	if (errno != 0)
		return -1;
	return __real_preadv(fd, cut, fail_cut(iov, count, max, cut), off);
}

FAIL_PROTO(ssize_t, pwritev, (int fd, const struct iovec *iov, int count, off_t off))
{
	struct iovec cut[IOV_MAX];
	size_t max;

	if (!fail_now(FAIL_PWRITEV, &max))
		return __real_pwritev(fd, iov, count, off);
	if (errno != 0)
		return -1;
	return __real_pwritev(fd, cut, fail_cut(iov, count, max, cut), off);
}

FAIL_PROTO(ssize_t, pread, (int fd, void *buf, size_t len, off_t off))
{
	size_t max;

	if (!fail_now(FAIL_PREAD, &max))
		return __real_pread(fd, buf, len, off);
	return errno != 0 ? -1 : __real_pread(fd, buf, len < max ? len : max, off);
}

FAIL_PROTO(ssize_t, pwrite, (int fd, const void *buf, size_t len, off_t off))
{
	size_t max;

	if (!fail_now(FAIL_PWRITE, &max))
		return __real_pwrite(fd, buf, len, off);
	return errno != 0 ? -1 : __real_pwrite(fd, buf, len < max ? len : max, off);
}

FAIL_PROTO(int, fdatasync, (int fd))
{
	size_t max;

	return fail_now(FAIL_FDATASYNC, &max) ? -1 : __real_fdatasync(fd);
}

FAIL_PROTO(int, fallocate, (int fd, int mode, off_t off, off_t len))
{
	size_t max;

	return fail_now(FAIL_FALLOCATE, &max) ? -1 : __real_fallocate(fd, mode, off, len);
}

FAIL_PROTO(ssize_t, getrandom, (void *buf, size_t len, unsigned flags))
{
	size_t max;

	if (!fail_now(FAIL_GETRANDOM, &max))
		return __real_getrandom(buf, len, flags);
	return errno != 0 ? -1 : __real_getrandom(buf, len < max ? len : max, flags);
}

FAIL_PROTO(void *, calloc, (size_t count, size_t size))
{
	size_t max;

	return fail_now(FAIL_CALLOC, &max) ? NULL : __real_calloc(count, size);
}

FAIL_PROTO(int, posix_memalign, (void **ret, size_t align, size_t size))
{
	size_t max;

	return fail_now(FAIL_POSIX_MEMALIGN, &max) ? errno
						   : __real_posix_memalign(ret, align, size);
}
