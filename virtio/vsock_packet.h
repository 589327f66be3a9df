/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vsock packet header (virtio 1.2 §5.10.6) and the checks that need no connection. Every packet
 * is one request: 44 bytes of header, little-endian, then the payload.
 */
#pragma once

#include "virtio/queue.h"

#define VSOCK_HDR_SIZE 44u
#define VSOCK_CID_HOST 2u
#define VSOCK_CID_MIN  3u /* of a guest; 0 to 2 are reserved */

#define VSOCK_TYPE_STREAM 1u

enum vsock_op {
	VSOCK_OP_INVALID = 0,
	VSOCK_OP_REQUEST = 1,
	VSOCK_OP_RESPONSE = 2,
	VSOCK_OP_RST = 3,
	VSOCK_OP_SHUTDOWN = 4,
	VSOCK_OP_RW = 5,
	VSOCK_OP_CREDIT_UPDATE = 6,
	VSOCK_OP_CREDIT_REQUEST = 7,
};

/* Flags of SHUTDOWN: what its sender will not do any more. */
#define VSOCK_SHUTDOWN_RCV  1u
#define VSOCK_SHUTDOWN_SEND 2u
#define VSOCK_SHUTDOWN_BOTH (VSOCK_SHUTDOWN_RCV | VSOCK_SHUTDOWN_SEND)

struct vsock_hdr {
	uint64_t src_cid;
	uint64_t dst_cid;
	uint32_t src_port;
	uint32_t dst_port;
	uint32_t len; /* of the payload */
	uint16_t type;
	uint16_t op;
	uint32_t flags;
	uint32_t buf_alloc; /* the sender's receive buffer for this connection, bytes */
	uint32_t fwd_cnt;   /* bytes it has taken out of that buffer so far, modulo 2^32 */
} __attribute__((packed));

enum vsock_verdict {
	VSOCK_PACKET_GOOD,
	VSOCK_PACKET_DROP,  /* nobody to answer: too short, or not from the guest to the host */
	VSOCK_PACKET_RESET, /* to be answered by RST */
};

/*
 * Copies the header of a packet from the guest, once, and judges the copy. A GOOD one has the
 * right addresses and type and at least len bytes of payload behind it; op and flags are still
 * to be judged. *ret_why, a static string, says what is wrong with any other.
 */
enum vsock_verdict vsock_packet_read(const struct chain *c, uint64_t guest_cid,
	struct vsock_hdr *ret, const char **ret_why) MUST_USE;
