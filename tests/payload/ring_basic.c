/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first drive (a pattern image, writable) is read, written, read back, flushed, asked for its
 * id, by direct and by indirect descriptors, in one part and in several; the entropy device gives
 * bytes. FLUSH is offered unless payload.flush=0. Used lengths are what the device wrote.
 */
#include "rt/virtio.h"

static uint8_t *buf;

static void check_write(struct vq *q, uint64_t sector)
{
	for (unsigned i = 0; i < 8 * SECTOR; i++)
		buf[i] = (uint8_t)(blk_pattern(i) + 77);
	EXPECT_EQ(blk_request(q, BLK_OUT, sector, buf, 8 * SECTOR), BLK_OK, "write status");
	memset(buf, 0, 8 * SECTOR);
	EXPECT_EQ(blk_request(q, BLK_IN, sector, buf, 8 * SECTOR), BLK_OK, "read status");
	for (unsigned i = 0; i < 8 * SECTOR; i++)
		EXPECT(buf[i] == (uint8_t)(blk_pattern(i) + 77), "byte %u was not written", i);
	blk_check_pattern(q, sector - 1, 1);
	blk_check_pattern(q, sector + 8, 1);
	for (unsigned i = 0; i < 8 * SECTOR; i++)
		buf[i] = blk_pattern(sector * SECTOR + i);
	EXPECT_EQ(blk_request(q, BLK_OUT, sector, buf, 8 * SECTOR), BLK_OK, "write status");
	blk_check_pattern(q, sector, 8);
}

/* Data in four unequal parts, and the whole chain in an indirect table if `indirect`. */
static void check_parts(struct vq *q, bool indirect)
{
	static struct blk_header header;
	static const uint32_t parts[] = {7, 505, 1, 1023};
	static volatile uint8_t status;
	struct vq_desc *table = indirect ? alloc(6 * sizeof(*table), 16) : q->desc;
	struct vq_used_elem e;
	uint32_t off = 0;

	header = (struct blk_header){BLK_IN, 0, 4};
	status = 0xff;
	memset(buf, 0xee, 3 * SECTOR);
	table[0] = (struct vq_desc){(uint64_t)&header, sizeof(header), VD_NEXT, 1};
	for (uint16_t i = 0; i < 4; i++) {
		table[i + 1] = (struct vq_desc){
			(uint64_t)buf + off, parts[i], VD_NEXT | VD_WRITE, (uint16_t)(i + 2)};
		off += parts[i];
	}
	table[5] = (struct vq_desc){(uint64_t)&status, 1, VD_WRITE, 0};
	if (indirect)
		vq_set(q, 9, table, 6 * sizeof(*table), VD_INDIRECT, 0);
	vq_push(q, indirect ? 9 : 0);
	vq_kick(q);
	EXPECT(vq_pop(q, &e), "no answer to a chain of 6");
	EXPECT_EQ(e.id, indirect ? 9 : 0, "head in the used ring");
	EXPECT_EQ(e.len, 3 * SECTOR + 1, "used length");
	EXPECT_EQ(status, BLK_OK, "status");
	for (unsigned i = 0; i < 3 * SECTOR; i++)
		EXPECT(buf[i] == blk_pattern(4 * SECTOR + i), "byte %u of a chain of 6", i);
}

int payload_main(const struct payload_boot *boot)
{
	struct vdev *blk = vdev_need(VIRTIO_ID_BLK, 0);
	struct vdev *rng = vdev_find(VIRTIO_ID_RNG, 0);
	struct vq q;

	(void)boot;
	buf = alloc(16 * SECTOR, PAGE);
	vdev_start(blk, &q, VF_INDIRECT | VF_BLK_FLUSH, 64);
	EXPECT(blk_capacity(blk) >= 128, "capacity is %lu sectors", blk_capacity(blk));
	blk_check_pattern(&q, 0, 128);
	blk_check_pattern(&q, blk_capacity(blk) - 1, 1);
	check_write(&q, 16);
	check_parts(&q, false);
	EXPECT((blk->features & VF_INDIRECT) != 0, "INDIRECT_DESC is not offered");
	check_parts(&q, true);
	EXPECT_EQ(
		(blk->features & VF_BLK_FLUSH) != 0, arg_u64("payload.flush", 1), "FLUSH offered");
	if ((blk->features & VF_BLK_FLUSH) != 0)
		EXPECT_EQ(blk_request(&q, BLK_FLUSH, 0, buf, 0), BLK_OK, "flush status");
	memset(buf, 0xee, 32);
	EXPECT_EQ(blk_request(&q, BLK_GET_ID, 0, buf, 20), BLK_OK, "id status");
	EXPECT(buf[20] == 0xee, "the id is longer than 20 bytes");
	EXPECT_EQ(blk_request(&q, 0x77, 0, buf, SECTOR), BLK_UNSUPP, "status of an unknown type");
	if (rng != NULL) {
		vdev_start(rng, &q, 0, 16);
		rng_check(&q);
		rng_check(&q);
	}
	return 0;
}
