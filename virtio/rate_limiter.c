/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token buckets. See rate_limiter.h.
 *
 * Filling is exact: after any number of steps of any length a bucket holds what one step would
 * have given. The remainder of the division is kept in `part`, as a numerator over the refill time
 * in nanoseconds, so nothing is lost to rounding however often requests come.
 */
#include "virtio/rate_limiter.h"

#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"

#include <errno.h>
#include <sys/timerfd.h>

/* A timer that is far away fires early and is armed again: a longer time is never needed. */
#define RATE_TIMER_NS_MAX (3600 * CLOCK_NS_PER_S)

typedef unsigned __int128 u128;

static uint64_t bucket_refill_ns(const struct token_bucket_state *b)
{
	return b->refill_time_ms > UINT64_MAX / CLOCK_NS_PER_MS
		       ? UINT64_MAX
		       : b->refill_time_ms * CLOCK_NS_PER_MS;
}

static bool bucket_on(const struct token_bucket_state *b)
{
	return b->size != 0 && b->refill_time_ms != 0;
}

static int bucket_check(const void *state, struct err *e)
{
	const struct token_bucket_state *b = state;

	if (b->tokens > b->size || b->burst_left > b->one_time_burst)
		return err_set(e, -EINVAL, "token_bucket holds more than fits");
	if (b->part != 0 && b->part >= bucket_refill_ns(b))
		return err_set(e, -EINVAL, "token_bucket.part is a whole token or more");
	if (b->debt != 0 && b->tokens != 0)
		return err_set(e, -EINVAL, "token_bucket has tokens and debt at once");
	return 0;
}

static const struct field token_bucket_fields[] = {
	FIELD(1, 1, struct token_bucket_state, size, 0),
	FIELD(2, 1, struct token_bucket_state, refill_time_ms, 0),
	FIELD(3, 1, struct token_bucket_state, one_time_burst, 0),
	FIELD(4, 1, struct token_bucket_state, burst_left, 0),
	FIELD(5, 1, struct token_bucket_state, tokens, 0),
	FIELD(6, 1, struct token_bucket_state, part, 0),
	FIELD(7, 1, struct token_bucket_state, debt, 0),
};
static const struct field_table token_bucket_table =
	FIELD_TABLE("token_bucket", struct token_bucket_state, token_bucket_fields, bucket_check);

static const struct field rate_limiter_fields[] = {
	FIELD_STRUCT(1, 1, struct rate_limiter_state, bandwidth, &token_bucket_table),
	FIELD_STRUCT(2, 1, struct rate_limiter_state, ops, &token_bucket_table),
};
const struct field_table rate_limiter_state_table =
	FIELD_TABLE("rate_limiter", struct rate_limiter_state, rate_limiter_fields, NULL);

static void bucket_set(struct token_bucket_state *b, const struct token_bucket_config *c)
{
	*b = (struct token_bucket_state){
		.size = c->size,
		.refill_time_ms = c->refill_time_ms,
		.one_time_burst = c->one_time_burst,
		.burst_left = c->one_time_burst,
		.tokens = c->size,
	};
}

/* Tokens of any origin: they pay the debt, then fill the bucket; what does not fit is lost. */
static void bucket_add(struct token_bucket_state *b, u128 tokens)
{
	u128 paid = MIN(tokens, b->debt);

	b->debt -= (uint64_t)paid;
	tokens -= paid;
	b->tokens += (uint64_t)MIN(tokens, b->size - b->tokens);
	if (b->tokens == b->size)
		b->part = 0;
}

static void bucket_fill(struct token_bucket_state *b, uint64_t elapsed_ns)
{
	uint64_t refill_ns = bucket_refill_ns(b);
	u128 gain;

	if (!bucket_on(b) || b->tokens == b->size)
		return;
	gain = (u128)elapsed_ns * b->size + b->part;
	b->part = (uint64_t)(gain % refill_ns);
	bucket_add(b, gain / refill_ns);
}

/* Tokens that must be in the bucket for a request of n to pass. */
static uint64_t bucket_needs(const struct token_bucket_state *b, uint64_t n)
{
	uint64_t rest = n - MIN(n, b->burst_left);

	return MIN(rest, b->size);
}

static bool bucket_has(const struct token_bucket_state *b, uint64_t n)
{
	uint64_t needs = bucket_needs(b, n);

	return !bucket_on(b) || needs == 0 || (b->debt == 0 && b->tokens >= needs);
}

static void bucket_take(struct token_bucket_state *b, uint64_t n)
{
	uint64_t burst = MIN(n, b->burst_left), held;

	if (!bucket_on(b))
		return;
	b->burst_left -= burst;
	n -= burst;
	held = MIN(n, b->tokens);
	b->tokens -= held;
	b->debt += n - held;
}

/* The burst is not given back: a refund fills the bucket as time does. */
static void bucket_refund(struct token_bucket_state *b, uint64_t n)
{
	if (bucket_on(b))
		bucket_add(b, n);
}

