/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio block: serving its queues. See blk_dev.h.
 *
 * A batch is taken from a queue, its work started, handed to the kernel in one go, and what is
 * complete by then answered with one interrupt; the rest is answered when the event loop says so.
 * A queue stops early when the rate limiter says no (its timer goes on with it) or when all
 * requests of the pool are in flight (the next answer goes on with it).
 *
 * Work is started and answered on the owner thread alone. A vCPU thread, whose filter has no file
 * operations, waits here when the driver resets the device or stops a queue: it only collects what
 * the kernel is done with. Of that, what belongs to other queues is put aside for the owner.
 */
#include "virtio/blk_dev.h"

#include "vmm/base/clock.h"

/* What blk_take says when the queue must wait. */
#define BLK_STALLED 2

static void blk_signal(struct blk *b)
{
	for (uint16_t q = 0; b->to_signal != 0; q++, b->to_signal >>= 1)
		if (b->to_signal & 1)
			virtio_dev_signal(&b->dev, q);
}

/* Starts the next pieces of work of r until one takes its time or the request is answered. */
static void blk_run(struct blk *b, struct blk_req *r)
{
	while (blk_req_next(b, r)) {
		int rc = b->engine->ops->start(b->engine, &r->io);

		if (rc == BLK_IN_FLIGHT)
			return;
		if (rc < 0) {
			blk_req_finish(b, r, blk_req_failed(b, r, rc));
			return;
		}
	}
	blk_req_finish(b, r, BLK_S_OK);
}

/* The next request that the kernel is done with, and its raw result; NULL: none. */
static struct blk_req *blk_collect(struct blk *b, int *ret_res)
{
	struct blk_req *r = b->aside;

	if (!r)
		return (struct blk_req *)b->engine->ops->reap(b->engine, ret_res);
	b->aside = r->next;
	*ret_res = r->res;
	return r;
}

/* Goes on with everything that the engine has done, until nothing more is done. */
static void blk_reap(struct blk *b)
{
	struct blk_req *r;
	int rc, res = 0;

	b->engine->ops->submit(b->engine);
	while ((r = blk_collect(b, &res))) {
		rc = b->engine->ops->settle(b->engine, &r->io, res);
		if (rc == BLK_IN_FLIGHT)
			continue;
		if (rc < 0)
			blk_req_finish(b, r, blk_req_failed(b, r, rc));
		else
			blk_run(b, r);
	}
	b->engine->ops->submit(b->engine); /* second pieces of work, and rests of short ones */
}

/* What was in flight when the driver let go of it: guest memory may have been written. */
static void blk_forget(struct blk *b, struct blk_req *r)
{
	if (r->io.op == BLK_OP_READ)
		chain_mark_dirty(&r->chain, 0, r->io.len);
	b->queue_in_flight[r->queue]--;
	r->next = b->free;
	b->free = r;
	b->in_flight--;
}

void blk_finish_all(struct blk *b)
{
	while (b->in_flight > 0) {
		if (!b->aside)
			b->engine->ops->wait(b->engine);
		blk_reap(b);
	}
	blk_signal(b);
}

void blk_forget_all(struct blk *b)
{
	struct blk_req *r;
	int res;

	while (b->in_flight > 0) {
		if (!b->aside)
			b->engine->ops->wait(b->engine);
		while ((r = blk_collect(b, &res)))
			blk_forget(b, r);
	}
	b->to_signal = b->throttled = b->starved = 0;
}

static void blk_put_aside(struct blk *b, struct blk_req *r, int res)
{
	r->res = res;
	r->next = b->aside;
	b->aside = r;
}

/* What of queue q was put aside when another queue was stopped. */
static void blk_forget_aside(struct blk *b, uint16_t q)
{
	struct blk_req *r = b->aside, *next;

	b->aside = NULL;
	for (; r; r = next) {
		next = r->next;
		if (r->queue == q)
			blk_forget(b, r);
		else
			blk_put_aside(b, r, r->res);
	}
}

void blk_queue_stop(struct virtio_dev *d, uint16_t q)
{
	struct blk *b = blk_of(d);
	struct blk_req *r;
	int res;

	blk_forget_aside(b, q);
	while (b->queue_in_flight[q] > 0) {
		b->engine->ops->wait(b->engine);
		while ((r = (struct blk_req *)b->engine->ops->reap(b->engine, &res))) {
			if (r->queue == q)
				blk_forget(b, r);
			else
				blk_put_aside(b, r, res);
		}
	}
	b->to_signal &= ~(1u << q);
	b->throttled &= ~(1u << q);
	b->starved &= ~(1u << q);
	for (r = b->aside; r; r = r->next)
		if (d->transport)
			d->transport->kick(d, r->queue);
}

