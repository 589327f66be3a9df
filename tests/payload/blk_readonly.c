/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first drive is read-only: it says so in its features, a write gets IOERR and changes
 * nothing, whether the driver accepted the feature or not. The second one is writable.
 */
#include "rt/virtio.h"

static void check(struct vdev *d, uint64_t wanted)
{
	static uint8_t buf[SECTOR];
	struct vq q;

	vdev_start(d, &q, wanted, 16);
	memset(buf, 0x5a, sizeof(buf));
	EXPECT_EQ(blk_request(&q, BLK_OUT, 5, buf, SECTOR), BLK_IOERR, "status of a write");
	blk_check_pattern(&q, 5, 1);
}

int payload_main(const struct payload_boot *boot)
{
	struct vdev *ro = vdev_need(VIRTIO_ID_BLK, 0);
	struct vdev *rw = vdev_need(VIRTIO_ID_BLK, 1);
	static uint8_t buf[SECTOR];
	struct vq q;

	(void)boot;
	EXPECT((vdev_features(ro) & VF_BLK_RO) != 0, "a read-only drive does not offer RO");
	EXPECT((vdev_features(rw) & VF_BLK_RO) == 0, "a writable drive offers RO");
	check(ro, VF_BLK_RO);
	check(ro, 0);
	vdev_start(rw, &q, 0, 16);
	memset(buf, 0x5a, sizeof(buf));
	EXPECT_EQ(blk_request(&q, BLK_OUT, 5, buf, SECTOR), BLK_OK, "status of a write");
	return 0;
}
