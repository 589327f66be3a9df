/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a block request means (virtio 1.2 §5.2.6): a header of 16 readable bytes, data, and one
 * status byte, the last writable one. Where the driver cut these into descriptors does not matter.
 * Header and ranges are copied once and judged as copies; data is moved in place.
 */
#include "virtio/blk_dev.h"

#include "vmm/base/clock.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <string.h>

enum {
	BLK_T_IN = 0,
	BLK_T_OUT = 1,
	BLK_T_FLUSH = 4,
	BLK_T_GET_ID = 8,
	BLK_T_DISCARD = 11,
	BLK_T_WRITE_ZEROES = 13,
};

#define BLK_RANGE_UNMAP 1u

struct blk_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

/* The data of DISCARD and WRITE_ZEROES is an array of these. */
struct blk_range_wire {
	uint64_t sector;
	uint32_t sectors;
	uint32_t flags;
};

static uint8_t blk_parse_transfer(struct blk *b, struct blk_req *r, uint64_t sector)
{
	bool write = r->type == BLK_T_OUT;
	uint64_t len =
		write ? r->chain.rd_bytes - sizeof(struct blk_header) : r->chain.wr_bytes - 1;

	if ((write && b->config.read_only) || len % BLK_SECTOR_SIZE ||
		!in_range(sector, len / BLK_SECTOR_SIZE, b->st.sector_count))
		return BLK_S_IOERR;
	r->ranges[0] = (struct blk_range){sector * BLK_SECTOR_SIZE, len};
	r->range_count = 1;
	r->cost_bytes = len;
	return BLK_S_OK;
}

static uint8_t blk_parse_range(struct blk *b, struct blk_req *r, const struct blk_range_wire *w)
{
	bool discard = r->type == BLK_T_DISCARD;
	uint32_t max = discard ? BLK_DISCARD_SECTORS_MAX : BLK_WRITE_ZEROES_SECTORS_MAX;

	/* A discard that must unmap, and flags that nobody has defined (virtio 1.2 §5.2.6.2). */
	if (w->flags & ~(discard ? 0 : BLK_RANGE_UNMAP))
		return BLK_S_UNSUPP;
	if (w->sectors > max || !in_range(w->sector, w->sectors, b->st.sector_count))
		return BLK_S_IOERR;
	if (w->sectors > 0)
		r->ranges[r->range_count++] = (struct blk_range){
			w->sector * BLK_SECTOR_SIZE, (uint64_t)w->sectors * BLK_SECTOR_SIZE};
	if (!discard)
		r->cost_bytes += (uint64_t)w->sectors * BLK_SECTOR_SIZE;
	return BLK_S_OK;
}

/* All ranges are judged before any of them is touched. */
static uint8_t blk_parse_ranges(struct blk *b, struct blk_req *r)
{
	struct blk_range_wire wire[BLK_DISCARD_RANGES_MAX];
	uint64_t len = r->chain.rd_bytes - sizeof(struct blk_header);
	size_t max = r->type == BLK_T_DISCARD ? BLK_DISCARD_RANGES_MAX : 1;

	if (len == 0 || len % sizeof(wire[0]) != 0 || len > max * sizeof(wire[0]) ||
		chain_read(&r->chain, sizeof(struct blk_header), wire, (uint32_t)len) < 0)
		return BLK_S_IOERR;
	r->io.op = r->type == BLK_T_DISCARD            ? BLK_OP_DISCARD
		   : (wire[0].flags & BLK_RANGE_UNMAP) ? BLK_OP_ZERO_UNMAP
						       : BLK_OP_ZERO;
	for (size_t i = 0; i < len / sizeof(wire[0]); i++) {
		uint8_t status = blk_parse_range(b, r, &wire[i]);

		if (status != BLK_S_OK)
			return status;
	}
	return BLK_S_OK;
}

/* By type, after the header has been read. */
static uint8_t blk_parse_typed(struct blk *b, struct blk_req *r, uint64_t sector)
{
	switch (r->type) {
	case BLK_T_IN:
		r->io.op = BLK_OP_READ;
		return blk_parse_transfer(b, r, sector);
	case BLK_T_OUT:
		r->io.op = BLK_OP_WRITE;
		return blk_parse_transfer(b, r, sector);
	case BLK_T_FLUSH:
		r->io.op = BLK_OP_FLUSH;
		return virtio_has(&b->dev, BLK_F_FLUSH) ? BLK_S_OK : BLK_S_UNSUPP;
	case BLK_T_DISCARD:
		return virtio_has(&b->dev, BLK_F_DISCARD) ? blk_parse_ranges(b, r) : BLK_S_UNSUPP;
	case BLK_T_WRITE_ZEROES:
		return virtio_has(&b->dev, BLK_F_WRITE_ZEROES) ? blk_parse_ranges(b, r)
							       : BLK_S_UNSUPP;
	case BLK_T_GET_ID:
		return BLK_S_OK;
	default:
		return BLK_S_UNSUPP;
	}
}

