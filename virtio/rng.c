/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio entropy. See rng.h; virtio 1.2 §5.4. The kernel's random generator fills the driver's
 * buffers in place; getrandom never runs dry once the host has booted.
 */
#include "virtio/rng.h"

#include "vmm/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define RNG_DEVICE_ID 4u

struct rng {
	struct virtio_dev dev; /* first */
	struct rng_counters counters;
	struct chain chain; /* the request at hand */
};

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

static void rng_serve(struct virtio_dev *d, struct vq *q, struct chain *c)
{
	struct rng *r = rng_of(d);
	uint32_t want = (uint32_t)MIN(c->wr_bytes, RNG_REQUEST_SIZE_MAX), done = 0;

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
}

static void rng_notify(struct virtio_dev *d, uint16_t q)
{
	struct rng *r = rng_of(d);

	counter_add(&r->counters.entropy_event_count, 1);
	(void)virtio_dev_serve(d, q, &r->chain, rng_serve);
}

static int rng_activate(struct virtio_dev *d)
{
	(void)d;
	return 0;
}

/* Requests end before notify returns: nothing is ever in flight. */
static void rng_reset(struct virtio_dev *d)
{
	(void)d;
}

static void rng_destroy(struct virtio_dev *d)
{
	struct rng *r = rng_of(d);

	virtio_dev_fini(d);
	free(r);
}

static const struct virtio_ops rng_ops = {
	.name = "entropy",
	.device_id = RNG_DEVICE_ID,
	.queue_count = 1,
	.queue_size_max = VQ_SIZE_MAX,
	.activate = rng_activate,
	.notify = rng_notify,
	.reset = rng_reset,
	.destroy = rng_destroy,
};

int rng_create(struct gmem *mem, struct virtio_dev **ret, struct err *e)
{
	struct rng *r = calloc(1, sizeof(*r));

	if (!r)
		return err_set_os(e, -ENOMEM, "entropy");
	virtio_dev_init(&r->dev, &rng_ops, "rng", mem, 0, rng_ops.queue_count);
	*ret = &r->dev;
	return 0;
}

const struct rng_counters *rng_counters_get(const struct virtio_dev *d)
{
	return &((const struct rng *)d)->counters;
}
