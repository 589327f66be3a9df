/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the vsock device: what vsock.c and vsock_rx.c share. */
#pragma once

#include "virtio/refill.h"
#include "virtio/vsock.h"

enum { VSOCK_QUEUE_RX, VSOCK_QUEUE_TX, VSOCK_QUEUE_EVENT, VSOCK_QUEUE_COUNT };

/* Packets that one read may fill, and those that are looked at before what they hold is sent. */
#define VSOCK_BURST_MAX 16u

struct vsock {
	struct virtio_dev dev; /* first */
	struct vsock_state st;
	char *uds_path;      /* owned */
	int wake_fd;         /* owned eventfd: there was a reset */
	bool stale;          /* the connections are of a driver that is gone */
	bool tx_rests;       /* packets wait in the tx queue for room for answers */
	bool event_due;      /* the guest is yet to be told of a transport reset */
	bool rx_held;        /* it has been told, and has not shown yet that it knows */
	uint16_t event_mark; /* of the event queue, when it was told */
	struct loop *loop;   /* borrowed */
	struct loop_source listen_source, timer_source, wake_source;
	struct refill refill; /* of the rx queue */
	struct rate_timer refill_timer;
	struct vsock_muxer muxer;
	struct chain chains[VSOCK_BURST_MAX]; /* the packets at hand, either way */
};

/* Gives the guest what there is, as far as it has room, up to a batch. Owner thread, with the lock. */
void vsock_rx_fill(struct vsock *v);
