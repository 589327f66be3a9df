/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network device as a device: features, configuration space, life, and what happens on which
 * event. See net.h for the contract and net_dev.h for how it works; virtio 1.2 §5.1.
 */
#include "virtio/net_dev.h"

#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NET_DEVICE_ID   1u
#define NET_S_LINK_UP   1u
#define NET_QUEUE_COUNT 2u

/* Configuration space, virtio 1.2 §5.1.4, as far as we fill it. */
struct net_space {
	uint8_t mac[NET_MAC_SIZE];
	uint16_t status;
	uint16_t max_virtqueue_pairs;
	uint16_t mtu;
};

bool net_backend_lost(int rc)
{
	return rc == -EBADFD || rc == -EBADF || rc == -ENODEV || rc == -ECONNRESET ||
	       rc == -EPIPE || rc == -ENOTCONN || rc == -EPROTO;
}

static bool net_live(const struct net *n)
{
	return n->dev.activated && !(n->dev.status & VIRTIO_STATUS_NEEDS_RESET);
}

void net_watch(struct net_pair *p)
{
	struct net *n = p->net;
	uint32_t events = 0;
	int rc = 0;

	if (net_live(n) && n->link_up && p->index < n->st.active_pairs)
		events = (p->rx_wanted ? EPOLLIN : 0u) | (p->tx_blocked ? EPOLLOUT : 0u);
	if (events == p->watched)
		return;
	/* Off the loop, not only without events: errors would be reported all the same. */
	if (events == 0)
		loop_del(n->loop, &p->source);
	else if (p->watched == 0)
		rc = loop_add(n->loop, &p->source, events);
	else
		rc = loop_mod(n->loop, &p->source, events);
	p->watched = rc < 0 ? 0 : events;
	if (rc < 0) {
		counter_add(&n->counters.event_fails, 1);
		log_guest(LOG_ERROR, "network interface %s: its %s cannot be watched: %s",
			n->iface_id, n->backend->ops->name, strerror(-rc));
	}
}

void net_link_lost(struct net *n, int rc)
{
	if (!n->link_up)
		return;
	n->link_up = false;
	counter_add(&n->counters.link_down_count, 1);
	log_guest(LOG_WARN, "network interface %s: its %s is gone (%s); the link is down",
		n->iface_id, n->backend->ops->name, strerror(-rc));
	for (uint16_t i = 0; i < n->backend->pair_count; i++)
		net_watch(&n->pairs[i]);
	virtio_dev_config_changed(&n->dev);
}

int net_set_pairs(struct net *n, uint16_t count)
{
	uint16_t old = n->st.active_pairs;
	int rc;

	/* Off the loop first: a queue that the tap has let go of reports an error for ever. */
	n->st.active_pairs = count;
	for (uint16_t i = count; i < n->backend->pair_count; i++) {
		net_rx_release(&n->pairs[i]);
		n->pairs[i].rx_wanted = n->pairs[i].tx_blocked = false;
		net_watch(&n->pairs[i]);
	}
	rc = n->backend->ops->set_pairs(n->backend, count);
	if (rc < 0) {
		counter_add(&n->counters.cfg_fails, 1);
		log_guest(LOG_WARN, "network interface %s: %u queue pairs cannot be used: %s",
			n->iface_id, count, strerror(-rc));
		n->st.active_pairs = MIN(old, count);
	}
	return rc;
}

/* Tells the back end what the driver accepted: once, at the first kick after DRIVER_OK. */
static void net_arm(struct net *n)
{
	uint32_t offloads;
	int rc;

	if (n->armed || !n->link_up)
		return;
	n->armed = true;
	offloads = net_offloads_accepted(&n->dev);
	rc = n->backend->ops->set_offloads(n->backend, offloads);
	if (rc == 0)
		rc = net_set_pairs(n, n->st.active_pairs);
	if (rc == 0) {
		net_announce(n);
		return;
	}
	counter_add(&n->counters.activate_fails, 1);
	if (net_backend_lost(rc))
		net_link_lost(n, rc);
	else
		log_guest(LOG_WARN, "network interface %s: the %s refuses offloads %#x: %s",
			n->iface_id, n->backend->ops->name, offloads, strerror(-rc));
}

static void net_notify(struct virtio_dev *d, uint16_t q)
{
	struct net *n = net_of(d);
	struct net_pair *p = &n->pairs[MIN(q / 2, NET_PAIRS_MAX - 1)];

	net_arm(n);
	if (virtio_has(d, NET_F_CTRL_VQ) && q == net_ctrl_index(n)) {
		net_ctrl_run(n, q);
	} else if (q / 2 >= n->st.active_pairs) {
		counter_add(&n->counters.event_fails, 1);
	} else if (q % 2 == 0) {
		counter_add(&n->counters.rx_queue_event_count, 1);
		net_rx_run(p);
	} else {
		counter_add(&n->counters.tx_queue_event_count, 1);
		net_tx_run(p);
	}
}

