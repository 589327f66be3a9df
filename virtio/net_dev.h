/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the network device: what net.c, net_rx.c, net_tx.c and net_ctrl.c share.
 *
 * Theory of operation. The device lives on the owner's thread. It acts when the driver kicks a
 * queue and when a pair's fd is ready, both with the device's lock held. A pair's fd is watched
 * only while its event can lead to something: for reading while the driver has given buffers and
 * the rate limiter lets frames pass, for writing while a frame waits to go out. So a full queue, a
 * throttled one, or a guest without buffers costs no CPU time.
 *
 *	receive      watched  goes on by
 *	waiting      EPOLLIN  a frame
 *	starved      no       a kick of the receive queue, or refill_timer (refill.h)
 *	throttled    no       the timer; one frame is held, inside the buffers it goes to
 *	off          no       net_arm, at the first kick after DRIVER_OK (activate kicks)
 *
 * With a diverter (net_divert.h), some frames of the guest go to a service inside the monitor, and
 * pair 0 receives its frames between those of the back end, whenever buffers are there.
 *
 * activate and reset run on vCPU threads, which must not touch the loop: they leave marks, and the
 * next event on the owner's thread brings the watched fds in line with them.
 */
#pragma once

#include "virtio/net_backend.h"
#include "virtio/refill.h"

#define NET_F_CSUM       0u
#define NET_F_GUEST_CSUM 1u
#define NET_F_MTU        3u
#define NET_F_MAC        5u
#define NET_F_GUEST_TSO4 7u
#define NET_F_GUEST_TSO6 8u
#define NET_F_GUEST_UFO  10u
#define NET_F_HOST_TSO4  11u
#define NET_F_HOST_TSO6  12u
#define NET_F_HOST_UFO   14u
#define NET_F_MRG_RXBUF  15u
#define NET_F_STATUS     16u
#define NET_F_CTRL_VQ    17u
#define NET_F_MQ         22u
#define NET_F_GUEST_USO4 54u
#define NET_F_GUEST_USO6 55u
#define NET_F_HOST_USO   56u

enum { NET_HDR_NEEDS_CSUM = 1, NET_HDR_DATA_VALID = 2 };
enum {
	NET_GSO_NONE = 0,
	NET_GSO_TCPV4 = 1,
	NET_GSO_UDP = 3,
	NET_GSO_TCPV6 = 4,
	NET_GSO_UDP_L4 = 5,
};

/* With the header and the byte beyond, no more than one readv takes. */
#define NET_RX_SEGS_MAX 1022u
#define NET_RX_WANT     (NET_HEADER_SIZE + NET_FRAME_MAX)

/* One buffer of the driver that waits for a frame; its segments are the next ones of the ring. */
struct net_rx_buf {
	uint16_t head;
	uint16_t seg_count;
	uint64_t bytes;
};

/* Buffers taken from the receive queue and not given back yet; both rings hold the oldest first. */
struct net_rx {
	uint32_t buf_first, buf_count;
	uint32_t seg_first, seg_count;
	uint64_t bytes;
	bool deep;             /* the driver once gave room for the largest frame */
	uint32_t held;         /* bytes, with header, of a frame that waits for the rate limiter */
	bool tap_turn;         /* the next frame is the tap's, if it has one */
	bool free_pass;        /* the held frame is the diverter's: no rate limit */
	struct net_header hdr; /* of the held frame */
	struct net_rx_buf bufs[VQ_SIZE_MAX];
	struct chain_seg segs[NET_RX_SEGS_MAX];
};

struct net_pair {
	struct net *net;
	uint16_t index;
	bool rx_wanted;   /* a frame that arrives could be taken */
	bool tx_blocked;  /* a frame waits until the back end can take it */
	uint32_t watched; /* the source is on the loop for these events; owner thread */
	struct loop_source source;
	struct net_rx rx;
	struct refill refill; /* of the receive queue */
};

struct net {
	struct virtio_dev dev; /* first */
	struct net_state st;
	struct net_counters counters;
	struct net_backend *backend;   /* owned */
	struct loop *loop;             /* borrowed */
	struct net_diverter *diverter; /* owned, or NULL */
	char *iface_id;                /* owned */
	bool armed;                    /* the back end knows what the driver accepted */
	bool link_up;
	bool announce_due; /* loaded, and the world has not been told yet */
	struct net_pair pairs[NET_PAIRS_MAX];
	struct rate_limiter rx_limiter, tx_limiter;
	struct rate_timer rx_timer, tx_timer;
	struct rate_timer refill_timer;
	struct chain chain;                    /* the request at hand */
	struct iovec iov[NET_RX_SEGS_MAX + 2]; /* of the frame at hand */
	bool divert_due; /* the diverter took a frame, so it may have answers */
	unsigned char divert[NET_DIVERT_FRAME_MAX]; /* a frame of the diverter, either way */
};

static inline struct net *net_of(struct virtio_dev *d)
{
	return (struct net *)d;
}

static inline struct vq *net_rx_queue(struct net_pair *p)
{
	return &p->net->dev.vqs[(size_t)2 * p->index];
}

static inline struct vq *net_tx_queue(struct net_pair *p)
{
	return &p->net->dev.vqs[(size_t)2 * p->index + 1];
}

/* The number of the control queue; only with NET_F_CTRL_VQ. */
static inline uint16_t net_ctrl_index(const struct net *n)
{
	return virtio_has(&n->dev, NET_F_MQ) ? (uint16_t)(2 * n->backend->pair_count) : 2;
}

/* All of these are the owner thread's, with the device's lock held and the device live. */

/* Moves frames until there are none, no room, or the batch is used up. */
void net_rx_run(struct net_pair *p);
void net_tx_run(struct net_pair *p);

/* The frame of the chain at hand was the diverter's and is dealt with. */
bool net_divert_tx(struct net *n, const struct net_header *h, uint64_t len);
/* The next frame of the diverter into n->divert; its bytes, 0: none. */
size_t net_divert_rx(struct net *n);
/* After a batch of the transmit side: answers go to the guest. */
void net_divert_flush(struct net *n);

void net_ctrl_run(struct net *n, uint16_t q);

/* Tells the world where the guest's address is now, if that is due. Over an armed back end. */
void net_announce(struct net *n);

/* Brings the watched events in line with rx_wanted and tx_blocked. */
void net_watch(struct net_pair *p);

/* The back end is gone: the link goes down, nothing is watched any more. */
void net_link_lost(struct net *n, int rc);

/* To offer, with this configuration over this back end. */
uint64_t net_features(const struct net_config *c, const struct net_backend *b);

/* NET_OFFLOAD_* that the driver takes in received frames. */
uint32_t net_offloads_accepted(const struct virtio_dev *d);

/* Pairs below st.active_pairs carry frames, the others are not watched. */
int net_set_pairs(struct net *n, uint16_t count);

/* Any thread, with the lock. Buffers go back unused, as if never taken; a held frame is lost. */
void net_rx_release(struct net_pair *p);
/* The receive queue is not the driver's any more. */
void net_rx_forget(struct net_pair *p);
