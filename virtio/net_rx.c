/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames from the back end to the guest. Buffers are taken from the receive queue ahead of time,
 * enough for the largest frame, so that one readv puts a frame of any size in place; the ones it
 * did not need wait for the next. Only the header goes through a local, because it must be checked
 * and because num_buffers is known last.
 */
#include "virtio/net_dev.h"

#include "vmm/base/check.h"
#include "vmm/base/clock.h"

#include <errno.h>

static struct net_rx_buf *net_rx_buf_at(struct net_rx *rx, uint32_t i)
{
	return &rx->bufs[(rx->buf_first + i) % NELEM(rx->bufs)];
}

static struct chain_seg *net_rx_seg_at(struct net_rx *rx, uint32_t i)
{
	return &rx->segs[(rx->seg_first + i) % NET_RX_SEGS_MAX];
}

static void net_rx_empty(struct net_rx *rx)
{
	rx->buf_first = rx->buf_count = rx->seg_first = rx->seg_count = 0;
	rx->bytes = 0;
	rx->held = 0;
	rx->deep = false;
}

void net_rx_forget(struct net_pair *p)
{
	net_rx_empty(&p->rx);
	p->refill = (struct refill){0};
}

void net_rx_release(struct net_pair *p)
{
	for (uint32_t i = 0; i < p->rx.buf_count; i++)
		vq_unpop(net_rx_queue(p));
	if (p->rx.held > 0)
		counter_add(&p->net->counters.rx_fails, 1);
	net_rx_empty(&p->rx);
}

static void net_rx_keep(struct net_rx *rx, const struct chain *c)
{
	*net_rx_buf_at(rx, rx->buf_count) = (struct net_rx_buf){
		.head = c->head, .seg_count = c->wr_count, .bytes = c->wr_bytes};
	for (uint32_t i = 0; i < c->wr_count; i++)
		*net_rx_seg_at(rx, rx->seg_count + i) = c->seg[c->rd_count + i];
	rx->buf_count++;
	rx->seg_count += c->wr_count;
	rx->bytes += c->wr_bytes;
}

static bool net_rx_full(const struct net *n, const struct net_rx *rx)
{
	if (!virtio_has(&n->dev, NET_F_MRG_RXBUF))
		return rx->buf_count > 0;
	return rx->bytes >= NET_RX_WANT || rx->buf_count == NELEM(rx->bufs) ||
	       rx->seg_count + CHAIN_SEGS_MAX > NET_RX_SEGS_MAX;
}

/* Takes buffers until the largest frame fits. Those that cannot even hold a header go back. */
static void net_rx_fill(struct net_pair *p)
{
	struct net *n = p->net;
	struct vq *q = net_rx_queue(p);
	const char *why = NULL;

	for (uint32_t turns = 0; turns < VQ_SIZE_MAX && !net_rx_full(n, &p->rx); turns++) {
		int rc = vq_pop(q, &n->chain, &why);

		if (rc < 0)
			virtio_dev_broken(&n->dev, why);
		if (rc <= 0)
			return;
		if (n->chain.wr_bytes >= NET_HEADER_SIZE) {
			net_rx_keep(&p->rx, &n->chain);
		} else {
			counter_add(&n->counters.rx_fails, 1);
			vq_push(q, &n->chain, 0);
		}
	}
}

/*
 * A frame may be fetched. A driver that merges buffers and once gave enough for the largest frame
 * will do so again: waiting for that loses nothing, fetching into less may lose a frame. One that
 * never gave as much gets what fits.
 */
static bool net_rx_ready(struct net_pair *p)
{
	struct net_rx *rx = &p->rx;

	if (rx->held > 0)
		return true;
	if (!net_rx_full(p->net, rx))
		net_rx_fill(p);
	if (rx->buf_count == 0)
		return false;
	if (net_rx_full(p->net, rx) || rx->buf_count == net_rx_queue(p)->st.size) {
		rx->deep = true;
		return true;
	}
	return !rx->deep;
}

/* Guest iovecs behind the header's place, at most NET_FRAME_MAX bytes. Returns their number. */
static int net_rx_iov(struct net_rx *rx, struct iovec *iov, uint64_t *ret_room)
{
	uint64_t skip = NET_HEADER_SIZE, room = 0;
	int count = 0;

	for (uint32_t i = 0; i < rx->seg_count && room < NET_FRAME_MAX; i++) {
		const struct chain_seg *s = net_rx_seg_at(rx, i);
		uint64_t off = MIN(skip, (uint64_t)s->len);
		uint64_t len = MIN(s->len - off, NET_FRAME_MAX - room);

		skip -= off;
		if (len == 0)
			continue;
		iov[count++] = (struct iovec){
			.iov_base = gmem_host_addr((unsigned char __guest *)s->host + off),
			.iov_len = len};
		room += len;
	}
	*ret_room = room;
	return count;
}

