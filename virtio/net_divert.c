/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames between the guest and a service inside the monitor. See net_divert.h. Such a frame is
 * copied whole, before the service looks at it; what the service decides by first is only a hint.
 * No rate limit counts these frames.
 */
#include "virtio/net_dev.h"

bool net_divert_tx(struct net *n, const struct net_header *h, uint64_t len)
{
	struct net_diverter *d = n->diverter;
	unsigned char head[NET_DIVERT_HEAD];
	uint32_t head_len = (uint32_t)MIN(len, sizeof(head));

	if (!d || chain_read(&n->chain, NET_HEADER_SIZE, head, head_len) < 0 ||
		!d->ops->wants(d, head, head_len))
		return false;
	if (len > sizeof(n->divert) ||
		chain_read(&n->chain, NET_HEADER_SIZE, n->divert, (uint32_t)len) < 0) {
		d->ops->tx_dropped(d);
		return true;
	}
	d->ops->tx(d, n->divert, len, (h->flags & NET_HDR_NEEDS_CSUM) != 0);
	n->divert_due = true;
	return true;
}

size_t net_divert_rx(struct net *n)
{
	return n->diverter ? n->diverter->ops->rx(n->diverter, n->divert) : 0;
}

void net_divert_flush(struct net *n)
{
	if (!n->divert_due)
		return;
	n->divert_due = false;
	if (!(n->dev.status & VIRTIO_STATUS_NEEDS_RESET))
		net_rx_run(&n->pairs[0]);
}
