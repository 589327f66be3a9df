/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between a vsock device and the host's Unix sockets: makes and ends connections, moves bytes,
 * keeps deadlines. Knows no queues: the device hands in the guest's packets, asks what the guest is
 * to get next, and gives room for it.
 *
 * Waiting. Sockets are watched edge-triggered and never paused: an event only notes that there is
 * something to do (slot.readable), and what cannot be done now, for want of credit or of guest
 * buffers, is left in the socket until the guest makes room. So a slow guest costs nothing, and
 * the host's client is slowed down by its own socket.
 *
 * Fairness. Connections with something for the guest take turns in the order they asked; a turn is
 * one control packet or one read of at most VSOCK_BUFFER_SIZE bytes.
 *
 * Threads: the device's owner, with the device's lock held, except where said.
 */
#pragma once

#include "virtio/vsock_table.h"

#include <sys/un.h>

#define VSOCK_RESETS_MAX 256u /* RST that wait for guest buffers */
#define VSOCK_GATHER_MAX 16u  /* packets sent by one call */
#define VSOCK_PORT_FIRST 0x40000000u
#define VSOCK_PORT_COUNT 0x40000000u

/* Counters with the names of Firecracker's metrics group; rx is towards the guest. */
struct vsock_counters {
	uint64_t activate_fails, cfg_fails;
	uint64_t rx_queue_event_fails, tx_queue_event_fails, ev_queue_event_fails;
	uint64_t muxer_event_fails, conn_event_fails;
	uint64_t rx_queue_event_count, tx_queue_event_count;
	uint64_t rx_bytes_count, tx_bytes_count, rx_packets_count, tx_packets_count;
	uint64_t conns_added, conns_killed, conns_removed, killq_resync;
	uint64_t tx_flush_fails, tx_write_fails, rx_read_fails;
};

/* Packets of one connection that are on their way to its socket. */
struct vsock_gather {
	struct vsock_slot *slot; /* NULL: none */
	struct iovec iov[CHAIN_SEGS_MAX + VSOCK_GATHER_MAX];
	int iov_count;
	uint32_t packet_count;
	uint32_t len; /* of all; no more than the credit */
	struct vsock_gathered {
		const struct chain *chain; /* borrowed until the flush */
		uint32_t len;
	} packets[VSOCK_GATHER_MAX];
};

struct vsock_muxer {
	struct vsock_table table;
	struct loop *loop;     /* borrowed */
	loop_fn on_slot;       /* for the sockets of connections; ctx is the slot */
	const char *uds_path;  /* borrowed, or at.sun_path */
	struct sockaddr_un at; /* where a socket that was passed is bound */
	uint64_t guest_cid;
	uint32_t port_next;      /* offset of the next local port for a host's client */
	int listen_fd, timer_fd; /* owned */
	bool listen_ready;       /* accepting has not yet said that nobody waits */
	bool timer_armed;
	struct vsock_reset {
		uint32_t local_port, peer_port;
	} resets[VSOCK_RESETS_MAX]; /* ring */
	uint32_t reset_first, reset_count;
	struct vsock_gather gather;
	struct vsock_counters counters;
};

/* Listens on uds_path and makes the timer; the caller watches both. At set-up. */
int vsock_muxer_init(struct vsock_muxer *m, struct loop *loop, loop_fn on_slot, void *owner,
	const char *uds_path, struct err *e) MUST_USE;
/* Ends all connections and closes everything. Accepts a zeroed object with both fds at -1. */
void vsock_muxer_fini(struct vsock_muxer *m);

/* Ends every connection without a word to the guest, which has forgotten them. */
void vsock_muxer_purge(struct vsock_muxer *m);

/*
 * A packet that vsock_packet_read judged: a GOOD one, or one to be answered by RST. c stays as it is, and
 * the driver's, until vsock_muxer_flush, which comes before anything else is asked of the muxer.
 */
void vsock_muxer_recv(struct vsock_muxer *m, const struct vsock_hdr *h, const struct chain *c);
void vsock_muxer_refuse(struct vsock_muxer *m, const struct vsock_hdr *h);
void vsock_muxer_flush(struct vsock_muxer *m);

/* True if count more packets from the guest can be answered. */
bool vsock_muxer_has_room(const struct vsock_muxer *m, uint32_t count);

/* What the guest gets next: op, and whose (NULL: an RST to nobody's connection). */
struct vsock_turn {
	enum vsock_op op;
	struct vsock_slot *slot;
};

/* False if there is nothing. */
bool vsock_muxer_next(struct vsock_muxer *m, struct vsock_turn *ret);

/*
 * Reads for an RW turn. Bytes read, or 0: then there is no packet, ask vsock_muxer_next again.
 * len: room in iov, at most the connection's credit.
 */
uint32_t vsock_muxer_read(struct vsock_muxer *m, struct vsock_slot *s, const struct iovec *iov,
	int count, uint32_t len);

/* The header of one packet of the turn; len as far as it is RW. The packet counts as sent. */
void vsock_muxer_build(
	struct vsock_muxer *m, const struct vsock_turn *t, uint32_t len, struct vsock_hdr *ret);

/* The turn is over, with a packet or without: the next connection's. */
void vsock_muxer_done(struct vsock_muxer *m, const struct vsock_turn *t);

/* A socket event of a connection. */
void vsock_muxer_event(struct vsock_slot *s, uint32_t events);
/* Takes waiting clients. True if there are more, but enough for one turn of the event loop. */
bool vsock_muxer_accept(struct vsock_muxer *m);
/* Ends what is overdue at now_ns and sets the timer to the next deadline. */
void vsock_muxer_expire(struct vsock_muxer *m, uint64_t now_ns);