/* The fd of a pair is ready. Owner thread. */
static void net_on_event(void *ctx, uint32_t events)
{
	struct net_pair *p = ctx;
	struct net *n = p->net;

	virtio_dev_lock(&n->dev);
	if (net_live(n) && n->armed && p->index < n->st.active_pairs) {
		counter_add(&n->counters.rx_tap_event_count, 1);
		if (events & EPOLLIN)
			net_rx_run(p);
		if ((events & EPOLLOUT) && net_live(n))
			net_tx_run(p);
		if (events & (EPOLLERR | EPOLLHUP))
			net_link_lost(n, -ENOTCONN);
	} else {
		p->rx_wanted = p->tx_blocked = false; /* reset since it was watched */
	}
	net_watch(p);
	virtio_dev_unlock(&n->dev);
}

/* The diverter has frames of its own accord. */
static void net_on_divert(void *ctx)
{
	struct net *n = ctx;

	virtio_dev_lock(&n->dev);
	if (net_live(n) && n->armed)
		net_rx_run(&n->pairs[0]);
	virtio_dev_unlock(&n->dev);
}

static void net_on_rx_timer(void *ctx)
{
	struct net *n = ctx;

	virtio_dev_lock(&n->dev);
	counter_add(&n->counters.rx_event_rate_limiter_count, 1);
	for (uint16_t i = 0; i < n->st.active_pairs; i++)
		if (net_live(n) && n->pairs[i].rx.held > 0)
			net_rx_run(&n->pairs[i]);
	virtio_dev_unlock(&n->dev);
}

static void net_on_tx_timer(void *ctx)
{
	struct net *n = ctx;

	virtio_dev_lock(&n->dev);
	counter_add(&n->counters.tx_rate_limiter_event_count, 1);
	for (uint16_t i = 0; i < n->st.active_pairs; i++)
		if (net_live(n) && n->armed)
			net_tx_run(&n->pairs[i]);
	virtio_dev_unlock(&n->dev);
}

static void net_on_refill_timer(void *ctx)
{
	struct net *n = ctx;

	virtio_dev_lock(&n->dev);
	for (uint16_t i = 0; i < n->st.active_pairs; i++)
		if (refill_tick(&n->pairs[i].refill, &n->refill_timer) && net_live(n) && n->armed)
			net_rx_run(&n->pairs[i]);
	virtio_dev_unlock(&n->dev);
}

/* On a vCPU thread: the owner's thread starts by the kick. */
static int net_activate(struct virtio_dev *d)
{
	if (d->transport)
		d->transport->kick(d, 0);
	return 0;
}

static void net_reset(struct virtio_dev *d)
{
	struct net *n = net_of(d);

	n->armed = false;
	n->st.active_pairs = 1;
	for (uint16_t i = 0; i < n->backend->pair_count; i++) {
		net_rx_forget(&n->pairs[i]);
		n->pairs[i].rx_wanted = n->pairs[i].tx_blocked = false;
	}
}

/* Nothing of a transmit queue is kept between two kicks. */
static void net_queue_stop(struct virtio_dev *d, uint16_t q)
{
	struct net *n = net_of(d);

	if (q % 2 == 0 && q / 2 < n->backend->pair_count)
		net_rx_forget(&n->pairs[q / 2]);
}

static void net_drain(struct virtio_dev *d)
{
	struct net *n = net_of(d);

	for (uint16_t i = 0; i < n->backend->pair_count; i++)
		net_rx_release(&n->pairs[i]);
}

static void net_config_read(struct virtio_dev *d, uint32_t off, void *data, uint32_t len)
{
	const struct net *n = net_of(d);
	struct net_space space = {
		.status = n->link_up ? NET_S_LINK_UP : 0,
		.max_virtqueue_pairs = n->backend->pair_count,
		.mtu = n->st.mtu,
	};

	memcpy(space.mac, n->st.mac, sizeof(space.mac));
	memcpy(data, (const unsigned char *)&space + off, len);
}

static int net_load(struct virtio_dev *d, const void *state, struct err *e)
{
	const struct net_state *s = state;
	struct net *n = net_of(d);

	if (s->active_pairs > n->backend->pair_count)
		return err_set(e, -EINVAL,
			"network interface %s: %u queue pairs were in use, there are %u",
			n->iface_id, s->active_pairs, n->backend->pair_count);
	if (s->has_mac != n->st.has_mac || (s->mtu == 0) != (n->st.mtu == 0))
		return err_set(e, -EINVAL,
			"network interface %s: guest_mac and mtu must be set now as they were when "
			"saved",
			n->iface_id);
	n->st = *s;
	n->announce_due = s->has_mac;
	rate_limiter_resume(&n->rx_limiter, clock_mono_ns());
	rate_limiter_resume(&n->tx_limiter, clock_mono_ns());
	return 0;
}

