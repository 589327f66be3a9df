/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio block: the device and its queues. See blk.h and blk_dev.h; virtio 1.2 §5.2.
 *
 * A batch is taken from a queue, its work started, handed to the kernel in one go, and what is
 * complete by then answered with one interrupt; the rest is answered when the event loop says so.
 * A queue stops early when the rate limiter says no (its timer goes on with it) or when all
 * requests of the pool are in flight (the next answer goes on with it).
 */
#include "virtio/blk_dev.h"

#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <string.h>

#define BLK_DEVICE_ID 2u

/* What blk_take says when the queue must wait. */
#define BLK_STALLED 2

/* Configuration space as far as we fill it, virtio 1.2 §5.2.4; the rest reads as zero. */
struct blk_space {
	uint64_t capacity; /* sectors of 512 bytes */
	uint32_t size_max; /* not offered */
	uint32_t seg_max;  /* data segments of one request */
	uint32_t geometry; /* not offered */
	uint32_t blk_size;
	uint8_t physical_block_exp; /* 2^this blocks make a physical one */
	uint8_t alignment_offset;
	uint16_t min_io_size; /* blocks */
	uint32_t opt_io_size; /* blocks */
	uint8_t writeback;    /* not offered */
	uint8_t unused0;
	uint16_t num_queues;
	uint32_t max_discard_sectors;
	uint32_t max_discard_seg;
	uint32_t discard_sector_alignment; /* sectors of 512 bytes */
	uint32_t max_write_zeroes_sectors;
	uint32_t max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap;
	uint8_t unused1[3];
};

static const struct field blk_state_fields[] = {
	FIELD(1, 1, struct blk_state, sector_count, UINT64_MAX / BLK_SECTOR_SIZE),
	FIELD_ARRAY(2, 1, struct blk_state, id, 0),
	FIELD_ARRAY(3, 1, struct blk_state, reserved, 0),
	FIELD_STRUCT(4, 1, struct blk_state, limiter, &rate_limiter_state_table),
};

static int blk_state_check(const void *state, struct err *e)
{
	static const uint8_t zero[4];
	const struct blk_state *s = state;

	if (memcmp(s->reserved, zero, sizeof(s->reserved)) != 0)
		return err_set(e, -EINVAL, "block.reserved is not zero");
	return 0;
}

const struct field_table blk_state_table =
	FIELD_TABLE("block", struct blk_state, blk_state_fields, blk_state_check);

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

