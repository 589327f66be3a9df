/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network driver for tests: one queue pair, plain frames, and as much of ARP and ICMP as it
 * takes to have the host's kernel answer. The host side is 10.11.12.1 on the tap, with MTU 9000.
 */
#pragma once

#include "virtio.h"

#define VIRTIO_ID_NET    1
#define VF_NET_CSUM      (1ull << 0)
#define VF_NET_MAC       (1ull << 5)
#define VF_NET_MRG_RXBUF (1ull << 15)
#define VF_NET_CTRL_VQ   (1ull << 17)
#define VF_NET_MQ        (1ull << 22)

#define NET_HDR_NEEDS_CSUM 1
#define NET_QUEUE          64
#define NET_ETH            14u

struct net_header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

struct net {
	struct vdev *dev;
	struct vq rx, tx;
	uint32_t buf_size;
	uint8_t *bufs;     /* NET_QUEUE of them */
	uint8_t *tx_frame; /* of the frame under way */
	uint8_t mac[6], peer[6];
};

/* Reset up to DRIVER_OK; all receive buffers are posted. The first call allocates. */
void net_start(struct net *n, uint64_t wanted, uint32_t buf_size);
/* The same for several pairs, and with the control queue behind them. */
void net_start_pairs(
	struct net *n, uint16_t pairs, struct vq *ctrl, uint64_t wanted, uint32_t buf_size);
/* One frame into `to`, merged; its length, or 0 when `seconds` pass. */
uint32_t net_receive(struct net *n, uint8_t *to, uint32_t max, unsigned seconds);
/* Sends and waits until the device gives the frame back. */
void net_transmit(struct net *n, struct net_header h, const void *frame, uint32_t len);
/* Finds the host's address. */
void net_arp(struct net *n);
/* An echo request with `len` bytes of pattern comes back whole. With VF_NET_CSUM, unsummed. */
void net_ping(struct net *n, uint32_t len);
/* Its two halves, for answers that may come by another queue. */
void net_ping_send(struct net *n, uint32_t len);
bool net_ping_answered(struct net *n, uint32_t len, unsigned seconds);