/* The kernel wrote into buffers that will not be given back with this content. */
static void net_rx_mark_dirty(struct net_pair *p, uint64_t len)
{
	for (uint32_t i = 0; i < p->rx.seg_count && len > 0; i++) {
		const struct chain_seg *s = net_rx_seg_at(&p->rx, i);
		uint64_t part = MIN(len, (uint64_t)s->len);

		gmem_mark_dirty(p->net->dev.mem, s->at, part);
		len -= part;
	}
}

/*
 * The back end obeys what the driver accepted, but a frame may have been queued there before an
 * earlier driver was reset.
 */
static bool net_rx_header_fits(const struct net *n, struct net_header *h)
{
	const struct virtio_dev *d = &n->dev;

	h->num_buffers = 0;
	if (!virtio_has(d, NET_F_GUEST_CSUM)) {
		if (h->flags & NET_HDR_NEEDS_CSUM)
			return false;
		h->flags = 0;
	}
	switch (h->gso_type) {
	case NET_GSO_NONE:
		return true;
	case NET_GSO_TCPV4:
		return virtio_has(d, NET_F_GUEST_TSO4);
	case NET_GSO_TCPV6:
		return virtio_has(d, NET_F_GUEST_TSO6);
	case NET_GSO_UDP:
		return virtio_has(d, NET_F_GUEST_UFO);
	case NET_GSO_UDP_L4:
		return virtio_has(d, NET_F_GUEST_USO4);
	default:
		return false;
	}
}

/* 1: rx->held is set; 0: there is no frame; -ENOBUFS: there was one, and it is lost. */
static int net_rx_fetch_tap(struct net_pair *p)
{
	struct net *n = p->net;
	struct net_rx *rx = &p->rx;
	char beyond;
	uint64_t room;
	int count = net_rx_iov(rx, n->iov + 1, &room);
	ssize_t got;

	n->iov[0] = (struct iovec){.iov_base = &rx->hdr, .iov_len = NET_HEADER_SIZE};
	n->iov[count + 1] = (struct iovec){.iov_base = &beyond, .iov_len = 1};
	got = n->backend->ops->receive(n->backend, p->index, n->iov, count + 2);
	if (got == -EAGAIN)
		return 0;
	if (got < 0) {
		counter_add(&n->counters.tap_read_fails, 1);
		counter_add(&n->counters.rx_fails, 1);
		if (net_backend_lost((int)got))
			net_link_lost(n, (int)got);
		return net_backend_lost((int)got) ? 0 : -ENOBUFS;
	}
	if ((uint64_t)got < NET_HEADER_SIZE + NET_ETH_SIZE ||
		(uint64_t)got > NET_HEADER_SIZE + room || !net_rx_header_fits(n, &rx->hdr)) {
		counter_add(&n->counters.rx_fails, 1);
		net_rx_mark_dirty(p, MIN((uint64_t)got, NET_HEADER_SIZE + room));
		return -ENOBUFS;
	}
	rx->held = (uint32_t)got;
	return 1;
}

/* Puts a frame into the buffers, behind the header's place. It fits: see net_rx_fetch_diverted. */
static void net_rx_put(struct net_pair *p, const unsigned char *frame, uint64_t len)
{
	uint64_t skip = NET_HEADER_SIZE, done = 0;

	for (uint32_t i = 0; i < p->rx.seg_count && done < len; i++) {
		const struct chain_seg *s = net_rx_seg_at(&p->rx, i);
		uint64_t off = MIN(skip, (uint64_t)s->len), part = MIN(s->len - off, len - done);
		int rc = gmem_write(p->net->dev.mem, GPA(s->at.v + off), frame + done, part);

		CHECK(rc == 0); /* segments are inside RAM */
		skip -= off;
		done += part;
	}
}

/* As net_rx_fetch_tap, from the service inside the monitor. */
static int net_rx_fetch_diverted(struct net_pair *p)
{
	struct net *n = p->net;
	struct net_rx *rx = &p->rx;
	size_t len = p->index == 0 ? net_divert_rx(n) : 0;

	if (len == 0)
		return 0;
	if (len + NET_HEADER_SIZE > rx->bytes) {
		counter_add(&n->counters.rx_fails, 1);
		return -ENOBUFS;
	}
	net_rx_put(p, n->divert, len);
	rx->hdr = (struct net_header){.num_buffers = 0};
	rx->held = (uint32_t)(len + NET_HEADER_SIZE);
	rx->free_pass = true;
	return 1;
}

/* Tap and service take turns; either goes on alone while the other has nothing. */
static int net_rx_fetch(struct net_pair *p)
{
	struct net_rx *rx = &p->rx;
	bool tap_first = rx->tap_turn;
	int rc;

	rx->free_pass = false;
	rx->tap_turn = !tap_first;
	rc = tap_first ? net_rx_fetch_tap(p) : net_rx_fetch_diverted(p);
	if (rc != 0)
		return rc;
	return tap_first ? net_rx_fetch_diverted(p) : net_rx_fetch_tap(p);
}

