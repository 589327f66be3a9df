/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between a vsock device and the host's Unix sockets: connections and what goes to the guest. See
 * vsock_muxer.h; what comes from the guest is in vsock_host.c.
 */
#include "virtio/vsock_muxer.h"

#include "virtio/vsock_host.h"
#include "virtio/vsock_unix.h"
#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/base/passed_fd.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timerfd.h>

#define MUXER_ACCEPT_MAX 16 /* clients taken in one turn of the event loop */
#define MUXER_BURST_MAX  16 /* packets filled by one read */

/* ---- life ---- */

int vsock_muxer_init(struct vsock_muxer *m, struct loop *loop, loop_fn on_slot, void *owner,
	const char *uds_path, struct err *e)
{
	uint32_t seed[2];
	int rc;

	m->listen_fd = m->timer_fd = -1;
	if (getrandom(seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
		return err_set_os(e, -errno, "vsock: the host gave no random bytes");
	rc = vsock_table_init(&m->table, seed[0], e);
	if (rc < 0)
		return rc;
	m->table.owner = owner;
	m->loop = loop;
	m->on_slot = on_slot;
	m->uds_path = uds_path;
	/* A restored guest must not meet the ports of its former life again. */
	m->port_next = seed[1] % VSOCK_PORT_COUNT;
	m->listen_ready = true;
	m->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (m->timer_fd < 0) {
		rc = err_set_os(e, -errno, "vsock: cannot make a timer");
		goto err;
	}
	m->listen_fd = rc = vsock_unix_listen(uds_path, e);
	if (rc >= 0) {
		if (passed_fd_is(uds_path)) {
			vsock_unix_name(m->listen_fd, &m->at);
			m->uds_path = m->at.sun_path;
		}
		return 0;
	}
err:
	vsock_muxer_fini(m);
	return rc;
}

void vsock_muxer_fini(struct vsock_muxer *m)
{
	if (m->table.buffers)
		vsock_muxer_purge(m);
	fd_close(&m->listen_fd);
	fd_close(&m->timer_fd);
	vsock_table_fini(&m->table);
}

void vsock_muxer_purge(struct vsock_muxer *m)
{
	for (uint32_t i = 0; i < VSOCK_CONNS_MAX; i++)
		if (m->table.slots[i].conn.state != VSOCK_FREE)
			vsock_host_remove(m, &m->table.slots[i]);
	m->reset_first = m->reset_count = 0;
}

/* ---- from the host: clients and socket events ---- */

/* A free pair of ports; there are more ports than connections. */
static uint32_t muxer_local_port(struct vsock_muxer *m, uint32_t peer_port)
{
	uint32_t port;

	do {
		port = VSOCK_PORT_FIRST + m->port_next;
		m->port_next = (m->port_next + 1) % VSOCK_PORT_COUNT;
	} while (vsock_table_find(&m->table, port, peer_port));
	return port;
}

static void muxer_greeting(struct vsock_muxer *m, struct vsock_slot *s)
{
	uint32_t port = 0;
	int rc = vsock_unix_greeting(s->source.fd, &port);

	if (rc == 0 && !s->ending)
		return;
	if (rc <= 0) {
		log_guest(LOG_DEBUG, "vsock: a client of %s went without a CONNECT line",
			m->uds_path);
		vsock_host_remove(m, s);
		return;
	}
	vsock_conn_open_host(&s->conn, muxer_local_port(m, port), port);
	vsock_table_insert(s);
	vsock_host_arm(m, s);
	vsock_queue_push(s);
}

bool vsock_muxer_accept(struct vsock_muxer *m)
{
	for (int i = 0; i < MUXER_ACCEPT_MAX && m->listen_ready; i++) {
		int fd = vsock_unix_accept(m->listen_fd);
		struct vsock_slot *s;

		if (fd < 0) {
			/* Out of descriptors, for one: the client waits until a connection ends. */
			m->listen_ready = fd != -EAGAIN;
			return false;
		}
		s = vsock_host_add(m, fd);
		if (!s)
			continue;
		s->conn.state = VSOCK_GREETING;
		muxer_greeting(m, s);
	}
	return m->listen_ready;
}

void vsock_muxer_event(struct vsock_slot *s, uint32_t events)
{
	struct vsock_muxer *m = vsock_host_muxer(s);

	s->readable |= (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	s->ending |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	s->hung_up |= (events & (EPOLLHUP | EPOLLERR)) != 0;
	if (s->conn.state == VSOCK_GREETING) {
		muxer_greeting(m, s);
		return;
	}
	if (s->conn.state != VSOCK_LIVE)
		return;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		vsock_host_flush(m, s);
	/* Bytes that the guest does not want need not be read first. */
	if (s->hung_up && ((s->conn.host_shut & VSOCK_SHUTDOWN_SEND) ||
				  (s->conn.guest_shut & VSOCK_SHUTDOWN_RCV)))
		vsock_conn_host_shut(&s->conn, VSOCK_SHUTDOWN_BOTH);
	if (s->conn.state != VSOCK_FREE)
		vsock_queue_push(s);
}

void vsock_muxer_expire(struct vsock_muxer *m, uint64_t now_ns)
{
	struct vsock_slot *s;

	m->timer_armed = false;
	while ((s = vsock_timer_first(&m->table)) && s->deadline_ns <= now_ns)
		vsock_host_kill(m, s);
	if (s)
		vsock_host_set_timer(m, s->deadline_ns);
}

/* ---- to the guest ---- */

bool vsock_muxer_has_room(const struct vsock_muxer *m, uint32_t count)
{
	return m->reset_count + count <= VSOCK_RESETS_MAX;
}

void vsock_muxer_refuse(struct vsock_muxer *m, const struct vsock_hdr *h)
{
	if (h->op == VSOCK_OP_RST) /* or two hosts could go on for ever */
		return;
	CHECK(m->reset_count < VSOCK_RESETS_MAX);
	m->resets[(m->reset_first + m->reset_count++) % VSOCK_RESETS_MAX] =
		(struct vsock_reset){.local_port = h->dst_port, .peer_port = h->src_port};
}

bool vsock_muxer_next(struct vsock_muxer *m, struct vsock_turn *ret)
{
	struct vsock_slot *s;

	*ret = (struct vsock_turn){.op = VSOCK_OP_RST};
	if (m->reset_count > 0)
		return true;
	while ((s = vsock_queue_first(&m->table))) {
		*ret = (struct vsock_turn){vsock_conn_next(&s->conn, s->readable), s};
		if (ret->op != VSOCK_OP_INVALID)
			return true;
		(void)vsock_queue_pop(&m->table);
	}
	return false;
}

/* #syscalls:main readv */
uint32_t vsock_muxer_read(struct vsock_muxer *m, struct vsock_slot *s, const struct iovec *iov,
	int count, uint32_t len)
{
	ssize_t n = readv(s->source.fd, iov, count);

	if (n > 0) {
		bool full = (uint32_t)n == len;

		/*
		 * A short read has emptied the socket and what comes later is a new event, but
		 * the event of an end that was announced before is gone: then read on.
		 */
		s->readable = full || s->ending;
		s->burst = full ? (uint8_t)MIN(s->burst * 2, MUXER_BURST_MAX) : 1;
		counter_add(&m->counters.rx_bytes_count, (uint64_t)n);
		return (uint32_t)n;
	}
	if (n < 0 && errno == EINTR)
		return 0;
	s->readable = false;
	if (n == 0) {
		vsock_conn_host_shut(
			&s->conn, s->hung_up ? VSOCK_SHUTDOWN_BOTH : VSOCK_SHUTDOWN_SEND);
	} else if (errno != EAGAIN) {
		counter_add(&m->counters.rx_read_fails, 1);
		vsock_conn_host_shut(&s->conn, VSOCK_SHUTDOWN_BOTH);
	}
	return 0;
}

void vsock_muxer_build(
	struct vsock_muxer *m, const struct vsock_turn *t, uint32_t len, struct vsock_hdr *ret)
{
	counter_add(&m->counters.rx_packets_count, 1);
	if (t->slot) {
		vsock_conn_build(&t->slot->conn, t->op, len, m->guest_cid, ret);
		return;
	}
	const struct vsock_reset *r = &m->resets[m->reset_first];

	vsock_reset_build(r->local_port, r->peer_port, m->guest_cid, ret);
	m->reset_first = (m->reset_first + 1) % VSOCK_RESETS_MAX;
	m->reset_count--;
}

void vsock_muxer_done(struct vsock_muxer *m, const struct vsock_turn *t)
{
	struct vsock_slot *s = t->slot;

	if (!s)
		return;
	(void)vsock_queue_pop(&m->table); /* it was the first */
	if (t->op == VSOCK_OP_RST) {
		vsock_host_remove(m, s);
		return;
	}
	if (t->op == VSOCK_OP_SHUTDOWN && s->conn.host_shut == VSOCK_SHUTDOWN_BOTH)
		vsock_host_arm(m, s);
	if (vsock_conn_next(&s->conn, s->readable) != VSOCK_OP_INVALID)
		vsock_queue_push(s);
}
