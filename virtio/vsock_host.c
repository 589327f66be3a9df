/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets from the guest, on their way to the host's sockets. See vsock_muxer.h and vsock_host.h.
 *
 * Payloads go from guest memory to the socket directly, those of packets that follow each other on one
 * connection by one call. What the socket does not take is copied
 * into the connection's buffer, which the credit keeps large enough, and follows when the socket
 * has room.
 */
#include "virtio/vsock_host.h"

#include "virtio/vsock_unix.h"
#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#define HOST_EVENTS ((uint32_t)EPOLLIN | (uint32_t)EPOLLRDHUP | (uint32_t)EPOLLET)

struct vsock_muxer *vsock_host_muxer(struct vsock_slot *s)
{
	return (struct vsock_muxer *)(void *)((char *)s->table -
					      offsetof(struct vsock_muxer, table));
}

/* ---- opening and closing ---- */

struct vsock_slot *vsock_host_add(struct vsock_muxer *m, int fd)
{
	CLEANUP_FD
	int owned = fd;
	struct vsock_slot *s = vsock_table_take(&m->table);

	if (!s) {
		counter_add(&m->counters.muxer_event_fails, 1);
		log_guest(LOG_WARN, "vsock: %u connections are the most; one more was closed",
			VSOCK_CONNS_MAX);
		return NULL;
	}
	s->source.fd = fd;
	s->source.fn = m->on_slot;
	s->conn.state = VSOCK_GREETING;
	if (loop_add(m->loop, &s->source, HOST_EVENTS) < 0) {
		counter_add(&m->counters.muxer_event_fails, 1);
		s->source.fd = -1;
		vsock_table_give(s);
		return NULL;
	}
	(void)fd_take(&owned);
	counter_add(&m->counters.conns_added, 1);
	return s;
}

/* #syscalls:main close madvise:2=MADV_DONTNEED */
static void host_close(struct vsock_muxer *m, struct vsock_slot *s)
{
	if (s->source.fd < 0)
		return;
	loop_del(m->loop, &s->source);
	fd_close(&s->source.fd);
	s->readable = false;
	if (s->buf_touched)
		(void)madvise(vsock_slot_buffer(s), VSOCK_BUFFER_SIZE, MADV_DONTNEED);
	s->buf_touched = false;
	s->buf_len = 0;
}

void vsock_host_remove(struct vsock_muxer *m, struct vsock_slot *s)
{
	host_close(m, s);
	vsock_table_give(s);
	counter_add(&m->counters.conns_removed, 1);
}

void vsock_host_kill(struct vsock_muxer *m, struct vsock_slot *s)
{
	counter_add(&m->counters.conns_killed, 1);
	vsock_timer_disarm(s);
	host_close(m, s);
	vsock_conn_reset(&s->conn);
	vsock_queue_push(s);
}

/* #syscalls:main timerfd_settime */
void vsock_host_set_timer(struct vsock_muxer *m, uint64_t deadline_ns)
{
	const struct itimerspec at = {
		.it_value = {.tv_sec = (time_t)(deadline_ns / CLOCK_NS_PER_S),
			.tv_nsec = (long)(deadline_ns % CLOCK_NS_PER_S)},
	};

	m->timer_armed = timerfd_settime(m->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) == 0;
}

/* All periods are equal: an armed timer is never later than this deadline. */
void vsock_host_arm(struct vsock_muxer *m, struct vsock_slot *s)
{
	vsock_timer_arm(s, clock_mono_ns());
	if (!m->timer_armed)
		vsock_host_set_timer(m, s->deadline_ns);
}

/* ---- writing ---- */

