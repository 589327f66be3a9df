/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio vsock: from the host to the guest. The guest's receive buffers are filled with what the
 * muxer has, connection after connection. See vsock_dev.h.
 */
#include "virtio/vsock_dev.h"

#include "vmm/base/check.h"

/*
 * 1 and a buffer with room for a header and more, 0 if the guest has given none, -1: broken. must: without
 * this one nothing can be done.
 */
static int vsock_rx_pop(struct vsock *v, struct chain *c, bool must)
{
	struct vq *q = &v->dev.vqs[VSOCK_QUEUE_RX];
	const char *why = NULL;
	int rc = vq_pop(q, c, &why);

	if (rc == 0 && must && refill_wait(&v->refill, q, &v->refill_timer, q->st.size))
		rc = vq_pop(q, c, &why);
	if (rc > 0 && c->wr_bytes <= VSOCK_HDR_SIZE) {
		why = "a receive buffer has no room for a packet";
		rc = -1;
	}
	if (rc < 0) {
		counter_add(&v->muxer.counters.rx_queue_event_fails, 1);
		virtio_dev_broken(&v->dev, why);
	}
	return rc;
}

static void vsock_rx_push(
	struct vsock *v, const struct vsock_turn *t, const struct chain *c, uint32_t len)
{
	struct vsock_hdr h;
	int rc;

	vsock_muxer_build(&v->muxer, t, len, &h);
	rc = chain_write(c, 0, &h, sizeof(h));
	CHECK(rc == 0); /* vsock_rx_pop made sure */
	vq_push(&v->dev.vqs[VSOCK_QUEUE_RX], c, VSOCK_HDR_SIZE + len);
}

/* As vsock_rx_data, for a packet without payload. */
static int vsock_rx_control(struct vsock *v, const struct vsock_turn *t)
{
	int rc = vsock_rx_pop(v, &v->chains[0], true);

	if (rc > 0)
		vsock_rx_push(v, t, &v->chains[0], 0);
	return rc > 0 ? 1 : -1;
}

/*
 * One connection's turn with bytes of the host: as many guest buffers as its burst allows are
 * filled by one read. Returns how many packets that made, -1 if the guest gave no buffer.
 */
static int vsock_rx_data(struct vsock *v, const struct vsock_turn *t, uint32_t budget)
{
	uint32_t want = MIN(vsock_conn_credit(&t->slot->conn), VSOCK_BUFFER_SIZE);
	uint32_t max = MIN(MIN(t->slot->burst, VSOCK_BURST_MAX), budget);
	struct iovec iov[CHAIN_SEGS_MAX + VSOCK_BURST_MAX];
	uint32_t lens[VSOCK_BURST_MAX] = {0};
	uint32_t count = 0, used = 0, room = 0, got;
	int iov_count = 0, rc = 1;

	while (count < max && room < want) {
		struct chain *c = &v->chains[count];
		uint32_t len;

		rc = vsock_rx_pop(v, c, count == 0);
		if (rc <= 0)
			break;
		len = (uint32_t)MIN(c->wr_bytes - VSOCK_HDR_SIZE, (uint64_t)(want - room));
		rc = chain_iov(
			c, true, VSOCK_HDR_SIZE, len, iov + iov_count, (int)NELEM(iov) - iov_count);
		if (rc < 0) { /* in many pieces: not the first, for which there is always room */
			vq_unpop(&v->dev.vqs[VSOCK_QUEUE_RX]);
			break;
		}
		iov_count += rc;
		room += len;
		lens[count++] = len;
	}
	if (count == 0 || (v->dev.status & VIRTIO_STATUS_NEEDS_RESET))
		return -1;
	got = vsock_muxer_read(&v->muxer, t->slot, iov, iov_count, room);
	for (; got > 0 && used < count; used++) {
		uint32_t len = MIN(got, lens[used]);

		vsock_rx_push(v, t, &v->chains[used], len);
		got -= len;
	}
	for (uint32_t i = used; i < count; i++)
		vq_unpop(&v->dev.vqs[VSOCK_QUEUE_RX]);
	return (int)used;
}

void vsock_rx_fill(struct vsock *v)
{
	struct vsock_turn t = {.op = VSOCK_OP_INVALID};
	uint32_t budget = VIRTIO_BATCH_MAX, turns = 2 * VIRTIO_BATCH_MAX;
	bool more;

	if (v->event_due || v->rx_held)
		return;
	refill_seen(&v->refill, &v->dev.vqs[VSOCK_QUEUE_RX]);
	vq_kicks_off(&v->dev.vqs[VSOCK_QUEUE_RX]);
	while ((more = vsock_muxer_next(&v->muxer, &t)) && budget > 0 && turns > 0) {
		int n = t.op == VSOCK_OP_RW ? vsock_rx_data(v, &t, budget)
					    : vsock_rx_control(v, &t);

		if (n < 0)
			break; /* the guest's next kick goes on from here */
		vsock_muxer_done(&v->muxer, &t);
		budget -= (uint32_t)n;
		turns--;
	}
	if (budget < VIRTIO_BATCH_MAX)
		virtio_dev_signal(&v->dev, VSOCK_QUEUE_RX);
	if (more && (budget == 0 || turns == 0) && v->dev.transport)
		v->dev.transport->kick(&v->dev, VSOCK_QUEUE_RX);
}
