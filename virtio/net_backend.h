/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of a network device: moves one frame at a time, each with a virtio network
 * header in front, between iovecs and the world. A back end is a small ops struct over fds that
 * can be waited for. All calls but open are the owner thread's, under the device's lock; none
 * blocks.
 */
#pragma once

#include "virtio/net.h"

#include <sys/types.h>

/* Header in front of each frame, virtio 1.2 §5.1.6, always with num_buffers. Little-endian. */
struct net_header {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;
};

#define NET_HEADER_SIZE  12u
#define NET_ETH_SIZE     14u
#define NET_FRAME_MAX    65550u /* without the header: 65536 and an Ethernet header */
#define NET_SEND_IOV_MAX (CHAIN_SEGS_MAX + 1)

_Static_assert(sizeof(struct net_header) == NET_HEADER_SIZE, "virtio 1.2 §5.1.6");

/* What the guest takes of unfinished frames: bits for set_offloads. */
#define NET_OFFLOAD_CSUM 0x01u
#define NET_OFFLOAD_TSO4 0x02u
#define NET_OFFLOAD_TSO6 0x04u
#define NET_OFFLOAD_UFO  0x08u
#define NET_OFFLOAD_USO  0x10u

struct net_backend_ops {
	const char *name; /* "tap" */
	/*
	 * Takes the next frame of a pair. Bytes with the header, or what of it found room; -EAGAIN
	 * if there is none; other -errno, of which those of net_backend_lost mean the end.
	 */
	ssize_t (*receive)(
		struct net_backend *b, uint16_t pair, const struct iovec *iov, int count);
	/* All of a frame and its header: 0; -EAGAIN: later, when writable; other -errno: dropped. */
	int (*send)(struct net_backend *b, uint16_t pair, const struct iovec *iov, int count);
	/* Goes on with a frame that was sent in part: 0 when all is out, -EAGAIN. NULL: never any. */
	int (*flush)(struct net_backend *b);
	/* What may be received from now on. 0 or -errno. */
	int (*set_offloads)(struct net_backend *b, uint32_t offloads);
	/* Pairs 0 .. count - 1 carry frames from now on. 0 or -errno. */
	int (*set_pairs)(struct net_backend *b, uint16_t count);
	/* Gives the back end back. */
	void (*close)(struct net_backend *b);
};

struct net_backend {
	const struct net_backend_ops *ops;
	uint32_t offloads; /* what set_offloads takes, and send too */
	uint16_t pair_count;
	bool unfinished;        /* send took a frame whose end waits for flush */
	int fds[NET_PAIRS_MAX]; /* to wait on: readable, writable; owned */
};

/* The error means that the other side is gone for good. */
bool net_backend_lost(int rc);

/* A tap interface by name, or opened already. At set-up. The caller owns *ret. */
int net_tap_open(const struct net_config *c, struct net_backend **ret, struct err *e) MUST_USE;
/* The socket of a running passt. */
int net_passt_open(const struct net_config *c, struct net_backend **ret, struct err *e) MUST_USE;