/* Goes on with everything that the engine has done, until nothing more is done. */
static void blk_reap(struct blk *b)
{
	struct blk_io *io;
	int rc = 0;

	b->engine->ops->submit(b->engine);
	while ((io = b->engine->ops->reap(b->engine, &rc))) {
		struct blk_req *r = (struct blk_req *)io;

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
	r->next = b->free;
	b->free = r;
	b->in_flight--;
}

void blk_quiesce(struct blk *b, bool answer)
{
	struct blk_io *io;
	int rc = 0;

	while (b->in_flight > 0) {
		b->engine->ops->wait(b->engine);
		if (answer) {
			blk_reap(b);
			continue;
		}
		while ((io = b->engine->ops->reap(b->engine, &rc)))
			blk_forget(b, (struct blk_req *)io);
	}
}

static void blk_throttle(struct blk *b, uint16_t q, const struct blk_req *r, uint64_t now_ns)
{
	uint64_t delay = rate_limiter_delay_ns(&b->limiter, r->cost_bytes, 1, now_ns);

	counter_add(&b->counters.rate_limiter_throttled_events, 1);
	b->throttled |= 1u << q;
	if (!b->timer.armed)
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

static void blk_notify(struct virtio_dev *d, uint16_t q)
{
	struct blk *b = blk_of(d);
	struct vq *vq = &d->vqs[q];
	const char *why = NULL;
	uint32_t turns, taken = 0;
	int rc = 0;

	counter_add(&b->counters.queue_event_count, 1);
	if (b->throttled >> q & 1)
		return; /* the timer will come back to it */
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
	blk_reap(b);
	blk_signal(b);
	blk_feed(b);
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
	blk_reap(b);
	blk_signal(b);
	blk_feed(b);
	virtio_dev_unlock(d);
}

static void blk_on_completion(void *ctx, uint32_t events)
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

static void blk_on_timer(void *ctx)
{
	struct blk *b = ctx;

	virtio_dev_lock(&b->dev);
	counter_add(&b->counters.rate_limiter_event_count, 1);
	blk_unthrottle(b);
	virtio_dev_unlock(&b->dev);
}

static int blk_activate(struct virtio_dev *d)
{
	(void)d;
	return 0;
}

/*
 * Waits for what is in flight, so that no read lands in memory that the driver has taken back. The
 * timer, if armed, fires and finds nothing to do: it is the other thread's to disarm.
 */
static void blk_reset(struct virtio_dev *d)
{
	struct blk *b = blk_of(d);

	blk_quiesce(b, false);
	b->to_signal = b->throttled = b->starved = 0;
}

static void blk_drain(struct virtio_dev *d)
{
	struct blk *b = blk_of(d);

	blk_quiesce(b, true);
	blk_signal(b);
}

static void blk_config_read(struct virtio_dev *d, uint32_t off, void *data, uint32_t len)
{
	const struct blk *b = blk_of(d);
	uint32_t blk_size = b->file.align;
	uint32_t per_page = (uint32_t)GMEM_PAGE_SIZE / blk_size;
	struct blk_space space = {
		.capacity = b->st.sector_count,
		.seg_max = VQ_SIZE_MAX - 2, /* header and status take two descriptors */
		.blk_size = blk_size,
		.physical_block_exp = (uint8_t)__builtin_ctz(per_page),
		.min_io_size = (uint16_t)per_page,
		.num_queues = d->queue_count,
	};

	if (d->features >> BLK_F_DISCARD & 1) {
		space.max_discard_sectors = BLK_DISCARD_SECTORS_MAX;
		space.max_discard_seg = BLK_DISCARD_RANGES_MAX;
		space.discard_sector_alignment = (uint32_t)GMEM_PAGE_SIZE / BLK_SECTOR_SIZE;
		space.max_write_zeroes_sectors = BLK_WRITE_ZEROES_SECTORS_MAX;
		space.max_write_zeroes_seg = 1;
		space.write_zeroes_may_unmap = 1;
	}
	memcpy(data, (const unsigned char *)&space + off, len);
}

static int blk_load(struct virtio_dev *d, const void *state, struct err *e)
{
	const struct blk_state *s = state;
	struct blk *b = blk_of(d);

	if (s->sector_count != b->st.sector_count)
		return err_set(e, -EINVAL,
			"drive %s: %llu sectors were saved, the file now has %llu; give the same "
			"disk",
			b->config.drive_id, (unsigned long long)s->sector_count,
			(unsigned long long)b->st.sector_count);
	b->st = *s;
	rate_limiter_resume(&b->limiter, clock_mono_ns());
	return 0;
}

/* Also of a half-made device. */
static void blk_free(struct blk *b)
{
	if (b->engine) {
		blk_quiesce(b, false);
		if (b->source.fn)
			loop_del(b->config.loop, &b->source);
		b->engine->ops->destroy(b->engine);
	}
	rate_timer_fini(&b->timer);
	virtio_dev_fini(&b->dev);
	blk_file_close(&b->file);
	free(b->reqs);
	free((void *)(uintptr_t)b->config.drive_id);
	free((void *)(uintptr_t)b->config.path);
	free(b);
}

static void blk_destroy(struct virtio_dev *d)
{
	blk_free(blk_of(d));
}

static const struct virtio_ops blk_ops = {
	.name = "block",
	.device_id = BLK_DEVICE_ID,
	.queue_count = 1,
	.queue_size_max = VQ_SIZE_MAX,
	.state = &blk_state_table,
	.config_size = sizeof(struct blk_space),
	.activate = blk_activate,
	.notify = blk_notify,
	.reset = blk_reset,
	.drain = blk_drain,
	.config_read = blk_config_read,
	.load = blk_load,
	.destroy = blk_destroy,
};

static uint64_t blk_features(const struct blk_config *c)
{
	uint64_t features = 1ULL << BLK_F_SEG_MAX | 1ULL << BLK_F_BLK_SIZE | 1ULL << BLK_F_TOPOLOGY;

	if (c->read_only)
		features |= 1ULL << BLK_F_RO;
	else
		features |= 1ULL << BLK_F_DISCARD | 1ULL << BLK_F_WRITE_ZEROES;
	if (c->writeback)
		features |= 1ULL << BLK_F_FLUSH;
	if (c->queues > 1)
		features |= 1ULL << BLK_F_MQ;
	return features;
}

static int blk_init_engine(struct blk *b, struct err *e)
{
	struct err why = {0};
	int rc = -1;

	if (b->config.async) {
		rc = blk_uring_create(&b->file, BLK_REQS_MAX, &b->engine, &why);
		if (rc < 0)
			log_warn("drive %s: io_engine Async is not possible here (%s); using Sync",
				b->config.drive_id, why.msg);
	}
	if (rc < 0)
		rc = blk_sync_create(&b->file, &b->engine, e);
	if (rc < 0 || b->engine->fd < 0 || !b->config.loop)
		return rc;
	b->source =
		(struct loop_source){.fd = b->engine->fd, .fn = blk_on_completion, .ctx = &b->dev};
	rc = loop_add(b->config.loop, &b->source, EPOLLIN);
	if (rc < 0) {
		b->source.fn = NULL;
		return err_set_os(e, rc, "drive %s: cannot watch the io_uring", b->config.drive_id);
	}
	return 0;
}

static int blk_init(struct blk *b, const struct blk_config *c, struct err *e)
{
	int rc;

	b->config.drive_id = strdup(c->drive_id);
	b->config.path = c->path ? strdup(c->path) : NULL;
	b->reqs = calloc(BLK_REQS_MAX, sizeof(*b->reqs));
	if (!b->config.drive_id || (c->path && !b->config.path) || !b->reqs)
		return err_set_os(e, -ENOMEM, "drive %s", c->drive_id);
	rate_limiter_init(&b->limiter, &b->st.limiter, c->limiter, clock_mono_ns());
	rc = blk_file_open(&b->file, c, e);
	if (rc < 0)
		return rc;
	if ((rc = rate_timer_init(&b->timer, c->loop, blk_on_timer, b, e)) < 0 ||
		(rc = blk_init_engine(b, e)) < 0) {
		if (c->fd >= 0)
			b->file.fd = -1; /* still the caller's */
	}
	return rc;
}

int blk_create(struct gmem *mem, const struct blk_config *c, struct virtio_dev **ret, struct err *e)
{
	struct blk *b = calloc(1, sizeof(*b));
	int rc;

	if (!b)
		return err_set_os(e, -ENOMEM, "drive %s", c->drive_id);
	b->timer.fd = b->file.fd = -1;
	b->config = *c;
	b->config.fd = -1;
	b->config.limiter = NULL;
	b->config.queues = MAX(c->queues, 1);
	CHECK(b->config.queues <= VIRTIO_QUEUES_MAX);
	rc = blk_init(b, c, e);
	if (rc < 0) {
		blk_free(b);
		return rc;
	}
	b->st.sector_count = blk_file_sectors(&b->file);
	memcpy(b->st.id, b->file.id, sizeof(b->st.id));
	virtio_dev_init(&b->dev, &blk_ops, b->config.drive_id, mem, blk_features(&b->config),
		b->config.queues);
	b->dev.state = &b->st;
	*ret = &b->dev;
	return 0;
}

const struct blk_counters *blk_counters_get(const struct virtio_dev *d)
{
	return &((const struct blk *)d)->counters;
}

const char *blk_engine_name(const struct virtio_dev *d)
{
	return ((const struct blk *)d)->engine->ops->name;
}
