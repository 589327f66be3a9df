/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vsock connection as a protocol (virtio 1.2 §5.10.6): its state, its credit in both
 * directions, and what it has to tell the guest next. No file descriptors, no clock, no queues:
 * packets from the guest go in by vsock_conn_recv, which says what is to be done with the host's
 * socket; packets for the guest come out by vsock_conn_next and vsock_conn_build.
 *
 *	state      meaning                               next
 *	free       not in use                            greeting, live
 *	greeting   a host's client has not yet said      requested, free
 *	           which port it wants
 *	requested  the guest was or will be asked        live (RESPONSE), free (RST), reset
 *	live       bytes flow until both sides have      reset, free (RST)
 *	           shut down both directions
 *	reset      an RST is to be sent, all else is     free
 *	           over
 *
 * Credit. Counters run modulo 2^32 and only differences mean anything. Guest to host: tx_cnt -
 * fwd_cnt bytes wait here, at most VSOCK_BUFFER_SIZE, and the guest that sends more has broken the
 * rules. Host to guest: rx_cnt - peer_fwd_cnt bytes wait in the guest, and no more are sent than
 * its buf_alloc allows.
 */
#pragma once

#include "virtio/vsock_packet.h"

#define VSOCK_BUFFER_SIZE 0x10000u /* bytes from the guest that the host has not taken yet */

enum vsock_conn_state {
	VSOCK_FREE,
	VSOCK_GREETING,
	VSOCK_REQUESTED,
	VSOCK_LIVE,
	VSOCK_RESET,
};

struct vsock_conn {
	uint32_t local_port; /* the host's */
	uint32_t peer_port;  /* the guest's */
	uint32_t peer_buf_alloc, peer_fwd_cnt;
	uint32_t rx_cnt;       /* bytes sent to the guest */
	uint32_t tx_cnt;       /* bytes that came from the guest */
	uint32_t fwd_cnt;      /* of these, bytes that went on to the host */
	uint32_t fwd_cnt_told; /* fwd_cnt in the last packet to the guest */
	uint8_t state;         /* enum vsock_conn_state */
	uint8_t guest_shut;    /* VSOCK_SHUTDOWN_*: what the guest will not do any more */
	uint8_t host_shut;     /* what the host will not do any more */
	uint8_t host_shut_told;
	uint8_t pending; /* bit 1 << op: packets to send, of those that are not derived */
	bool credit_asked;
};

/* What a packet asks of the owner of the socket; any mixture. */
#define VSOCK_DO_OPEN   1u  /* the guest has accepted */
#define VSOCK_DO_DATA   2u  /* take hdr.len bytes of payload; call vsock_conn_forwarded later */
#define VSOCK_DO_SHUT   4u  /* guest_shut has changed */
#define VSOCK_DO_RESET  8u  /* the connection is over, and the guest must be told */
#define VSOCK_DO_FORGET 16u /* the connection is over, and the guest knows */

/* Asks the guest for a connection to peer_port. */
void vsock_conn_open_host(struct vsock_conn *c, uint32_t local_port, uint32_t peer_port);
/* The guest asked, by h, and the host has accepted. */
void vsock_conn_open_guest(struct vsock_conn *c, const struct vsock_hdr *h);

/* A GOOD packet from the guest for c. Returns VSOCK_DO_*. */
unsigned vsock_conn_recv(struct vsock_conn *c, const struct vsock_hdr *h) MUST_USE;

/* len bytes of what DATA gave went on to the host (or were dropped because it listens no more). */
void vsock_conn_forwarded(struct vsock_conn *c, uint32_t len);

/* The host will not send (its end of file) or not receive any more: VSOCK_SHUTDOWN_*. */
void vsock_conn_host_shut(struct vsock_conn *c, unsigned flags);

/* The connection is over: the next packet is an RST. */
void vsock_conn_reset(struct vsock_conn *c);

/* Bytes that the guest has room for. */
uint32_t vsock_conn_credit(const struct vsock_conn *c);

/*
 * The packet to send now, VSOCK_OP_INVALID if there is none. readable: the host may have bytes for
 * the guest. RW is only given with credit; how much there really is only reading will show.
 */
enum vsock_op vsock_conn_next(const struct vsock_conn *c, bool readable);

/* Writes the header of that packet and takes note that it is sent. len: payload of RW. */
void vsock_conn_build(struct vsock_conn *c, enum vsock_op op, uint32_t len, uint64_t guest_cid,
	struct vsock_hdr *ret);

/* An RST to nobody's connection. */
void vsock_reset_build(
	uint32_t local_port, uint32_t peer_port, uint64_t guest_cid, struct vsock_hdr *ret);