/* Bytes taken, 0 if the socket is full, or -errno: the host's end is gone. */
static ssize_t host_send(struct vsock_slot *s, struct iovec *iov, int count)
{
	const struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)count};
	/* #syscalls:main sendmsg:2=MSG_NOSIGNAL|MSG_DONTWAIT */
	ssize_t n = sendmsg(s->source.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static void host_await_out(struct vsock_muxer *m, struct vsock_slot *s, bool on)
{
	if (s->awaits_out == on)
		return;
	s->awaits_out = on;
	/* Setting an edge-triggered source anew reports at once what is already so. */
	if (loop_mod(m->loop, &s->source, HOST_EVENTS | (on ? (uint32_t)EPOLLOUT : 0)) < 0)
		counter_add(&m->counters.conn_event_fails, 1);
}

static void host_forwarded(struct vsock_muxer *m, struct vsock_slot *s, uint32_t len)
{
	counter_add(&m->counters.tx_bytes_count, len);
	vsock_conn_forwarded(&s->conn, len);
	vsock_queue_push(s);
}

/* The host does not read any more: what waits is dropped, what it still says is delivered. */
static void host_deaf(struct vsock_muxer *m, struct vsock_slot *s)
{
	uint32_t len = s->buf_len;

	vsock_slot_drop(s, len);
	vsock_conn_forwarded(&s->conn, len);
	vsock_conn_host_shut(&s->conn, VSOCK_SHUTDOWN_RCV);
	host_await_out(m, s, false);
	vsock_queue_push(s);
}

/*
 * What the guest will not do any more, passed on as far as it can be; the end of its bytes waits
 * for the last of them.
 * #syscalls:main shutdown:1=SHUT_RD shutdown:1=SHUT_WR
 */
static void host_apply_shut(struct vsock_muxer *m, struct vsock_slot *s)
{
	uint8_t shut = s->conn.guest_shut;

	if (shut == VSOCK_SHUTDOWN_BOTH) {
		if (s->buf_len > 0) {
			if (!s->timed)
				vsock_host_arm(m, s);
			return;
		}
		/* In good order: not a kill. */
		vsock_timer_disarm(s);
		host_close(m, s);
		vsock_conn_reset(&s->conn);
		vsock_queue_push(s);
		return;
	}
	if (shut & VSOCK_SHUTDOWN_RCV) {
		(void)shutdown(s->source.fd, SHUT_RD);
		if (s->hung_up)
			vsock_conn_host_shut(&s->conn, VSOCK_SHUTDOWN_BOTH);
	}
	if ((shut & VSOCK_SHUTDOWN_SEND) && s->buf_len == 0)
		(void)shutdown(s->source.fd, SHUT_WR);
}

void vsock_host_flush(struct vsock_muxer *m, struct vsock_slot *s)
{
	ssize_t n = 0;

	if (s->buf_len == 0)
		return;
	while (s->buf_len > 0) {
		struct iovec iov[2];

		n = host_send(s, iov, vsock_slot_peek(s, iov));
		if (n <= 0)
			break;
		vsock_slot_drop(s, (uint32_t)n);
		host_forwarded(m, s, (uint32_t)n);
	}
	if (n < 0) {
		counter_add(&m->counters.tx_flush_fails, 1);
		host_deaf(m, s);
	}
	if (s->buf_len > 0)
		return;
	host_await_out(m, s, false);
	host_apply_shut(m, s);
}

/* Bytes of the payload of c from off on, that the socket did not take. */
static void host_keep(struct vsock_muxer *m, struct vsock_slot *s, const struct chain *c,
	uint32_t off, uint32_t len)
{
	s->buf_touched = true;
	vsock_slot_put(s, c, VSOCK_HDR_SIZE + (uint64_t)off, len - off);
	host_await_out(m, s, true);
}

/* len bytes of payload behind the header of c join what is sent to s by one call. False: no room. */
static bool host_gather(
	struct vsock_gather *g, struct vsock_slot *s, const struct chain *c, uint32_t len)
{
	int count;

	if (g->packet_count == VSOCK_GATHER_MAX)
		return false;
	count = chain_iov(c, false, VSOCK_HDR_SIZE, len, g->iov + g->iov_count,
		(int)NELEM(g->iov) - g->iov_count);
	if (count < 0)
		return false;
	g->slot = s;
	g->iov_count += count;
	g->packets[g->packet_count++] = (struct vsock_gathered){c, len};
	g->len += len;
	return true;
}

void vsock_muxer_flush(struct vsock_muxer *m)
{
	struct vsock_gather *g = &m->gather;
	struct vsock_slot *s = g->slot;
	uint32_t taken;
	ssize_t n;

	if (!s)
		return;
	n = host_send(s, g->iov, g->iov_count);
	taken = n > 0 ? (uint32_t)n : 0;
	if (n < 0) {
		counter_add(&m->counters.tx_write_fails, 1);
		vsock_conn_forwarded(&s->conn, g->len);
		host_deaf(m, s);
	} else if (taken > 0) {
		host_forwarded(m, s, taken);
	}
	for (uint32_t i = 0; i < g->packet_count && n >= 0; i++) {
		const struct vsock_gathered *p = &g->packets[i];
		uint32_t off = MIN(taken, p->len);

		taken -= off;
		if (off < p->len)
			host_keep(m, s, p->chain, off, p->len);
	}
	g->slot = NULL;
	g->iov_count = 0;
	g->packet_count = g->len = 0;
}

/* len bytes of payload behind the header of c. */
static void host_data(
	struct vsock_muxer *m, struct vsock_slot *s, const struct chain *c, uint32_t len)
{
	if (len == 0)
		return;
	if (s->conn.host_shut & VSOCK_SHUTDOWN_RCV) {
		vsock_conn_forwarded(&s->conn, len);
		vsock_queue_push(s);
		return;
	}
	if (s->buf_len > 0) {
		host_keep(m, s, c, 0, len);
		return;
	}
	if (host_gather(&m->gather, s, c, len))
		return;
	vsock_muxer_flush(m);
	if (s->buf_len > 0 || (s->conn.host_shut & VSOCK_SHUTDOWN_RCV)) {
		host_data(m, s, c, len);
		return;
	}
	bool ok = host_gather(&m->gather, s, c, len);
	CHECK(ok); /* a chain alone has room, and its length was checked */
}

/* ---- packets from the guest ---- */

/* The guest asks for a port of the host: whoever listens on "<uds_path>_<port>". */
static void host_request(struct vsock_muxer *m, const struct vsock_hdr *h)
{
	struct vsock_slot *s = NULL;
	int fd = vsock_unix_connect(m->uds_path, h->dst_port);

	if (fd >= 0)
		s = vsock_host_add(m, fd);
	else
		log_guest(LOG_DEBUG, "vsock: %s_%u: %s", m->uds_path, h->dst_port, strerror(-fd));
	if (!s) {
		vsock_muxer_refuse(m, h);
		return;
	}
	vsock_conn_open_guest(&s->conn, h);
	vsock_table_insert(s);
	vsock_queue_push(s);
}

void vsock_muxer_recv(struct vsock_muxer *m, const struct vsock_hdr *h, const struct chain *c)
{
	struct vsock_slot *s = vsock_table_find(&m->table, h->dst_port, h->src_port);
	unsigned act;

	if (m->gather.slot != s || h->op != VSOCK_OP_RW)
		vsock_muxer_flush(m); /* it removes no connection */
	if (!s) {
		if (h->op == VSOCK_OP_REQUEST)
			host_request(m, h);
		else
			vsock_muxer_refuse(m, h);
		return;
	}
	act = vsock_conn_recv(&s->conn, h);
	if (act & VSOCK_DO_OPEN) {
		vsock_timer_disarm(s);
		s->readable = true;
		if (vsock_unix_greet(s->source.fd, s->conn.local_port) < 0)
			act |= VSOCK_DO_RESET; /* the client has not waited */
	}
	if (act & VSOCK_DO_DATA)
		host_data(m, s, c, h->len);
	if (act & VSOCK_DO_SHUT)
		host_apply_shut(m, s);
	if (act & VSOCK_DO_FORGET)
		vsock_host_remove(m, s);
	else if (act & VSOCK_DO_RESET)
		vsock_host_kill(m, s);
	else
		vsock_queue_push(s); /* there may be credit now, or an answer */
}
