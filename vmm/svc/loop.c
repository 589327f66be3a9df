/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop. See loop.h. */
#include "vmm/svc/loop.h"

#include "vmm/base/cleanup.h"

#include <errno.h>
#include <string.h>

int loop_init(struct loop *l, struct err *e)
{
	l->stop = false;
	l->turn_count = l->turn_at = 0;
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
	for (int i = 0; i < l->turn_count; i++)
		if (l->turn[i].data.ptr == s)
			l->turn[i].data.ptr = NULL;
}

/*
 * A turn that was stopped goes on where it stood: an edge-triggered event comes only once.
 *
 * #syscalls:main,io epoll_wait
 */
static int loop_turn_for(struct loop *l, int timeout_ms)
{
	if (l->turn_at == l->turn_count) {
		int n = epoll_wait(l->epoll_fd, l->turn, LOOP_BATCH, timeout_ms);

		if (n < 0)
			return errno == EINTR ? 0 : -errno;
		l->turn_count = n;
		l->turn_at = 0;
	}
	while (l->turn_at < l->turn_count && !l->stop) {
		const struct epoll_event *ev = &l->turn[l->turn_at++];
		struct loop_source *s = ev->data.ptr;

		if (s)
			s->fn(s->ctx, ev->events);
	}
	return 0;
}

int loop_run(struct loop *l)
{
	int rc = 0;

	l->stop = false;
	while (!l->stop && rc == 0)
		rc = loop_turn_for(l, -1);
	return rc;
}

int loop_turn(struct loop *l)
{
	l->stop = false;
	return loop_turn_for(l, 0);
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}
