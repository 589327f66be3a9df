/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DISCARD and WRITE_ZEROES (virtio 1.2 §5.2.6): bad ranges are refused as a whole and touch
 * nothing; a good one clears its sectors and no others.
 */
#include "rt/virtio.h"

#define CFG_MAX_DISCARD_SECTORS 36
#define CFG_MAX_DISCARD_SEG     40
#define CFG_MAX_ZEROES_SECTORS  48
#define CFG_MAX_ZEROES_SEG      52

struct range {
	uint64_t sector;
	uint32_t sectors, flags;
};

static struct range ranges[64];
static uint64_t capacity;
static uint32_t seg_max, discard_max, zeroes_max;

/* A request of `bytes` of ranges[]. */
static uint8_t clear(struct vq *q, uint32_t type, uint32_t bytes)
{
	return blk_request(q, type, 0, ranges, bytes);
}

static uint8_t clear_one(struct vq *q, uint32_t type, uint64_t at, uint32_t n, uint32_t flags)
{
	ranges[0] = (struct range){at, n, flags};
	return clear(q, type, sizeof(ranges[0]));
}

static void refused(struct vq *q, const char *name, uint8_t got, uint8_t want)
{
	print("case %s\n", name);
	EXPECT(got == want, "%s: status %u, should be %u", name, got, want);
	blk_check_pattern(q, 0, 128);
}

static void bad_ranges(struct vq *q, const char *what, uint32_t type, uint32_t max)
{
	print("%s\n", what);
	refused(q, "range at the end", clear_one(q, type, capacity, 1, 0), BLK_IOERR);
	refused(q, "range across the end", clear_one(q, type, capacity - 1, 2, 0), BLK_IOERR);
	refused(q, "sector that wraps", clear_one(q, type, UINT64_MAX, 1, 0), BLK_IOERR);
	refused(q, "sector that wraps in bytes", clear_one(q, type, 1ull << 55, 8, 0), BLK_IOERR);
	refused(q, "more sectors than allowed", clear_one(q, type, 0, max + 1, 0), BLK_IOERR);
	refused(q, "all sectors there can be", clear_one(q, type, 0, UINT32_MAX, 0), BLK_IOERR);
	refused(q, "an unknown flag", clear_one(q, type, 0, 8, 2), BLK_UNSUPP);
	refused(q, "all flags", clear_one(q, type, 0, 8, UINT32_MAX), BLK_UNSUPP);
	refused(q, "no range", clear(q, type, 0), BLK_IOERR);
	refused(q, "a byte", clear(q, type, 1), BLK_IOERR);
	refused(q, "most of a range", clear(q, type, 15), BLK_IOERR);
	refused(q, "a range and a bit", clear(q, type, 17), BLK_IOERR);
	for (unsigned i = 0; i < 64; i++)
		ranges[i] = (struct range){i, 1, 0};
	refused(q, "more ranges than allowed", clear(q, type, sizeof(ranges)), BLK_IOERR);
	refused(q, "no sectors", clear_one(q, type, 8, 0, 0), BLK_OK);
}

static void one_bad_range_spoils_all(struct vq *q)
{
	for (unsigned i = 0; i < seg_max; i++)
		ranges[i] = (struct range){i * 8, 8, 0};
	ranges[seg_max - 1].sector = capacity;
	refused(q, "the last range is bad",
		clear(q, BLK_DISCARD, seg_max * (uint32_t)sizeof(ranges[0])), BLK_IOERR);
}

static void check_zero(struct vq *q, uint64_t sector, uint32_t n, const char *what)
{
	static uint8_t buf[64 * SECTOR];

	memset(buf, 0xee, sizeof(buf));
	EXPECT_EQ(blk_request(q, BLK_IN, sector, buf, n * SECTOR), BLK_OK, "read back");
	for (uint32_t i = 0; i < n * SECTOR; i++)
		EXPECT(buf[i] == 0, "%s: byte %u of sector %lu is 0x%x", what, i, sector, buf[i]);
}

static void good_ranges(struct vq *q)
{
	EXPECT_EQ(clear_one(q, BLK_WRITE_ZEROES, 131, 3, 0), BLK_OK, "write zeroes");
	check_zero(q, 131, 3, "zeroes that stay allocated");
	EXPECT_EQ(clear_one(q, BLK_WRITE_ZEROES, 144, 16, 1), BLK_OK, "write zeroes, unmap");
	check_zero(q, 144, 16, "unmapped zeroes");
	ranges[0] = (struct range){200, 8, 0};
	ranges[1] = (struct range){216, 8, 0};
	EXPECT_EQ(clear(q, BLK_DISCARD, 2 * sizeof(ranges[0])), BLK_OK, "discard");
	check_zero(q, 200, 8, "first discarded range");
	check_zero(q, 216, 8, "second discarded range");
	blk_check_pattern(q, 0, 128);
	blk_check_pattern(q, 128, 3);
	blk_check_pattern(q, 134, 10);
	blk_check_pattern(q, 160, 40);
	blk_check_pattern(q, 208, 8);
	blk_check_pattern(q, 224, 32);
}

int payload_main(const struct payload_boot *boot)
{
	struct vdev *d = vdev_need(VIRTIO_ID_BLK, 0);
	struct vq q;

	(void)boot;
	capacity = blk_capacity(d);
	vdev_start(d, &q, 0, 16);
	refused(&q, "discard, not negotiated", clear_one(&q, BLK_DISCARD, 0, 8, 0), BLK_UNSUPP);
	refused(&q, "zeroes, not negotiated", clear_one(&q, BLK_WRITE_ZEROES, 0, 8, 0), BLK_UNSUPP);

	vdev_start(d, &q, VF_BLK_DISCARD | VF_BLK_WRITE_ZEROES, 16);
	EXPECT((d->features & VF_BLK_DISCARD) && (d->features & VF_BLK_WRITE_ZEROES),
		"not offered: features 0x%lx", d->features);
	discard_max = vr_read(d, VR_CONFIG + CFG_MAX_DISCARD_SECTORS);
	zeroes_max = vr_read(d, VR_CONFIG + CFG_MAX_ZEROES_SECTORS);
	seg_max = vr_read(d, VR_CONFIG + CFG_MAX_DISCARD_SEG);
	EXPECT(seg_max >= 2 && seg_max < 64, "max_discard_seg is %u", seg_max);
	EXPECT_EQ(vr_read(d, VR_CONFIG + CFG_MAX_ZEROES_SEG), 1, "max_write_zeroes_seg");
	bad_ranges(&q, "discard", BLK_DISCARD, discard_max);
	bad_ranges(&q, "write zeroes", BLK_WRITE_ZEROES, zeroes_max);
	refused(&q, "discard with unmap", clear_one(&q, BLK_DISCARD, 0, 8, 1), BLK_UNSUPP);
	one_bad_range_spoils_all(&q);
	good_ranges(&q);
	return 0;
}
