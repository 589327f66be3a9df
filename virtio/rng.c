/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio entropy. See rng.h; virtio 1.2 §5.4. The kernel's random generator fills the driver's
 * buffers in place; getrandom never runs dry once the host has booted.
 */
#include "virtio/rng.h"

#include "vmm/base/clock.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define RNG_DEVICE_ID 4u

/* What rng_take says when the queue must wait for the rate limiter. */
#define RNG_STALLED 2

struct rng {
	struct virtio_dev dev; /* first */
	struct rng_state st;
	struct rng_counters counters;
	struct rate_limiter limiter;
	struct rate_timer timer;
	bool throttled;     /* waits for the timer */
	struct chain chain; /* the request at hand */
};

static const struct field rng_state_fields[] = {
	FIELD_STRUCT(1, 1, struct rng_state, limiter, &rate_limiter_state_table),
};
const struct field_table rng_state_table =
	FIELD_TABLE("entropy", struct rng_state, rng_state_fields, NULL);

static struct rng *rng_of(struct virtio_dev *d)
{
	return (struct rng *)d;
}

/*
 * Bytes filled, less than len only if the host fails. Not blocking: a host so young that its
 * generator is not seeded must not stop the event loop.
 * #syscalls:main getrandom
 */
static uint32_t rng_fill(struct rng *r, void __guest *at, uint32_t len)
{
	unsigned char *p = gmem_host_addr(at);
	uint32_t done = 0;

	while (done < len) {
		ssize_t n = getrandom(p + done, len - done, GRND_NONBLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			counter_add(&r->counters.host_rng_fails, 1);
			log_guest(LOG_WARN, "entropy: the host gave no random bytes: %s",
				strerror(errno));
			break;
		}
		done += (uint32_t)n;
	}
	return done;
}

/* Fills one request that has been paid for. Bytes that it got. */
static uint32_t rng_serve(struct rng *r, struct vq *q, uint32_t want)
{
	const struct chain *c = &r->chain;
	uint32_t done = 0;

	for (uint16_t i = c->rd_count; done < want; i++) {
		uint32_t len = MIN(c->seg[i].len, want - done);
		uint32_t got = rng_fill(r, c->seg[i].host, len);

		done += got;
		if (got < len)
			break;
	}
	if (done == 0)
		counter_add(&r->counters.entropy_event_fails, 1);
	counter_add(&r->counters.entropy_bytes, done);
	vq_push(q, c, done);
	return done;
}

/* 1: a request was served; 0: there is none; RNG_STALLED: the timer goes on with it; < 0: bad ring. */
static int rng_take(struct rng *r, struct vq *q, const char **ret_why)
{
	int rc = vq_pop(q, &r->chain, ret_why);
	uint64_t now = clock_mono_ns();
	uint32_t want;

	if (rc <= 0)
		return rc;
	want = (uint32_t)MIN(r->chain.wr_bytes, RNG_REQUEST_SIZE_MAX);
	if (rate_limiter_charge(&r->limiter, want, 1, now)) {
		(void)rng_serve(r, q, want);
		return 1;
	}
	vq_unpop(q);
	counter_add(&r->counters.entropy_rate_limiter_throttled, 1);
	r->throttled = true;
	rate_timer_arm(&r->timer, rate_limiter_delay_ns(&r->limiter, want, 1, now));
	return RNG_STALLED;
}

static void rng_notify(struct virtio_dev *d, uint16_t q)
{
	struct rng *r = rng_of(d);
	struct vq *vq = &d->vqs[q];
	const char *why = NULL;
	uint32_t turns, served = 0;
	int rc = 0;

	counter_add(&r->counters.entropy_event_count, 1);
	if (r->throttled)
		return; /* the timer will come back to it */
	vq_kicks_off(vq);
	for (turns = 0; turns < VIRTIO_BATCH_MAX; turns++) {
		rc = rng_take(r, vq, &why);
		if (rc < 0 || rc == RNG_STALLED || (rc == 0 && !vq_kicks_on(vq)))
			break;
		if (rc == 0)
			vq_kicks_off(vq);
		else
			served++;
	}
	if (served > 0)
		virtio_dev_signal(d, q);
	if (rc < 0)
		virtio_dev_broken(d, why);
	else if (turns == VIRTIO_BATCH_MAX && d->transport)
		d->transport->kick(d, q);
}

static void rng_unthrottle(struct rng *r)
{
	if (r->throttled && r->dev.transport)
		r->dev.transport->kick(&r->dev, 0);
	r->throttled = false;
}

static void rng_on_timer(void *ctx)
{
	struct rng *r = ctx;

	virtio_dev_lock(&r->dev);
	counter_add(&r->counters.rate_limiter_event_count, 1);
	rng_unthrottle(r);
	virtio_dev_unlock(&r->dev);
}

void rng_update_limiter(struct virtio_dev *d, const struct rate_limiter_config *c)
{
	struct rng *r = rng_of(d);

	virtio_dev_lock(d);
	rate_limiter_update(&r->limiter, c, clock_mono_ns());
	rate_timer_disarm(&r->timer);
	rng_unthrottle(r);
	virtio_dev_unlock(d);
}

static int rng_activate(struct virtio_dev *d)
{
	(void)d;
	return 0;
}

/*
 * Requests end before notify returns: nothing is ever in flight. The timer may still fire; it
 * finds nothing to do then.
 */
static void rng_reset(struct virtio_dev *d)
{
	rng_of(d)->throttled = false;
}

static int rng_load(struct virtio_dev *d, const void *state, struct err *e)
{
	struct rng *r = rng_of(d);

	(void)e;
	memcpy(&r->st, state, sizeof(r->st));
	rate_limiter_resume(&r->limiter, clock_mono_ns());
	return 0;
}

static void rng_destroy(struct virtio_dev *d)
{
	struct rng *r = rng_of(d);

	rate_timer_fini(&r->timer);
	virtio_dev_fini(d);
	free(r);
}

static const struct virtio_ops rng_ops = {
	.name = "entropy",
	.device_id = RNG_DEVICE_ID,
	.queue_count = 1,
	.queue_size_max = VQ_SIZE_MAX,
	.state = &rng_state_table,
	.activate = rng_activate,
	.notify = rng_notify,
	.reset = rng_reset,
	.load = rng_load,
	.destroy = rng_destroy,
};

int rng_create(struct gmem *mem, const struct rng_config *c, struct virtio_dev **ret, struct err *e)
{
	struct rng *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return err_set_os(e, -ENOMEM, "entropy");
	rc = rate_timer_init(&r->timer, c->loop, rng_on_timer, r, e);
	if (rc < 0) {
		free(r);
		return rc;
	}
	virtio_dev_init(&r->dev, &rng_ops, "rng", mem, 0, rng_ops.queue_count);
	r->dev.state = &r->st;
	rate_limiter_init(&r->limiter, &r->st.limiter, c->limiter, clock_mono_ns());
	*ret = &r->dev;
	return 0;
}

const struct rng_counters *rng_counters_get(const struct virtio_dev *d)
{
	return &((const struct rng *)d)->counters;
}