uint8_t blk_req_parse(struct blk *b, struct blk_req *r)
{
	struct blk_header h;

	r->range_count = r->range_next = 0;
	r->data_len = r->cost_bytes = 0;
	r->io.chain = &r->chain;
	r->io.op = BLK_OP_READ;
	r->type = UINT32_MAX;
	if (r->chain.wr_bytes == 0 || chain_read(&r->chain, 0, &h, sizeof(h)) < 0)
		return BLK_S_IOERR;
	r->type = h.type;
	return blk_parse_typed(b, r, h.sector);
}

bool blk_req_next(struct blk *b, struct blk_req *r)
{
	struct blk_io *io = &r->io;
	const struct blk_range *range;

	if (r->type == BLK_T_FLUSH && r->range_next == 0) {
		r->range_next = 1;
		return true;
	}
	if (r->range_next < r->range_count) {
		range = &r->ranges[r->range_next++];
		io->off = io->op == BLK_OP_WRITE ? sizeof(struct blk_header) : 0;
		io->at = range->at;
		io->len = range->len;
		return true;
	}
	/* A driver that could ask for flushes but cannot send them gets write-through (§5.2.6.2). */
	if ((r->type == BLK_T_OUT || r->type == BLK_T_WRITE_ZEROES) && io->op != BLK_OP_FLUSH &&
		(b->dev.features >> BLK_F_FLUSH & 1) && !virtio_has(&b->dev, BLK_F_FLUSH)) {
		io->op = BLK_OP_FLUSH;
		return true;
	}
	return false;
}

uint8_t blk_req_failed(struct blk *b, struct blk_req *r, int rc)
{
	static const char *const names[] = {
		[BLK_OP_READ] = "read",
		[BLK_OP_WRITE] = "write",
		[BLK_OP_FLUSH] = "flush",
		[BLK_OP_DISCARD] = "discard",
		[BLK_OP_ZERO] = "write zeroes",
		[BLK_OP_ZERO_UNMAP] = "write zeroes",
	};

	counter_add(&b->counters.execute_fails, 1);
	if (r->io.op == BLK_OP_READ)
		chain_mark_dirty(&r->chain, 0, r->io.len); /* some of it may have been written */
	log_guest(LOG_WARN, "drive %s: %s failed: %s", b->config.drive_id, names[r->io.op],
		strerrordesc_np(-rc));
	return rc == -EOPNOTSUPP ? BLK_S_UNSUPP : BLK_S_IOERR;
}

/* Counters of a request that succeeded, and what it still has to deliver. */
static uint8_t blk_req_succeeded(struct blk *b, struct blk_req *r)
{
	struct blk_counters *n = &b->counters;

	switch (r->type) {
	case BLK_T_IN:
		r->data_len = r->ranges[0].len;
		counter_add(&n->read_bytes, r->data_len);
		counter_add(&n->read_count, 1);
		latency_add(&n->read_agg, clock_mono_ns() - r->start_ns);
		break;
	case BLK_T_OUT:
		counter_add(&n->write_bytes, r->ranges[0].len);
		counter_add(&n->write_count, 1);
		latency_add(&n->write_agg, clock_mono_ns() - r->start_ns);
		break;
	case BLK_T_GET_ID:
		r->data_len = MIN(r->chain.wr_bytes - 1, BLK_ID_SIZE);
		if (chain_write(&r->chain, 0, b->st.id, (uint32_t)r->data_len) < 0)
			return BLK_S_IOERR;
		break;
	default:
		break;
	}
	if (r->io.op == BLK_OP_FLUSH)
		counter_add(&n->flush_count, 1);
	return BLK_S_OK;
}

void blk_req_finish(struct blk *b, struct blk_req *r, uint8_t status)
{
	const struct chain *c = &r->chain;
	uint64_t written = 0;

	if (status == BLK_S_OK)
		status = blk_req_succeeded(b, r);
	if (status == BLK_S_OK)
		written = r->data_len;
	/* Without even room to say that it failed it is returned empty. */
	if (c->wr_bytes > 0 && chain_write(c, c->wr_bytes - 1, &status, sizeof(status)) == 0 &&
		written == c->wr_bytes - 1)
		written = c->wr_bytes; /* no gap between data and status */
	vq_push(&b->dev.vqs[r->queue], c, (uint32_t)written);
	b->to_signal |= 1u << r->queue;
	b->queue_in_flight[r->queue]--;
	r->next = b->free;
	b->free = r;
	b->in_flight--;
}
