/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio block: the device, from its making to its end, and its configuration space. See blk.h and
 * blk_dev.h; virtio 1.2 §5.2.
 */
#include "virtio/blk_dev.h"

#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <string.h>

#define BLK_DEVICE_ID 2u

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
	blk_forget_all(blk_of(d));
}

static void blk_drain(struct virtio_dev *d)
{
	blk_finish_all(blk_of(d));
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
		blk_forget_all(b);
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
	.queue_stop = blk_queue_stop,
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
