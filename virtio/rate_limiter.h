/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token buckets with Firecracker's rules: one for bytes and one for operations, both charged for
 * each request or neither. A bucket starts full and fills in proportion to the time that passes;
 * its one-time burst is spent first and never comes back. A request larger than the bucket passes
 * when the bucket is full, and leaves a debt that must be paid before anything else passes. A
 * bucket whose size or refill time is 0 is off.
 *
 * Unlike there, nothing polls: rate_limiter_delay_ns says when a request will pass, and a struct
 * rate_timer fires then. Time is a parameter, so that tests need no waiting; it must not go back.
 *
 * All of it is used under the lock of the device that owns it.
 */
#pragma once

#include "vmm/base/field.h"
#include "vmm/svc/loop.h"

/* What a user sets. An object that was not given leaves its bucket as it is (PATCH). */
struct token_bucket_config {
	uint64_t size;
	uint64_t refill_time_ms; /* from empty to full */
	uint64_t one_time_burst;
};

struct rate_limiter_config {
	bool has_bandwidth, has_ops;
	struct token_bucket_config bandwidth; /* tokens are bytes */
	struct token_bucket_config ops;       /* tokens are requests */
};

struct token_bucket_state {
	uint64_t size;
	uint64_t refill_time_ms;
	uint64_t one_time_burst;
	uint64_t burst_left;
	uint64_t tokens;
	uint64_t part; /* of the next token, in size-ths of a nanosecond's worth: < refill time */
	uint64_t debt; /* tokens to come that are spent already */
};

/* Part of its device's own state. */
struct rate_limiter_state {
	struct token_bucket_state bandwidth;
	struct token_bucket_state ops;
};
extern const struct field_table rate_limiter_state_table;

struct rate_limiter {
	struct rate_limiter_state *st; /* borrowed from the device's state */
	uint64_t last_ns;              /* when the buckets were last filled */
};

/* c may be NULL: no limits. */
void rate_limiter_init(struct rate_limiter *l, struct rate_limiter_state *st,
	const struct rate_limiter_config *c, uint64_t now_ns);

/* The given buckets start anew, full; the others go on. */
void rate_limiter_update(
	struct rate_limiter *l, const struct rate_limiter_config *c, uint64_t now_ns);

/* *l->st was loaded from an image: time counts from now on. */
void rate_limiter_resume(struct rate_limiter *l, uint64_t now_ns);

/* True if a bucket is on. */
bool rate_limiter_active(const struct rate_limiter *l);

/* True: the request may pass and is paid for. False: nothing was taken. */
bool rate_limiter_charge(
	struct rate_limiter *l, uint64_t bytes, uint64_t ops, uint64_t now_ns) MUST_USE;

/* A request that was paid for did not take place, or was smaller than thought. */
void rate_limiter_refund(struct rate_limiter *l, uint64_t bytes, uint64_t ops);

/* Until rate_limiter_charge will say yes to this, if nothing else is charged; 0: it would now. */
uint64_t rate_limiter_delay_ns(
	struct rate_limiter *l, uint64_t bytes, uint64_t ops, uint64_t now_ns);

/* A one-shot timer on the event loop. Made at set-up, armed by the loop's thread only. */
struct rate_timer {
	int fd;            /* owned timerfd, -1 if none */
	bool armed;        /* atomic; set by rate_timer_arm, cleared before fn is called */
	struct loop *loop; /* borrowed; NULL: nobody waits (unit tests look at armed) */
	struct loop_source source;
	void (*fn)(void *ctx);
	void *ctx; /* borrowed */
};

int rate_timer_init(struct rate_timer *t, struct loop *loop, void (*fn)(void *ctx), void *ctx,
	struct err *e) MUST_USE;
void rate_timer_fini(struct rate_timer *t);

/* fn is called once, after delay_ns. Replaces what was armed before. */
void rate_timer_arm(struct rate_timer *t, uint64_t delay_ns);
/* Any thread that holds the device's lock: fn may still be on its way to it. */
void rate_timer_disarm(struct rate_timer *t);
