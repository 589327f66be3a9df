/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a block device, shared by its files: blk.c makes the device, blk_serve.c serves its
 * queues, blk_request.c is what one request means, blk_update.c changes a running device.
 *
 * A request is taken from the queue into a struct blk_req of a fixed pool and stays there until it
 * is answered. It is one or more pieces of work for the engine, one after the other: a write may
 * need a flush behind it, a discard has a piece per range.
 */
#pragma once

#include "virtio/blk_file.h"

#define BLK_F_SEG_MAX      2u
#define BLK_F_RO           5u
#define BLK_F_BLK_SIZE     6u
#define BLK_F_FLUSH        9u
#define BLK_F_TOPOLOGY     10u
#define BLK_F_MQ           12u
#define BLK_F_DISCARD      13u
#define BLK_F_WRITE_ZEROES 14u

enum { BLK_S_OK = 0, BLK_S_IOERR = 1, BLK_S_UNSUPP = 2 };

/* Requests in flight, over all queues. */
#define BLK_REQS_MAX 256u

struct blk_range {
	uint64_t at, len; /* bytes of the file */
};

struct blk_req {
	struct blk_io io;     /* first: what engines give back */
	struct blk_req *next; /* in the free list, or of those put aside */
	int res;              /* put aside: what the engine's settle is to judge */
	uint16_t queue;
	uint32_t type;       /* as the header said */
	uint64_t data_len;   /* bytes that the request's data part gets, if it succeeds */
	uint64_t cost_bytes; /* for the rate limiter */
	uint64_t start_ns;
	uint32_t range_count, range_next;
	struct blk_range ranges[BLK_DISCARD_RANGES_MAX];
	struct chain chain;
};

struct blk {
	struct virtio_dev dev; /* first */
	struct blk_state st;
	struct blk_counters counters;
	struct blk_config config; /* its strings are owned; fd, limiter are not kept */
	struct blk_file file;
	struct blk_engine *engine; /* owned */
	struct rate_limiter limiter;
	struct rate_timer timer;
	struct loop_source source; /* of the engine's descriptor */
	struct blk_req *reqs;      /* owned, BLK_REQS_MAX; their pages are touched when used */
	uint32_t reqs_used;        /* of these; the others have never been needed */
	struct blk_req *free;      /* most recently used first */
	struct blk_req *aside;     /* collected by a thread that must not go on with them */
	uint32_t in_flight;
	uint32_t queue_in_flight[VIRTIO_QUEUES_MAX];
	/* A bit per queue: */
	uint32_t to_signal; /* something was pushed since the last interrupt */
	uint32_t throttled; /* waits for the timer */
	uint32_t starved;   /* waits for a free request */
};

static inline struct blk *blk_of(struct virtio_dev *d)
{
	return (struct blk *)d;
}

/*
 * Judges the request in r->chain and prepares r. BLK_S_OK: run it; else the status to answer with
 * at once. Has no effect outside *r, so it may be repeated after vq_unpop.
 */
uint8_t blk_req_parse(struct blk *b, struct blk_req *r);

/* Sets up the next (or first) piece of work in r->io; false: there is none left. */
bool blk_req_next(struct blk *b, struct blk_req *r);

/* A piece of work has failed: counts, logs; the status to answer with. */
uint8_t blk_req_failed(struct blk *b, struct blk_req *r, int rc);

/* Answers: status byte, counters, used ring. r is free afterwards. */
void blk_req_finish(struct blk *b, struct blk_req *r, uint8_t status);

/* For struct virtio_ops. */
void blk_notify(struct virtio_dev *d, uint16_t q);
void blk_queue_stop(struct virtio_dev *d, uint16_t q);

/* Nothing is in flight after either. Answers everything; owner thread, or the owner rests. */
void blk_finish_all(struct blk *b);
/* Answers nothing; any thread. */
void blk_forget_all(struct blk *b);

/* What the event loop calls. */
void blk_on_completion(void *ctx, uint32_t events);
void blk_on_timer(void *ctx);

/* Queues that wait for the rate limiter are looked at again in the next turn. */
void blk_unthrottle(struct blk *b);
