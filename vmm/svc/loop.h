/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: epoll over sources that live in their owners' storage. One thread owns a loop
 * (the main thread; later also I/O threads) and makes every call on it, loop_stop included.
 *
 * Loops nest: a loop's epoll_fd may be a source of another loop, whose callback then is a call of
 * loop_turn. That is how a group of sources is left alone for a while: whoever wants only the
 * inner loop's runs that one.
 */
#pragma once

#include "vmm/base/err.h"

#include <sys/epoll.h>

/* events is a mask of EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR. */
typedef void (*loop_fn)(void *ctx, uint32_t events);

struct loop_source {
	int fd; /* borrowed; stays open until loop_del */
	loop_fn fn;
	void *ctx; /* borrowed */
};

#define LOOP_BATCH 32

struct loop {
	int epoll_fd; /* owned */
	bool stop;
	/*
	 * Events of the current turn, from turn_at on still to be served, so that loop_del can drop
	 * those of a source that goes away.
	 */
	int turn_count, turn_at;
	struct epoll_event turn[LOOP_BATCH];
};

int loop_init(struct loop *l, struct err *e) MUST_USE;
void loop_fini(struct loop *l);

/* *s must stay put until loop_del. 0 or -errno (-EPERM: a regular file cannot be waited for). */
int loop_add(struct loop *l, struct loop_source *s, uint32_t events) MUST_USE;
int loop_mod(struct loop *l, struct loop_source *s, uint32_t events) MUST_USE;
/* Events of s that were already fetched in the current turn are dropped. */
void loop_del(struct loop *l, struct loop_source *s);

/* Runs until loop_stop, which counts from the call on. 0 or -errno of epoll. */
int loop_run(struct loop *l) MUST_USE;
void loop_stop(struct loop *l);

/* One turn without waiting: for the callback of an outer loop. 0 or -errno of epoll. */
int loop_turn(struct loop *l) MUST_USE;
