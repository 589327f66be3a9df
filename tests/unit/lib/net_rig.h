/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network device over a back end of datagram sockets, whose far ends the test holds; a driver
 * with all its queues; and the event loop, a turn at a time.
 */
#pragma once

#include "tests/unit/lib/driver.h"
#include "virtio/net_backend.h"
#include "vmm/svc/loop.h"

#define NET_RIG_QUEUE 64
#define NET_RIG_RX    0
#define NET_RIG_TX    1

#define NET_BIT(n)        (1ull << (n))
#define NET_RIG_OFFLOADS  0x1fu /* all */
#define NET_RIG_MRG       NET_BIT(15)
#define NET_RIG_CSUM      NET_BIT(0)
#define NET_RIG_HOST_TSO4 NET_BIT(11)

struct net_rig_backend {
	struct net_backend b; /* first */
	uint32_t accepted;    /* last set_offloads */
	uint16_t pairs;       /* last set_pairs */
	int send_err;         /* != 0: what send says */
	int offloads_err;
	unsigned send_count;
	bool *closed;
};

struct net_rig {
	struct driver q[VIRTIO_QUEUES_MAX]; /* share the memory and the transport of q[0] */
	struct net_rig_backend *back;       /* owned by dev */
	struct virtio_dev *dev;             /* owned */
	struct loop loop;
	int far[NET_PAIRS_MAX]; /* owned: what the world sees */
	bool closed;
};

/* c's iface_id and pairs are set; the device is live with all its features and all pairs' queues. */
void net_rig_init(struct net_rig *r, struct net_config c, uint16_t pairs);
void net_rig_start(struct net_rig *r, uint64_t features);
void net_rig_fini(struct net_rig *r);
const struct net_counters *net_rig_counters(const struct net_rig *r);

/* One turn of the loop; how many events there were. */
int net_rig_turn(struct net_rig *r);

/* count buffers of len bytes each for receive queue q, and the kick; the address of the first. */
uint64_t net_rig_post(struct net_rig *r, unsigned q, unsigned count, uint32_t len);

/* A frame of len bytes, a pattern, arrives with header h (NULL: a plain one). */
void net_rig_arrive(struct net_rig *r, unsigned pair, const struct net_header *h, uint32_t len);
uint8_t net_rig_pattern(uint64_t off);

/* The driver transmits a frame in pieces of header and frame; then the kick. Its used length. */
void net_rig_transmit(
	struct net_rig *r, const struct net_header *h, const void *frame, uint32_t len);

/* What came out: bytes with header, or -1 if nothing did. */
int net_rig_sent(struct net_rig *r, unsigned pair, void *buf, size_t size);