/* The oldest buffer as the chain it was. */
static void net_rx_take(struct net_pair *p, struct chain *c)
{
	struct net_rx *rx = &p->rx;
	const struct net_rx_buf *b = net_rx_buf_at(rx, 0);

	c->mem = p->net->dev.mem;
	c->head = b->head;
	c->rd_count = 0;
	c->rd_bytes = 0;
	c->wr_count = b->seg_count;
	c->wr_bytes = b->bytes;
	for (uint32_t i = 0; i < b->seg_count; i++)
		c->seg[i] = *net_rx_seg_at(rx, i);
	rx->buf_first = (rx->buf_first + 1) % NELEM(rx->bufs);
	rx->seg_first = (rx->seg_first + b->seg_count) % NET_RX_SEGS_MAX;
	rx->buf_count--;
	rx->seg_count -= b->seg_count;
	rx->bytes -= b->bytes;
}

/* Gives the held frame to the driver: all its buffers appear at once, or a poller sees half. */
static void net_rx_deliver(struct net_pair *p)
{
	struct net *n = p->net;
	struct net_rx *rx = &p->rx;
	struct vq *q = net_rx_queue(p);
	uint64_t left = rx->held, sum = 0;
	uint16_t count = 0;
	int rc = 0;

	while (sum < left)
		sum += net_rx_buf_at(rx, count++)->bytes;
	rx->hdr.num_buffers = count;
	for (uint16_t i = 0; i < count; i++) {
		uint32_t len;

		net_rx_take(p, &n->chain);
		len = (uint32_t)MIN(left, n->chain.wr_bytes);
		if (i == 0)
			rc = chain_write(&n->chain, 0, &rx->hdr, NET_HEADER_SIZE);
		vq_push_hidden(q, &n->chain, rc == 0 ? len : 0);
		left -= len;
	}
	vq_publish(q);
	counter_add(&n->counters.rx_bytes_count, rx->held - NET_HEADER_SIZE);
	counter_add(&n->counters.rx_packets_count, 1);
	counter_add(&n->counters.rx_count, 1);
	rx->held = 0;
}

static bool net_rx_may_pass(struct net_pair *p)
{
	struct net *n = p->net;
	uint64_t bytes = p->rx.held - NET_HEADER_SIZE, now;

	if (!rate_limiter_active(&n->rx_limiter))
		return true;
	now = clock_mono_ns();
	if (rate_limiter_charge(&n->rx_limiter, bytes, 1, now))
		return true;
	counter_add(&n->counters.rx_rate_limiter_throttled, 1);
	rate_timer_arm(&n->rx_timer, rate_limiter_delay_ns(&n->rx_limiter, bytes, 1, now));
	return false;
}

/* Delivers one frame, or loses one, and returns true; false: nothing more to do for now. */
static bool net_rx_step(struct net_pair *p, bool *ret_delivered)
{
	if (p->rx.held == 0) {
		int rc = net_rx_fetch(p);

		p->rx_wanted = rc == 0;
		if (rc <= 0)
			return rc < 0;
	}
	if (!p->rx.free_pass && !net_rx_may_pass(p))
		return false;
	net_rx_deliver(p);
	*ret_delivered = true;
	return true;
}

/* Buffers that the driver can still give. */
static uint16_t net_rx_most(struct net_pair *p)
{
	return (uint16_t)(net_rx_queue(p)->st.size - p->rx.buf_count);
}

void net_rx_run(struct net_pair *p)
{
	struct net *n = p->net;
	struct vq *q = net_rx_queue(p);
	bool delivered = false;
	uint32_t turns;

	p->rx_wanted = false;
	if (!q->used) { /* the driver stopped the queue: the buffers are not ours any more */
		net_rx_forget(p);
		net_watch(p);
		return;
	}
	refill_seen(&p->refill, q);
	vq_kicks_off(q);
	for (turns = 0; turns < VIRTIO_BATCH_MAX && n->link_up; turns++) {
		bool ready = net_rx_ready(p);

		if (n->dev.status & VIRTIO_STATUS_NEEDS_RESET)
			break;
		if (ready) {
			if (!net_rx_step(p, &delivered))
				break;
		} else if (!refill_wait(&p->refill, q, &n->refill_timer, net_rx_most(p))) {
			counter_add(&n->counters.no_rx_avail_buffer, 1);
			break;
		} else {
			vq_kicks_off(q); /* more came in just before the kicks were on */
		}
	}
	if (delivered)
		virtio_dev_signal(&n->dev, (uint16_t)(2 * p->index));
	if (turns == VIRTIO_BATCH_MAX) {
		p->rx_wanted = true;
		if (n->dev.transport)
			n->dev.transport->kick(&n->dev, (uint16_t)(2 * p->index));
	}
	net_watch(p);
}