static void blk_throttle(struct blk *b, uint16_t q, const struct blk_req *r, uint64_t now_ns)
{
	uint64_t delay = rate_limiter_delay_ns(&b->limiter, r->cost_bytes, 1, now_ns);

	counter_add(&b->counters.rate_limiter_throttled_events, 1);
	b->throttled |= 1u << q;
	if (!__atomic_load_n(&b->timer.armed, __ATOMIC_RELAXED))
		rate_timer_arm(&b->timer, delay);
}

/* A free request, or NULL. The pool's memory is taken into use only as far as it is needed. */
static struct blk_req *blk_req_get(struct blk *b)
{
	if (!b->free && b->reqs_used < BLK_REQS_MAX) {
		b->free = &b->reqs[b->reqs_used++];
		b->free->next = NULL;
	}
	return b->free;
}

/* Takes a request. 1: done or on its way; 0: there is none; BLK_STALLED; < 0: bad ring. */
static int blk_take(struct blk *b, uint16_t q, const char **ret_why)
{
	struct vq *vq = &b->dev.vqs[q];
	struct blk_req *r = blk_req_get(b);
	uint64_t now = clock_mono_ns();
	uint8_t status;
	int rc;

	if (!r) {
		counter_add(&b->counters.io_engine_throttled_events, 1);
		b->starved |= 1u << q;
		return BLK_STALLED;
	}
	rc = vq_pop(vq, &r->chain, ret_why);
	if (rc <= 0)
		return rc;
	r->queue = q;
	r->start_ns = now;
	status = blk_req_parse(b, r);
	if (!rate_limiter_charge(&b->limiter, r->cost_bytes, 1, now)) {
		vq_unpop(vq);
		blk_throttle(b, q, r, now);
		return BLK_STALLED;
	}
	b->free = r->next;
	b->in_flight++;
	b->queue_in_flight[q]++;
	if (status == BLK_S_OK) {
		blk_run(b, r);
	} else {
		counter_add(&b->counters.invalid_reqs_count, 1);
		blk_req_finish(b, r, status);
	}
	return 1;
}

/* Requests have become free: queues that wait for one are looked at in the next turn. */
static void blk_feed(struct blk *b)
{
	uint32_t starved = b->starved;

	if (!b->free)
		return;
	b->starved = 0;
	for (uint16_t q = 0; starved != 0; q++, starved >>= 1)
		if ((starved & 1) && b->dev.transport)
			b->dev.transport->kick(&b->dev, q);
}

static void blk_answer(struct blk *b)
{
	blk_reap(b);
	blk_signal(b);
	blk_feed(b);
}

void blk_notify(struct virtio_dev *d, uint16_t q)
{
	struct blk *b = blk_of(d);
	struct vq *vq = &d->vqs[q];
	const char *why = NULL;
	uint32_t turns, taken = 0;
	int rc = 0;

	counter_add(&b->counters.queue_event_count, 1);
	if (b->throttled >> q & 1) { /* the timer will come back to it */
		blk_answer(b);
		return;
	}
	vq_kicks_off(vq);
	for (turns = 0; turns < VIRTIO_BATCH_MAX; turns++) {
		rc = blk_take(b, q, &why);
		if (rc < 0 || rc == BLK_STALLED || (rc == 0 && !vq_kicks_on(vq)))
			break;
		if (rc == 0)
			vq_kicks_off(vq); /* more came in just before the kicks were on */
		else
			taken++;
	}
	blk_answer(b);
	if (taken == 0 && rc == 0)
		counter_add(&b->counters.no_avail_buffer, 1);
	if (rc < 0) {
		virtio_dev_broken(d, why);
	} else if (turns == VIRTIO_BATCH_MAX && d->transport) {
		counter_add(&b->counters.remaining_reqs_count, 1);
		d->transport->kick(d, q); /* kicks are still off: nobody else would call us */
	}
}

void blk_poll(struct virtio_dev *d)
{
	struct blk *b = blk_of(d);

	virtio_dev_lock(d);
	blk_answer(b);
	virtio_dev_unlock(d);
}

void blk_on_completion(void *ctx, uint32_t events)
{
	(void)events;
	blk_poll(ctx);
}

void blk_unthrottle(struct blk *b)
{
	uint32_t throttled = b->throttled;

	b->throttled = 0;
	for (uint16_t q = 0; throttled != 0; q++, throttled >>= 1)
		if ((throttled & 1) && b->dev.transport)
			b->dev.transport->kick(&b->dev, q);
}

void blk_on_timer(void *ctx)
{
	struct blk *b = ctx;

	virtio_dev_lock(&b->dev);
	counter_add(&b->counters.rate_limiter_event_count, 1);
	blk_unthrottle(b);
	virtio_dev_unlock(&b->dev);
}
