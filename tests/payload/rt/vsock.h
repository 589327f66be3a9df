/* SPDX-License-Identifier: Apache-2.0 */
/* A vsock driver for payloads, virtio 1.2 §5.10: packets in, packets out, nothing hidden. */
#pragma once

#include "virtio.h"

#define VIRTIO_ID_VSOCK 19
#define VSOCK_RX_COUNT  32
#define VSOCK_RX_SIZE   4096 /* payload of one packet to us */

enum {
	VSOCK_REQUEST = 1,
	VSOCK_RESPONSE,
	VSOCK_RST,
	VSOCK_SHUTDOWN,
	VSOCK_RW,
	VSOCK_CREDIT_UPDATE,
	VSOCK_CREDIT_REQUEST,
};

struct vsock_hdr {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

struct vsock_packet {
	struct vsock_hdr h;
	uint8_t data[VSOCK_RX_SIZE];
};

struct vsock {
	struct vdev *dev;
	struct vq rx, tx, event;
	uint64_t cid;
	struct vsock_packet *packets; /* one per rx descriptor */
};

/* Reset, queues, DRIVER_OK, all rx buffers given. */
void vsock_start(struct vsock *v, uint64_t features);
/* The header of a packet to a port of the host. */
struct vsock_hdr vsock_hdr(const struct vsock *v, uint16_t op, uint32_t port, uint32_t host_port);
/* Sends header and len bytes; waits until the device has taken them. */
void vsock_send(struct vsock *v, const struct vsock_hdr *h, const void *data, uint32_t len);
/* The same without waiting, h and data staying in place, in tx descriptor i (and i + 1). */
void vsock_post(struct vsock *v, uint16_t i, const struct vsock_hdr *h, uint32_t h_len,
	const void *data, uint32_t len);
/* The next packet to us, NULL if there is none; give it back by vsock_done. */
struct vsock_packet *vsock_poll(struct vsock *v);
void vsock_done(struct vsock *v, const struct vsock_packet *p);
/* The next packet with this op, whatever comes before it; fails the payload after some seconds. */
struct vsock_hdr vsock_expect(struct vsock *v, uint16_t op);
