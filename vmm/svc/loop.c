/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop. See loop.h. */
#include "vmm/svc/loop.h"

#include "vmm/base/cleanup.h"

#include <errno.h>
#include <string.h>

#define LOOP_BATCH 32

/*
 * Events of the current turn live in the loop so that loop_del can drop those of a source that
 * goes away while the turn is being worked off.
 */
static _Thread_local struct epoll_event loop_turn[LOOP_BATCH];
static _Thread_local int loop_turn_count;

int loop_init(struct loop *l, struct err *e)
{
	l->stop = false;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return l->epoll_fd >= 0 ? 0 : err_set_os(e, -errno, "cannot create the event loop");
}

void loop_fini(struct loop *l)
{
	fd_close(&l->epoll_fd);
}

/* #syscalls:main epoll_ctl */
static int loop_ctl(struct loop *l, int op, struct loop_source *s, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = s};

	return epoll_ctl(l->epoll_fd, op, s->fd, &ev) == 0 ? 0 : -errno;
}

int loop_add(struct loop *l, struct loop_source *s, uint32_t events)
{
	return loop_ctl(l, EPOLL_CTL_ADD, s, events);
}

int loop_mod(struct loop *l, struct loop_source *s, uint32_t events)
{
	return loop_ctl(l, EPOLL_CTL_MOD, s, events);
}

void loop_del(struct loop *l, struct loop_source *s)
{
	(void)loop_ctl(l, EPOLL_CTL_DEL, s, 0);
	for (int i = 0; i < loop_turn_count; i++)
		if (loop_turn[i].data.ptr == s)
			loop_turn[i].data.ptr = NULL;
}

/* #syscalls:main,io epoll_wait */
int loop_run(struct loop *l)
{
	while (!l->stop) {
		int n = epoll_wait(l->epoll_fd, loop_turn, LOOP_BATCH, -1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		loop_turn_count = n;
		for (int i = 0; i < n && !l->stop; i++) {
			struct loop_source *s = loop_turn[i].data.ptr;

			if (s)
				s->fn(s->ctx, loop_turn[i].events);
		}
		loop_turn_count = 0;
	}
	return 0;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}
