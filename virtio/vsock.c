/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio vsock: the device and its queues. See vsock.h; virtio 1.2 §5.10.
 *
 * Packets from the guest are taken from the tx queue and handed to the muxer; the rx queue is
 * filled with what the muxer has, connection after connection. The two do not wait for each other
 * (§5.10.6.4.2), with one exception: when so many RST wait for guest buffers that a batch of
 * packets might not find room for its answers, the tx queue rests until the guest takes some.
 *
 * Threads. All work is the owner thread's. Activation, on a vCPU's thread, only kicks the rx queue;
 * a reset only sets `stale` and wakes the owner, which ends the connections before it does
 * anything else.
 */
#include "virtio/vsock.h"

#include "virtio/feature.h"
#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define VSOCK_DEVICE_ID 19u

enum { VSOCK_QUEUE_RX, VSOCK_QUEUE_TX, VSOCK_QUEUE_EVENT, VSOCK_QUEUE_COUNT };

/* Packets that one read may fill. */
#define VSOCK_BURST_MAX 16u

struct vsock {
	struct virtio_dev dev; /* first */
	struct vsock_state st;
	char *uds_path;    /* owned */
	int wake_fd;       /* owned eventfd: there was a reset */
	bool stale;        /* the connections are of a driver that is gone */
	bool tx_rests;     /* packets wait in the tx queue for room for answers */
	struct loop *loop; /* borrowed */
	struct loop_source listen_source, timer_source, wake_source;
	struct vsock_muxer muxer;
	struct chain tx_chain;
	struct chain rx_chains[VSOCK_BURST_MAX];
};

static const struct field vsock_state_fields[] = {
	FIELD(1, 1, struct vsock_state, guest_cid, UINT32_MAX - 1),
	FIELD(2, 1, struct vsock_state, reserved, 0),
};

static int vsock_state_check(const void *state, struct err *e)
{
	const struct vsock_state *s = state;

	if (s->reserved != 0)
		return err_set(e, -EINVAL, "vsock.reserved is not zero");
	if (s->guest_cid < VSOCK_CID_MIN)
		return err_set(e, -EINVAL, "vsock.guest_cid is %u, the least is %u", s->guest_cid,
			VSOCK_CID_MIN);
	return 0;
}

const struct field_table vsock_state_table =
	FIELD_TABLE("vsock", struct vsock_state, vsock_state_fields, vsock_state_check);

static struct vsock *vsock_of(struct virtio_dev *d)
{
	return (struct vsock *)d;
}

/* ---- to the guest ---- */

/* 1 and a buffer with room for a header and more, 0 if the guest has given none, -1: broken. */
static int vsock_rx_pop(struct vsock *v, struct chain *c)
{
	struct vq *q = &v->dev.vqs[VSOCK_QUEUE_RX];
	const char *why = NULL;
	int rc = vq_pop(q, c, &why);

	if (rc == 0 && vq_kicks_on(q))
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
	int rc = vsock_rx_pop(v, &v->rx_chains[0]);

	if (rc > 0)
		vsock_rx_push(v, t, &v->rx_chains[0], 0);
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
		struct chain *c = &v->rx_chains[count];
		uint32_t len;

		rc = vsock_rx_pop(v, c);
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

		vsock_rx_push(v, t, &v->rx_chains[used], len);
		got -= len;
	}
	for (uint32_t i = used; i < count; i++)
		vq_unpop(&v->dev.vqs[VSOCK_QUEUE_RX]);
	return (int)used;
}

