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
#include "virtio/vsock_dev.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#define VSOCK_DEVICE_ID 19u

#define VSOCK_EVENT_TRANSPORT_RESET 0u

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

/* ---- from the guest ---- */

static void vsock_tx_one(struct vsock *v, const struct chain *c)
{
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
}

/*
 * A few packets at a time: what they hold is sent together before they are given back. 1: there may be
 * more; 0: there are none; < 0: broken. *served grows by those given back.
 */
static int vsock_tx_some(struct vsock *v, uint32_t max, uint32_t *served)
{
	struct vq *q = &v->dev.vqs[VSOCK_QUEUE_TX];
	const char *why = NULL;
	uint32_t count = 0;
	int rc = 1;

	while (count < max && (rc = vq_pop(q, &v->chains[count], &why)) > 0)
		vsock_tx_one(v, &v->chains[count++]);
	vsock_muxer_flush(&v->muxer);
	for (uint32_t i = 0; i < count; i++)
		vq_push(q, &v->chains[i], 0);
	*served += count;
	if (rc < 0)
		virtio_dev_broken(&v->dev, why);
	return rc;
}

/* As virtio_dev_serve. */
static void vsock_tx_drain(struct vsock *v)
{
	struct vq *q = &v->dev.vqs[VSOCK_QUEUE_TX];
	uint32_t served = 0;
	uint32_t turns;
	int rc = 1;

	v->tx_rests = !vsock_muxer_has_room(&v->muxer, VIRTIO_BATCH_MAX);
	if (v->tx_rests)
		return;
	vq_kicks_off(q);
	for (turns = 0; rc > 0 && served < VIRTIO_BATCH_MAX && turns < VIRTIO_BATCH_MAX; turns++) {
		rc = vsock_tx_some(v, MIN(VSOCK_BURST_MAX, VIRTIO_BATCH_MAX - served), &served);
		if (rc == 0 && vq_kicks_on(q)) {
			vq_kicks_off(q); /* more came in just before the kicks were on */
			rc = 1;
		}
	}
	if (served > 0)
		virtio_dev_signal(&v->dev, VSOCK_QUEUE_TX);
	if (rc > 0 && v->dev.transport)
		v->dev.transport->kick(&v->dev, VSOCK_QUEUE_TX);
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

/*
 * A restored guest is told that its connections are gone (virtio 1.2 §5.10.6.8). Until it has put a
 * buffer back in the place of the one that said so, it gets no packets: it would take one for a
 * new connection for news of an old one.
 */
static void vsock_tell_reset(struct vsock *v)
{
	struct vq *q = &v->dev.vqs[VSOCK_QUEUE_EVENT];
	const uint32_t event = VSOCK_EVENT_TRANSPORT_RESET;
	const char *why = NULL;
	int rc;

	if (v->rx_held && vq_kick_next(q) != v->event_mark)
		v->rx_held = false;
	if (!v->event_due)
		return;
	rc = vq_pop(q, &v->chains[0], &why);
	if (rc > 0 && chain_write(&v->chains[0], 0, &event, sizeof(event)) < 0) {
		why = "an event buffer has no room for an event";
		rc = -1;
	}
	if (rc < 0) {
		virtio_dev_broken(&v->dev, why);
		return;
	}
	v->event_mark = vq_kick_next(q);
	if (rc == 0)
		return; /* told when there is a buffer */
	vq_push(q, &v->chains[0], sizeof(event));
	v->event_due = false;
	v->rx_held = true;
	virtio_dev_signal(&v->dev, VSOCK_QUEUE_EVENT);
}

static void vsock_notify(struct virtio_dev *d, uint16_t q)
{
	struct vsock *v = vsock_of(d);

	if (!vsock_live(v))
		return;
	vsock_tell_reset(v);
	if (q == VSOCK_QUEUE_EVENT) {
		/* Nothing is asked of us there: only that the guest has taken an event. */
	} else if (q == VSOCK_QUEUE_TX) {
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

static void vsock_on_refill(void *ctx)
{
	struct vsock *v = ctx;

	virtio_dev_lock(&v->dev);
	if (vsock_live(v) && refill_tick(&v->refill, &v->refill_timer))
		vsock_work(v);
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
	v->tx_rests = v->event_due = v->rx_held = false;
	v->refill = (struct refill){0};
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
	rate_timer_fini(&v->refill_timer);
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

/* Each connection takes a descriptor; the rest of the monitor needs a few dozen. */
static void vsock_raise_nofile(void)
{
	const rlim_t want = VSOCK_CONNS_MAX + 128;
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= want)
		return;
	if (r.rlim_max < want)
		log_warn("vsock: RLIMIT_NOFILE is %llu at most, %u connections need %llu; more "
			 "clients "
			 "than descriptors will wait (raise the hard limit, e.g. LimitNOFILE=)",
			(unsigned long long)r.rlim_max, VSOCK_CONNS_MAX, (unsigned long long)want);
	r.rlim_cur = MIN(want, r.rlim_max);
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

static int vsock_init(struct vsock *v, const struct vsock_config *c, struct err *e)
{
	int rc;

	vsock_raise_nofile();
	rc = rate_timer_init(&v->refill_timer, v->loop, vsock_on_refill, v, e);
	if (rc < 0)
		return rc;
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
	v->wake_fd = v->muxer.listen_fd = v->muxer.timer_fd = v->refill_timer.fd = -1;
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

void vsock_transport_reset(struct virtio_dev *d)
{
	struct vsock *v = vsock_of(d);

	virtio_dev_lock(d);
	v->event_due = vsock_live(v);
	if (v->event_due)
		vsock_tell_reset(v);
	virtio_dev_unlock(d);
}
