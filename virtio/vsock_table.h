/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections of a vsock device: a table of fixed size, with no heap after its creation, found
 * by their pair of ports through a hash table; the queue of those that have something for the
 * guest; and the queue of deadlines, which is in order by itself because all are equally long.
 */
#pragma once

#include "virtio/vsock_conn.h"
#include "vmm/svc/loop.h"

#define VSOCK_CONNS_MAX  1023u
#define VSOCK_HASH_SIZE  1024u
#define VSOCK_TIMEOUT_NS 2000000000ull /* of a connect, and of a shutdown */
#define VSOCK_NONE       UINT16_MAX    /* no slot, in a link */

/* A connection with its socket. Lives in the table's array for ever; the loop may point to it. */
struct vsock_slot {
	struct vsock_conn conn;
	struct loop_source source;   /* fd owned, -1: none; ctx is the slot */
	struct vsock_table *table;   /* borrowed: whose it is */
	bool readable;               /* reading has not yet said that there is nothing */
	bool ending;                 /* the host's end has shut down at least one direction */
	bool hung_up;                /* it has shut down both */
	bool awaits_out;             /* the loop also waits for room in the socket */
	bool queued;                 /* in the queue for the guest */
	bool timed;                  /* in the queue of deadlines */
	bool buf_touched;            /* the buffer has been used */
	uint8_t burst;               /* packets that the next turn may fill by one read */
	uint32_t buf_start, buf_len; /* ring of bytes from the guest: first byte, how many */
	uint64_t deadline_ns;        /* CLOCK_MONOTONIC */
	uint16_t hash_next, next;    /* of the hash bucket; of the free list or the queue */
	uint16_t timer_prev, timer_next;
};

/* A queue of slots by their number. */
struct vsock_list {
	uint16_t first, last;
};

struct vsock_table {
	void *owner; /* borrowed: for the callbacks of sources */
	struct vsock_slot slots[VSOCK_CONNS_MAX];
	unsigned char
		*buffers; /* owned mapping, VSOCK_BUFFER_SIZE for each slot, touched when used */
	uint16_t hash[VSOCK_HASH_SIZE];
	uint32_t hash_key;
	uint16_t free; /* first of the free list */
	uint16_t count;
	struct vsock_list queue;
	struct vsock_list timers;
};

int vsock_table_init(struct vsock_table *t, uint32_t hash_key, struct err *e) MUST_USE;
void vsock_table_fini(struct vsock_table *t);

/* A free slot, zeroed but for its number and fd -1; NULL if all are in use. */
struct vsock_slot *vsock_table_take(struct vsock_table *t);
/* Gives it back, out of every queue and of the hash table. Its fd is closed already. */
void vsock_table_give(struct vsock_slot *s);

/* The slot joins the hash table under its connection's ports. */
void vsock_table_insert(struct vsock_slot *s);
struct vsock_slot *vsock_table_find(struct vsock_table *t, uint32_t local_port, uint32_t peer_port);

/* The queue for the guest: first in, first out; a slot is in it at most once. */
void vsock_queue_push(struct vsock_slot *s);
struct vsock_slot *vsock_queue_first(struct vsock_table *t);
struct vsock_slot *vsock_queue_pop(struct vsock_table *t);

/* Deadlines. Arming again moves the slot to the end. */
void vsock_timer_arm(struct vsock_slot *s, uint64_t now_ns);
void vsock_timer_disarm(struct vsock_slot *s);
struct vsock_slot *vsock_timer_first(struct vsock_table *t); /* the earliest, or NULL */

/* The ring of bytes from the guest that wait for the host. */
unsigned char *vsock_slot_buffer(struct vsock_slot *s);
/* Appends len bytes at off of the chain's readable part; the connection's credit made room. */
void vsock_slot_put(struct vsock_slot *s, const struct chain *c, uint64_t off, uint32_t len);
/* What waits, in order; returns how many of the two pieces are used. */
int vsock_slot_peek(struct vsock_slot *s, struct iovec iov[2]);
void vsock_slot_drop(struct vsock_slot *s, uint32_t len);
