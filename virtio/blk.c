/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio block. See blk.h; virtio 1.2 §5.2.
 *
 * A request is a header of 16 readable bytes, data, and one status byte, the last writable one.
 * Where the driver cut these into descriptors does not matter. The header is copied once and
 * judged as a copy; data is moved in place.
 */
#include "virtio/blk.h"

#include "virtio/blk_file.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <string.h>

#define BLK_DEVICE_ID 2u

#define BLK_F_SEG_MAX  2u
#define BLK_F_RO       5u
#define BLK_F_BLK_SIZE 6u
#define BLK_F_FLUSH    9u

enum { BLK_T_IN = 0, BLK_T_OUT = 1, BLK_T_FLUSH = 4, BLK_T_GET_ID = 8 };
enum { BLK_S_OK = 0, BLK_S_IOERR = 1, BLK_S_UNSUPP = 2 };

struct blk_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

/* Configuration space as far as we fill it, virtio 1.2 §5.2.4; the rest reads as zero. */
struct blk_space {
	uint64_t capacity; /* sectors of 512 bytes */
	uint32_t size_max; /* not offered */
	uint32_t seg_max;  /* data segments of one request */
	uint32_t geometry; /* not offered */
	uint32_t blk_size;
};

struct blk {
	struct virtio_dev dev; /* first */
	struct blk_state st;
	struct blk_counters counters;
	struct blk_file file;
	const struct blk_engine_ops *engine;
	bool read_only;
	char *drive_id;     /* owned */
	char *path;         /* owned; NULL if an fd was passed */
	struct chain chain; /* the request at hand */
};

static const struct field blk_state_fields[] = {
	FIELD(1, 1, struct blk_state, sector_count, UINT64_MAX / BLK_SECTOR_SIZE),
	FIELD_ARRAY(2, 1, struct blk_state, id, 0),
	FIELD_ARRAY(3, 1, struct blk_state, reserved, 0),
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

static struct blk *blk_of(struct virtio_dev *d)
{
	return (struct blk *)d;
}

static uint8_t blk_invalid(struct blk *b)
{
	counter_add(&b->counters.invalid_reqs_count, 1);
	return BLK_S_IOERR;
}

static uint8_t blk_failed(struct blk *b, const char *what, int rc)
{
	counter_add(&b->counters.execute_fails, 1);
	log_guest(LOG_WARN, "drive %s: %s failed: %s", b->drive_id, what, strerror(-rc));
	return BLK_S_IOERR;
}

static uint8_t blk_flush(struct blk *b)
{
	int rc = b->engine->flush(&b->file);

	if (rc < 0)
		return blk_failed(b, "flush", rc);
	counter_add(&b->counters.flush_count, 1);
	return BLK_S_OK;
}

/* *ret_data: bytes of data written into the request. */
static uint8_t blk_read(struct blk *b, const struct chain *c, uint64_t sector, uint64_t *ret_data)
{
	uint64_t len = c->wr_bytes - 1;
	int rc;

	if (len % BLK_SECTOR_SIZE || !in_range(sector, len / BLK_SECTOR_SIZE, b->st.sector_count))
		return blk_invalid(b);
	rc = b->engine->transfer(&b->file, c, false, 0, len, sector * BLK_SECTOR_SIZE);
	if (rc < 0) {
		chain_mark_dirty(c, 0, len); /* some of it may have been written */
		return blk_failed(b, "read", rc);
	}
	counter_add(&b->counters.read_bytes, len);
	counter_add(&b->counters.read_count, 1);
	*ret_data = len;
	return BLK_S_OK;
}

static uint8_t blk_write(struct blk *b, const struct chain *c, uint64_t sector)
{
	uint64_t len = c->rd_bytes - sizeof(struct blk_header);
	int rc;

	if (b->read_only || len % BLK_SECTOR_SIZE ||
		!in_range(sector, len / BLK_SECTOR_SIZE, b->st.sector_count))
		return blk_invalid(b);
	rc = b->engine->transfer(
		&b->file, c, true, sizeof(struct blk_header), len, sector * BLK_SECTOR_SIZE);
	if (rc < 0)
		return blk_failed(b, "write", rc);
	counter_add(&b->counters.write_bytes, len);
	counter_add(&b->counters.write_count, 1);
	/* A driver that could ask for flushes but cannot send them gets write-through (§5.2.6.2). */
	if ((b->dev.features >> BLK_F_FLUSH & 1) && !virtio_has(&b->dev, BLK_F_FLUSH))
		return blk_flush(b);
	return BLK_S_OK;
}

static uint8_t blk_get_id(struct blk *b, const struct chain *c, uint64_t *ret_data)
{
	uint32_t len = (uint32_t)MIN(c->wr_bytes - 1, BLK_ID_SIZE);

	if (chain_write(c, 0, b->st.id, len) < 0)
		return blk_invalid(b);
	*ret_data = len;
	return BLK_S_OK;
}

static uint8_t blk_execute(struct blk *b, const struct chain *c, uint64_t *ret_data)
{
	struct blk_header h;

	if (chain_read(c, 0, &h, sizeof(h)) < 0)
		return blk_invalid(b);
	switch (h.type) {
	case BLK_T_IN:
		return blk_read(b, c, h.sector, ret_data);
	case BLK_T_OUT:
		return blk_write(b, c, h.sector);
	case BLK_T_FLUSH:
		if (!virtio_has(&b->dev, BLK_F_FLUSH))
			break;
		return blk_flush(b);
	case BLK_T_GET_ID:
		return blk_get_id(b, c, ret_data);
	default:
		break;
	}
	counter_add(&b->counters.invalid_reqs_count, 1);
	return BLK_S_UNSUPP;
}

static void blk_serve(struct virtio_dev *d, struct vq *q, struct chain *c)
{
	struct blk *b = blk_of(d);
	uint64_t data = 0;
	uint8_t status;

	if (c->wr_bytes == 0) { /* not even room to say that it failed */
		(void)blk_invalid(b);
		vq_push(q, c, 0);
		return;
	}
	status = blk_execute(b, c, &data);
	if (chain_write(c, c->wr_bytes - 1, &status, sizeof(status)) == 0 &&
		data == c->wr_bytes - 1)
		data = c->wr_bytes; /* no gap between data and status */
	vq_push(q, c, (uint32_t)data);
}

static void blk_notify(struct virtio_dev *d, uint16_t q)
{
	struct blk *b = blk_of(d);

	counter_add(&b->counters.queue_event_count, 1);
	if (virtio_dev_serve(d, q, &b->chain, blk_serve) == 0)
		counter_add(&b->counters.no_avail_buffer, 1);
}

static int blk_activate(struct virtio_dev *d)
{
	(void)d;
	return 0;
}

/* Requests end before notify returns: nothing is ever in flight. */
static void blk_reset(struct virtio_dev *d)
{
	(void)d;
}

static void blk_config_read(struct virtio_dev *d, uint32_t off, void *data, uint32_t len)
{
	const struct blk *b = blk_of(d);
	const struct blk_space space = {
		.capacity = b->st.sector_count,
		.seg_max = VQ_SIZE_MAX - 2, /* header and status take two descriptors */
		.blk_size = b->file.align,
	};

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
			b->drive_id, (unsigned long long)s->sector_count,
			(unsigned long long)b->st.sector_count);
	b->st = *s;
	return 0;
}