static uint64_t bucket_delay_ns(const struct token_bucket_state *b, uint64_t n)
{
	uint64_t refill_ns = bucket_refill_ns(b);
	u128 missing, ns;

	if (bucket_has(b, n))
		return 0;
	missing = (u128)b->debt + bucket_needs(b, n) - b->tokens;
	if (missing > UINT64_MAX)
		return UINT64_MAX;
	ns = (missing * refill_ns - b->part + b->size - 1) / b->size;
	return (uint64_t)MIN(ns, UINT64_MAX);
}

static void rate_limiter_fill(struct rate_limiter *l, uint64_t now_ns)
{
	uint64_t elapsed = now_ns > l->last_ns ? now_ns - l->last_ns : 0;

	bucket_fill(&l->st->bandwidth, elapsed);
	bucket_fill(&l->st->ops, elapsed);
	l->last_ns += elapsed;
}

void rate_limiter_init(struct rate_limiter *l, struct rate_limiter_state *st,
	const struct rate_limiter_config *c, uint64_t now_ns)
{
	*st = (struct rate_limiter_state){.bandwidth = {.size = 0}};
	*l = (struct rate_limiter){.st = st, .last_ns = now_ns};
	if (c)
		rate_limiter_update(l, c, now_ns);
}

void rate_limiter_update(
	struct rate_limiter *l, const struct rate_limiter_config *c, uint64_t now_ns)
{
	rate_limiter_fill(l, now_ns);
	if (c->has_bandwidth)
		bucket_set(&l->st->bandwidth, &c->bandwidth);
	if (c->has_ops)
		bucket_set(&l->st->ops, &c->ops);
}

void rate_limiter_resume(struct rate_limiter *l, uint64_t now_ns)
{
	l->last_ns = now_ns;
}

bool rate_limiter_active(const struct rate_limiter *l)
{
	return bucket_on(&l->st->bandwidth) || bucket_on(&l->st->ops);
}

bool rate_limiter_charge(struct rate_limiter *l, uint64_t bytes, uint64_t ops, uint64_t now_ns)
{
	if (!rate_limiter_active(l))
		return true;
	rate_limiter_fill(l, now_ns);
	if (!bucket_has(&l->st->bandwidth, bytes) || !bucket_has(&l->st->ops, ops))
		return false;
	bucket_take(&l->st->bandwidth, bytes);
	bucket_take(&l->st->ops, ops);
	return true;
}

void rate_limiter_refund(struct rate_limiter *l, uint64_t bytes, uint64_t ops)
{
	bucket_refund(&l->st->bandwidth, bytes);
	bucket_refund(&l->st->ops, ops);
}

uint64_t rate_limiter_delay_ns(
	struct rate_limiter *l, uint64_t bytes, uint64_t ops, uint64_t now_ns)
{
	uint64_t a, b;

	rate_limiter_fill(l, now_ns);
	a = bucket_delay_ns(&l->st->bandwidth, bytes);
	b = bucket_delay_ns(&l->st->ops, ops);
	return MAX(a, b);
}

/* #syscalls:main,io read */
static void rate_timer_event(void *ctx, uint32_t events)
{
	struct rate_timer *t = ctx;
	uint64_t count;

	(void)events;
	if (read(t->fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
		return; /* disarmed or set anew since the loop saw it */
	__atomic_store_n(&t->armed, false, __ATOMIC_RELAXED);
	t->fn(t->ctx);
}

int rate_timer_init(
	struct rate_timer *t, struct loop *loop, void (*fn)(void *ctx), void *ctx, struct err *e)
{
	int rc;

	*t = (struct rate_timer){.fd = -1, .fn = fn, .ctx = ctx};
	t->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (t->fd < 0)
		return err_set_os(e, -errno, "cannot make the timer of a rate limiter");
	t->source = (struct loop_source){.fd = t->fd, .fn = rate_timer_event, .ctx = t};
	if (!loop)
		return 0;
	rc = loop_add(loop, &t->source, EPOLLIN);
	if (rc < 0) {
		fd_close(&t->fd);
		return err_set_os(e, rc, "cannot watch the timer of a rate limiter");
	}
	t->loop = loop;
	return 0;
}

void rate_timer_fini(struct rate_timer *t)
{
	if (t->loop)
		loop_del(t->loop, &t->source);
	t->loop = NULL;
	t->armed = false;
	fd_close(&t->fd);
}

/* #syscalls:main,io timerfd_settime */
static void rate_timer_set(struct rate_timer *t, uint64_t ns)
{
	const struct itimerspec when = {
		.it_value.tv_sec = (time_t)(ns / CLOCK_NS_PER_S),
		.it_value.tv_nsec = (long)(ns % CLOCK_NS_PER_S),
	};
	int rc = timerfd_settime(t->fd, 0, &when, NULL);

	CHECK(rc == 0);
}

void rate_timer_arm(struct rate_timer *t, uint64_t delay_ns)
{
	__atomic_store_n(&t->armed, true, __ATOMIC_RELAXED);
	rate_timer_set(t, MIN(MAX(delay_ns, 1), RATE_TIMER_NS_MAX));
}

void rate_timer_disarm(struct rate_timer *t)
{
	if (!__atomic_exchange_n(&t->armed, false, __ATOMIC_RELAXED))
		return;
	rate_timer_set(t, 0);
}
