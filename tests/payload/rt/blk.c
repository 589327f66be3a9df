/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to block and entropy devices, one at a time. */
#include "virtio.h"

uint64_t blk_capacity(const struct vdev *d)
{
	return vr_read(d, VR_CONFIG) | (uint64_t)vr_read(d, VR_CONFIG + 4) << 32;
}

uint8_t blk_request(struct vq *q, uint32_t type, uint64_t sector, void *buf, uint32_t len)
{
	static struct blk_header header __attribute__((aligned(16)));
	static volatile uint8_t status;
	bool writes = type != BLK_OUT && type != BLK_DISCARD && type != BLK_WRITE_ZEROES;
	uint16_t data_flags = !writes ? VD_NEXT : VD_NEXT | VD_WRITE;
	struct vq_used_elem e;

	header = (struct blk_header){type, 0, sector};
	status = 0xff;
	vq_set(q, 0, &header, sizeof(header), VD_NEXT, len == 0 ? 2 : 1);
	vq_set(q, 1, buf, len, data_flags, 2);
	vq_set(q, 2, (const void *)(uint64_t)&status, 1, VD_WRITE, 0);
	vq_push(q, 0);
	vq_kick(q);
	EXPECT(vq_pop(q, &e), "block request type %u sector %lu is never answered, status 0x%x",
		type, sector, vdev_status(q->dev));
	EXPECT_EQ(e.id, 0, "head in the used ring");
	return status;
}

/* Depends on every bit of the offset, so that a sector from elsewhere does not pass. */
uint8_t blk_pattern(uint64_t off)
{
	return (uint8_t)(off ^ off >> 9 ^ off >> 17);
}

void blk_check_pattern(struct vq *q, uint64_t sector, uint32_t sectors)
{
	static uint8_t *buf;
	const uint32_t max = 128;

	if (buf == NULL)
		buf = alloc(max * SECTOR, PAGE);
	EXPECT(sectors <= max, "at most %u sectors at once", max);
	memset(buf, 0xee, sectors * SECTOR);
	EXPECT_EQ(blk_request(q, BLK_IN, sector, buf, sectors * SECTOR), BLK_OK, "read status");
	for (uint32_t i = 0; i < sectors * SECTOR; i++)
		EXPECT(buf[i] == blk_pattern(sector * SECTOR + i),
			"byte %u of sector %lu is 0x%x, not 0x%x", i, sector, buf[i],
			blk_pattern(sector * SECTOR + i));
}

void rng_check(struct vq *q)
{
	static uint8_t buf[64];
	struct vq_used_elem e;
	unsigned zeros = 0;

	memset(buf, 0, sizeof(buf));
	vq_set(q, 0, buf, sizeof(buf), VD_WRITE, 0);
	vq_push(q, 0);
	vq_kick(q);
	EXPECT(vq_pop(q, &e), "the entropy device does not answer");
	EXPECT(e.len >= 1 && e.len <= sizeof(buf), "the entropy device wrote %u bytes", e.len);
	for (unsigned i = 0; i < e.len; i++)
		zeros += buf[i] == 0;
	EXPECT(zeros <= 8, "%u of %u random bytes are zero", zeros, e.len);
	for (unsigned i = e.len; i < sizeof(buf); i++)
		EXPECT(buf[i] == 0, "the entropy device wrote past the length it told");
}