/* Gives the guest what there is, as far as it has room, up to a batch. */
static void vsock_rx_fill(struct vsock *v)
{
	struct vsock_turn t = {.op = VSOCK_OP_INVALID};
	uint32_t budget = VIRTIO_BATCH_MAX, turns = 2 * VIRTIO_BATCH_MAX;
	bool more;

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

/* ---- from the guest ---- */

static void vsock_tx_one(struct virtio_dev *d, struct vq *q, struct chain *c)
{
	struct vsock *v = vsock_of(d);
	struct vsock_hdr h;
	const char *why;

	counter_add(&v->muxer.counters.tx_packets_count, 1);
	switch (vsock_packet_read(c, v->st.guest_cid, &h, &why)) {
	case VSOCK_PACKET_GOOD:
		vsock_muxer_recv(&v->muxer, &h, c);
		break;
	case VSOCK_PACKET_RESET:
		vsock_muxer_refuse(&v->muxer, &h);
		break;
	case VSOCK_PACKET_DROP:
		counter_add(&v->muxer.counters.tx_queue_event_fails, 1);
		log_guest(LOG_WARN, "vsock: a packet from the guest was dropped: %s", why);
		break;
	}
	vq_push(q, c, 0);
}

static void vsock_tx_drain(struct vsock *v)
{
	v->tx_rests = !vsock_muxer_has_room(&v->muxer, VIRTIO_BATCH_MAX);
	if (!v->tx_rests)
		(void)virtio_dev_serve(&v->dev, VSOCK_QUEUE_TX, &v->tx_chain, vsock_tx_one);
}

/* ---- events; the owner thread, with the lock held ---- */

/* Ends what a reset has left. False if the driver is not running. */
static bool vsock_live(struct vsock *v)
{
	if (v->stale)
		vsock_muxer_purge(&v->muxer);
	v->stale = false;
	return v->dev.activated && !(v->dev.status & VIRTIO_STATUS_NEEDS_RESET);
}

/* After any event: everything that can move now, moves. */
static void vsock_work(struct vsock *v)
{
	bool clients = vsock_muxer_accept(&v->muxer);

	vsock_rx_fill(v);
	if (clients && v->dev.transport)
		v->dev.transport->kick(&v->dev, VSOCK_QUEUE_RX);
	if (v->tx_rests && vsock_muxer_has_room(&v->muxer, VIRTIO_BATCH_MAX) && v->dev.transport)
		v->dev.transport->kick(&v->dev, VSOCK_QUEUE_TX);
}

static void vsock_notify(struct virtio_dev *d, uint16_t q)
{
	struct vsock *v = vsock_of(d);

	if (!vsock_live(v) || q == VSOCK_QUEUE_EVENT)
		return; /* events are only for restored guests */
	if (q == VSOCK_QUEUE_TX) {
		counter_add(&v->muxer.counters.tx_queue_event_count, 1);
		vsock_tx_drain(v);
	} else {
		counter_add(&v->muxer.counters.rx_queue_event_count, 1);
	}
	if (vsock_live(v))
		vsock_work(v);
}

static void vsock_on_slot(void *ctx, uint32_t events)
{
	struct vsock_slot *s = ctx;
	struct vsock *v = s->table->owner;

	virtio_dev_lock(&v->dev);
	if (vsock_live(v)) {
		vsock_muxer_event(s, events);
		vsock_work(v);
	}
	virtio_dev_unlock(&v->dev);
}

/* Edge-triggered too: a client waits, without costing anything, until there is a driver. */
static void vsock_on_listen(void *ctx, uint32_t events)
{
	struct vsock *v = ctx;

	(void)events;
	virtio_dev_lock(&v->dev);
	v->muxer.listen_ready = true;
	if (vsock_live(v))
		vsock_work(v);
	virtio_dev_unlock(&v->dev);
}

/* #syscalls:main read */
static void vsock_on_timer(void *ctx, uint32_t events)
{
	struct vsock *v = ctx;
	uint64_t count;

	(void)events;
	virtio_dev_lock(&v->dev);
	if (read(v->muxer.timer_fd, &count, sizeof(count)) == (ssize_t)sizeof(count)) {
		bool live = vsock_live(v);

		vsock_muxer_expire(&v->muxer, clock_mono_ns());
		if (live)
			vsock_work(v);
	}
	virtio_dev_unlock(&v->dev);
}

/* #syscalls:main read */
static void vsock_on_wake(void *ctx, uint32_t events)
{
	struct vsock *v = ctx;
	uint64_t count;

	(void)events;
	virtio_dev_lock(&v->dev);
	(void)!read(v->wake_fd, &count, sizeof(count));
	(void)vsock_live(v);
	virtio_dev_unlock(&v->dev);
}

/* ---- the device's operations ---- */

static int vsock_activate(struct virtio_dev *d)
{
	if (d->transport)
		d->transport->kick(d, VSOCK_QUEUE_RX); /* clients may be waiting */
	return 0;
}

/* #syscalls:* write */
static void vsock_reset(struct virtio_dev *d)
{
	static const uint64_t one = 1;
	struct vsock *v = vsock_of(d);

	v->stale = true;
	v->tx_rests = false;
	(void)!write(v->wake_fd, &one, sizeof(one)); /* fails only if it is awake already */
}

static void vsock_config_read(struct virtio_dev *d, uint32_t off, void *data, uint32_t len)
{
	const uint64_t guest_cid = vsock_of(d)->st.guest_cid;

	memcpy(data, (const unsigned char *)&guest_cid + off, len);
}

/* The guest's driver asks for its address only once, so the saved one counts. */
static int vsock_load(struct virtio_dev *d, const void *state, struct err *e)
{
	struct vsock *v = vsock_of(d);

	(void)e;
	v->st = *(const struct vsock_state *)state;
	v->muxer.guest_cid = v->st.guest_cid;
	return 0;
}

static void vsock_unwatch(struct vsock *v, struct loop_source *s)
{
	if (s->fn)
		loop_del(v->loop, s);
}

static void vsock_destroy(struct virtio_dev *d)
{
	struct vsock *v = vsock_of(d);

	vsock_unwatch(v, &v->listen_source);
	vsock_unwatch(v, &v->timer_source);
	vsock_unwatch(v, &v->wake_source);
	vsock_muxer_fini(&v->muxer);
	fd_close(&v->wake_fd);
	virtio_dev_fini(d);
	free(v->uds_path);
	free(v);
}

/* A packet is dealt with before notify returns: nothing is ever in flight, so there is no drain. */
static const struct virtio_ops vsock_ops = {
	.name = "vsock",
	.device_id = VSOCK_DEVICE_ID,
	.queue_count = VSOCK_QUEUE_COUNT,
	.queue_size_max = VQ_SIZE_MAX,
	.state = &vsock_state_table,
	.config_size = sizeof(uint64_t),
	.activate = vsock_activate,
	.notify = vsock_notify,
	.reset = vsock_reset,
	.config_read = vsock_config_read,
	.load = vsock_load,
	.destroy = vsock_destroy,
};

static int vsock_watch(
	struct vsock *v, struct loop_source *s, int fd, loop_fn fn, uint32_t events, struct err *e)
{
	int rc;

	*s = (struct loop_source){.fd = fd, .fn = fn, .ctx = v};
	rc = loop_add(v->loop, s, events);
	if (rc == 0)
		return 0;
	s->fn = NULL;
	return err_set_os(e, rc, "vsock: cannot watch its descriptors");
}

static int vsock_init(struct vsock *v, const struct vsock_config *c, struct err *e)
{
	int rc;

	v->uds_path = strdup(c->uds_path);
	if (!v->uds_path)
		return err_set_os(e, -ENOMEM, "vsock");
	rc = vsock_muxer_init(&v->muxer, v->loop, vsock_on_slot, v, v->uds_path, e);
	if (rc < 0)
		return rc;
	v->muxer.guest_cid = v->st.guest_cid = c->guest_cid;
	v->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->wake_fd < 0)
		return err_set_os(e, -errno, "vsock: cannot make an event descriptor");
	if ((rc = vsock_watch(v, &v->wake_source, v->wake_fd, vsock_on_wake, EPOLLIN, e)) < 0 ||
		(rc = vsock_watch(
			 v, &v->timer_source, v->muxer.timer_fd, vsock_on_timer, EPOLLIN, e)) < 0)
		return rc;
	return vsock_watch(v, &v->listen_source, v->muxer.listen_fd, vsock_on_listen,
		EPOLLIN | (uint32_t)EPOLLET, e);
}

int vsock_create(struct gmem *mem, struct loop *loop, const struct vsock_config *c,
	struct virtio_dev **ret, struct err *e)
{
	struct vsock *v;
	int rc;

	if (c->guest_cid < VSOCK_CID_MIN || c->guest_cid == UINT32_MAX)
		return err_set(e, -EINVAL,
			"vsock.guest_cid is %u; give one from %u to 4294967294, smaller ones are "
			"reserved",
			c->guest_cid, VSOCK_CID_MIN);
	v = calloc(1, sizeof(*v));
	if (!v)
		return err_set_os(e, -ENOMEM, "vsock");
	virtio_dev_init(&v->dev, &vsock_ops, "vsock", mem, 1ULL << VIRTIO_F_IN_ORDER,
		vsock_ops.queue_count);
	v->dev.state = &v->st;
	v->loop = loop;
	v->wake_fd = v->muxer.listen_fd = v->muxer.timer_fd = -1;
	rc = vsock_init(v, c, e);
	if (rc < 0) {
		vsock_destroy(&v->dev);
		return rc;
	}
	*ret = &v->dev;
	return 0;
}

const struct vsock_counters *vsock_counters_get(const struct virtio_dev *d)
{
	return &((const struct vsock *)d)->muxer.counters;
}
