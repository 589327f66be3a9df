/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames from the guest to the back end. Header and Ethernet header are copied once; the header is
 * checked, and the copies are what is sent, with the rest of the frame behind them in place.
 */
#include "virtio/net_dev.h"

#include "vmm/base/clock.h"

#include <errno.h>
#include <string.h>

struct net_tx_head {
	struct net_header h;
	uint8_t dst[NET_MAC_SIZE];
	uint8_t src[NET_MAC_SIZE];
	uint8_t type[2];
};
_Static_assert(sizeof(struct net_tx_head) == NET_HEADER_SIZE + NET_ETH_SIZE, "no holes");

/* Segmentation that the driver accepted, over a checksum that it left to us (§5.1.6.2). */
static bool net_tx_gso_ok(const struct net *n, const struct net_header *h)
{
	unsigned bit;

	switch (h->gso_type) {
	case NET_GSO_NONE:
		return true;
	case NET_GSO_TCPV4:
		bit = NET_F_HOST_TSO4;
		break;
	case NET_GSO_TCPV6:
		bit = NET_F_HOST_TSO6;
		break;
	case NET_GSO_UDP:
		bit = NET_F_HOST_UFO;
		break;
	case NET_GSO_UDP_L4:
		bit = NET_F_HOST_USO;
		break;
	default:
		return false;
	}
	return virtio_has(&n->dev, bit) && h->gso_size > 0 && (h->flags & NET_HDR_NEEDS_CSUM);
}

/* Checks *h against a frame of len bytes, and leaves in it only what we understand. */
static bool net_tx_header_ok(const struct net *n, struct net_header *h, uint64_t len)
{
	h->flags &= NET_HDR_NEEDS_CSUM;
	h->num_buffers = 0;
	if (h->hdr_len > len || !net_tx_gso_ok(n, h))
		return false;
	if (!(h->flags & NET_HDR_NEEDS_CSUM)) {
		h->csum_start = h->csum_offset = 0;
		return true;
	}
	return virtio_has(&n->dev, NET_F_CSUM) &&
	       (uint64_t)h->csum_start + h->csum_offset + sizeof(uint16_t) <= len;
}

static void net_tx_malformed(struct net *n)
{
	counter_add(&n->counters.tx_malformed_frames, 1);
	counter_add(&n->counters.tx_fails, 1);
}

static bool net_tx_may_pass(struct net *n, uint64_t len)
{
	uint64_t now;

	if (!rate_limiter_active(&n->tx_limiter))
		return true;
	now = clock_mono_ns();
	if (rate_limiter_charge(&n->tx_limiter, len, 1, now))
		return true;
	counter_add(&n->counters.tx_rate_limiter_throttled, 1);
	rate_timer_arm(&n->tx_timer, rate_limiter_delay_ns(&n->tx_limiter, len, 1, now));
	return false;
}

static int net_tx_send(struct net_pair *p, struct net_tx_head *head, uint64_t len)
{
	struct net *n = p->net;
	uint64_t start = clock_mono_ns();
	int count = chain_iov(&n->chain, false, sizeof(*head), len - NET_ETH_SIZE, n->iov + 1,
		NET_SEND_IOV_MAX - 1);
	int rc;

	n->iov[0] = (struct iovec){.iov_base = head, .iov_len = sizeof(*head)};
	rc = count < 0 ? count : n->backend->ops->send(n->backend, p->index, n->iov, count + 1);
	if (rc == -EAGAIN)
		return rc;
	latency_add(&n->counters.tap_write_agg, clock_mono_ns() - start);
	if (rc < 0) {
		counter_add(&n->counters.tap_write_fails, 1);
		counter_add(&n->counters.tx_fails, 1);
		if (net_backend_lost(rc))
			net_link_lost(n, rc);
		return 0;
	}
	counter_add(&n->counters.tx_bytes_count, len);
	counter_add(&n->counters.tx_packets_count, 1);
	counter_add(&n->counters.tx_count, 1);
	if (n->st.has_mac && memcmp(head->src, n->st.mac, NET_MAC_SIZE) != 0)
		counter_add(&n->counters.tx_spoofed_mac_count, 1);
	return 0;
}

/* The chain at hand is done with: 0; or has to wait: -EAGAIN. */
static int net_tx_frame(struct net_pair *p)
{
	struct net *n = p->net;
	uint64_t len = n->chain.rd_bytes - NET_HEADER_SIZE;
	struct net_tx_head head;
	int rc;

	if (n->chain.rd_bytes < sizeof(head) || len > NET_FRAME_MAX ||
		chain_read(&n->chain, 0, &head, sizeof(head)) < 0 ||
		!net_tx_header_ok(n, &head.h, len)) {
		net_tx_malformed(n);
		return 0;
	}
	if (!n->link_up) {
		counter_add(&n->counters.tx_fails, 1);
		return 0;
	}
	if (net_divert_tx(n, &head.h, len))
		return 0;
	if (!net_tx_may_pass(n, len))
		return -EAGAIN;
	rc = net_tx_send(p, &head, len);
	if (rc == -EAGAIN) {
		p->tx_blocked = true;
		rate_limiter_refund(&n->tx_limiter, len, 1);
	}
	return rc;
}

/* The end of a frame that the back end took in part goes first. */
static void net_tx_flush(struct net_pair *p)
{
	struct net *n = p->net;
	int rc;

	if (!n->backend->unfinished || !n->link_up)
		return;
	rc = n->backend->ops->flush(n->backend);
	p->tx_blocked = rc == -EAGAIN;
	if (rc < 0 && rc != -EAGAIN)
		net_link_lost(n, rc);
}

void net_tx_run(struct net_pair *p)
{
	struct net *n = p->net;
	struct vq *q = net_tx_queue(p);
	const char *why = NULL;
	uint32_t turns, served = 0;
	int rc = 0;

	p->tx_blocked = false;
	net_tx_flush(p);
	vq_kicks_off(q);
	for (turns = 0; turns < VIRTIO_BATCH_MAX && !p->tx_blocked; turns++) {
		rc = vq_pop(q, &n->chain, &why);
		if (rc < 0 || (rc == 0 && !vq_kicks_on(q)))
			break;
		if (rc == 0) {
			vq_kicks_off(q); /* more came in just before the kicks were on */
			continue;
		}
		if (net_tx_frame(p) < 0) {
			vq_unpop(q);
			counter_add(&n->counters.tx_remaining_reqs_count, 1);
			break;
		}
		vq_push(q, &n->chain, 0);
		served++;
		p->tx_blocked = n->backend->unfinished;
	}
	if (served > 0)
		virtio_dev_signal(&n->dev, (uint16_t)(2 * p->index + 1));
	else if (rc == 0)
		counter_add(&n->counters.no_tx_avail_buffer, 1);
	if (rc < 0)
		virtio_dev_broken(&n->dev, why);
	else if (turns == VIRTIO_BATCH_MAX && n->dev.transport)
		n->dev.transport->kick(&n->dev, (uint16_t)(2 * p->index + 1));
	net_divert_flush(n);
	net_watch(p);
}