static void net_destroy(struct virtio_dev *d)
{
	struct net *n = net_of(d);

	for (uint16_t i = 0; i < n->backend->pair_count; i++)
		if (n->pairs[i].watched)
			loop_del(n->loop, &n->pairs[i].source);
	rate_timer_fini(&n->rx_timer);
	rate_timer_fini(&n->tx_timer);
	rate_timer_fini(&n->refill_timer);
	if (n->diverter)
		n->diverter->ops->close(n->diverter);
	n->backend->ops->close(n->backend);
	virtio_dev_fini(d);
	free(n->iface_id);
	free(n);
}

static const struct virtio_ops net_ops = {
	.name = "net",
	.device_id = NET_DEVICE_ID,
	.queue_count = NET_QUEUE_COUNT,
	.queue_size_max = VQ_SIZE_MAX,
	.state = &net_state_table,
	.config_size = sizeof(struct net_space),
	.activate = net_activate,
	.notify = net_notify,
	.queue_stop = net_queue_stop,
	.reset = net_reset,
	.drain = net_drain,
	.config_read = net_config_read,
	.load = net_load,
	.destroy = net_destroy,
};

static int net_init_limits(struct net *n, const struct net_config *c, struct err *e)
{
	uint64_t now = clock_mono_ns();
	int rc;

	rate_limiter_init(&n->rx_limiter, &n->st.rx_limit, c->rx_rate_limiter, now);
	rate_limiter_init(&n->tx_limiter, &n->st.tx_limit, c->tx_rate_limiter, now);
	rc = rate_timer_init(&n->rx_timer, n->loop, net_on_rx_timer, n, e);
	if (rc < 0)
		return rc;
	rc = rate_timer_init(&n->tx_timer, n->loop, net_on_tx_timer, n, e);
	if (rc == 0)
		rc = rate_timer_init(&n->refill_timer, n->loop, net_on_refill_timer, n, e);
	if (rc < 0) {
		rate_timer_fini(&n->rx_timer);
		rate_timer_fini(&n->tx_timer);
	}
	return rc;
}

int net_create_on(struct gmem *mem, struct loop *loop, const struct net_config *c,
	struct net_backend *b, struct virtio_dev **ret, struct err *e)
{
	CLEANUP_FREE
	struct net *n = calloc(1, sizeof(*n));
	CLEANUP_FREE
	char *iface_id = strdup(c->iface_id);
	int rc;

	CHECK(b->pair_count >= 1 && b->pair_count <= NET_PAIRS_MAX);
	if (!n || !iface_id)
		return err_set_os(e, -ENOMEM, "network interface %s", c->iface_id);
	n->loop = loop;
	n->st.mtu = c->mtu;
	n->st.active_pairs = 1;
	if (c->guest_mac) {
		n->st.has_mac = 1;
		memcpy(n->st.mac, c->guest_mac, sizeof(n->st.mac));
	}
	rc = net_init_limits(n, c, e);
	if (rc < 0)
		return rc;
	n->backend = b;
	n->link_up = true;
	n->diverter = c->diverter;
	if (n->diverter) {
		n->diverter->kick = net_on_divert;
		n->diverter->kick_ctx = n;
	}
	for (uint16_t i = 0; i < b->pair_count; i++) {
		n->pairs[i].net = n;
		n->pairs[i].index = i;
		n->pairs[i].source = (struct loop_source){
			.fd = b->fds[i], .fn = net_on_event, .ctx = &n->pairs[i]};
	}
	n->iface_id = iface_id;
	virtio_dev_init(&n->dev, &net_ops, n->iface_id, mem, net_features(c, b),
		(uint16_t)(2 * b->pair_count + (b->pair_count > 1 ? 1 : 0)));
	n->dev.state = &n->st;
	*ret = &n->dev;
	n = NULL;
	iface_id = NULL;
	return 0;
}

int net_create(struct gmem *mem, struct loop *loop, const struct net_config *c,
	struct virtio_dev **ret, struct err *e)
{
	struct net_backend *b;
	int rc = c->passt_socket ? net_passt_open(c, &b, e) : net_tap_open(c, &b, e);

	if (rc < 0)
		return rc;
	rc = net_create_on(mem, loop, c, b, ret, e);
	if (rc < 0)
		b->ops->close(b);
	return rc;
}

void net_set_limits(struct virtio_dev *d, const struct rate_limiter_config *rx,
	const struct rate_limiter_config *tx)
{
	struct net *n = net_of(d);
	uint64_t now = clock_mono_ns();

	virtio_dev_lock(d);
	if (rx)
		rate_limiter_update(&n->rx_limiter, rx, now);
	if (tx)
		rate_limiter_update(&n->tx_limiter, tx, now);
	virtio_dev_unlock(d);
	/* What was throttled may pass at once. */
	net_on_rx_timer(n);
	net_on_tx_timer(n);
}

const struct net_counters *net_counters_get(const struct virtio_dev *d)
{
	return &((const struct net *)d)->counters;
}
