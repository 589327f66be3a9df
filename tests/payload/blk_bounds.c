/* SPDX-License-Identifier: Apache-2.0 */
/* Requests past the end of the drive, and of lengths that are no sectors, get IOERR only. */
#include "rt/virtio.h"

int payload_main(const struct payload_boot *boot)
{
	struct vdev *d = vdev_need(VIRTIO_ID_BLK, 0);
	uint64_t end = blk_capacity(d);
	const struct {
		const char *name;
		uint64_t sector;
		uint32_t len;
	} bad[] = {
		{"first sector past the end", end, SECTOR},
		{"across the end", end - 1, 2 * SECTOR},
		{"far past the end", end * 2, SECTOR},
		{"sector 2^55: its byte offset is 2^64", 1ull << 55, SECTOR},
		{"sector 2^55 - 1: offset and length wrap", (1ull << 55) - 1, 2 * SECTOR},
		{"sector 2^54: its byte offset is negative", 1ull << 54, SECTOR},
		{"last sector number", ~0ull, SECTOR},
		{"sector and count wrap", ~0ull, 2 * SECTOR},
		{"no whole sector", 0, 511},
		{"a sector and a byte", 0, SECTOR + 1},
	};
	uint8_t *buf = alloc(4 * SECTOR, PAGE);
	struct vq q;

	(void)boot;
	vdev_start(d, &q, 0, 16);
	blk_check_pattern(&q, end - 1, 1);
	for (unsigned i = 0; i < NELEM(bad); i++) {
		print("case %s\n", bad[i].name);
		memset(buf, 0xa5, 4 * SECTOR);
		EXPECT_EQ(blk_request(&q, BLK_IN, bad[i].sector, buf, bad[i].len), BLK_IOERR,
			"status of a read");
		EXPECT_EQ(blk_request(&q, BLK_OUT, bad[i].sector, buf, bad[i].len), BLK_IOERR,
			"status of a write");
		blk_check_pattern(&q, end - 1, 1);
		blk_check_pattern(&q, 0, 2);
	}
	return 0;
}