static void blk_destroy(struct virtio_dev *d)
{
	struct blk *b = blk_of(d);

	virtio_dev_fini(d);
	blk_file_close(&b->file);
	free(b->drive_id);
	free(b->path);
	free(b);
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
	.config_read = blk_config_read,
	.load = blk_load,
	.destroy = blk_destroy,
};

static uint64_t blk_features(const struct blk_config *c)
{
	uint64_t features = 1ULL << BLK_F_SEG_MAX | 1ULL << BLK_F_BLK_SIZE;

	if (c->read_only)
		features |= 1ULL << BLK_F_RO;
	if (c->writeback)
		features |= 1ULL << BLK_F_FLUSH;
	return features;
}

int blk_create(struct gmem *mem, const struct blk_config *c, struct virtio_dev **ret, struct err *e)
{
	CLEANUP_FREE
	struct blk *b = calloc(1, sizeof(*b));
	CLEANUP_FREE
	char *drive_id = strdup(c->drive_id);
	CLEANUP_FREE
	char *path = c->path ? strdup(c->path) : NULL;
	int rc;

	if (!b || !drive_id || (c->path && !path))
		return err_set_os(e, -ENOMEM, "drive %s", c->drive_id);
	rc = blk_file_open(&b->file, c, e);
	if (rc < 0)
		return rc;
	/* Whole blocks only: the guest cannot ask direct I/O for less. */
	b->st.sector_count = ALIGN_DOWN(b->file.size, (uint64_t)b->file.align) / BLK_SECTOR_SIZE;
	memcpy(b->st.id, b->file.id, sizeof(b->st.id));
	b->engine = &blk_sync_ops;
	b->read_only = c->read_only;
	b->drive_id = drive_id;
	b->path = path;
	virtio_dev_init(&b->dev, &blk_ops, b->drive_id, mem, blk_features(c), blk_ops.queue_count);
	b->dev.state = &b->st;
	*ret = &b->dev;
	b = NULL;
	drive_id = path = NULL;
	return 0;
}

const struct blk_counters *blk_counters_get(const struct virtio_dev *d)
{
	return &((const struct blk *)d)->counters;
}
