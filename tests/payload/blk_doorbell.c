/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thousand kicks with a request each, without interrupts: once a queue has proved busy, its kicks
 * must no longer be exits to the monitor. The runner holds the monitor's count of MMIO writes
 * against the table.
 */
#include "rt/virtio.h"

#define KICKS 1000u

int payload_main(const struct payload_boot *boot)
{
	struct vdev *d = vdev_need(VIRTIO_ID_BLK, 0);
	static uint8_t buf[SECTOR];
	struct vq q;

	(void)boot;
	vdev_start(d, &q, 0, 16);
	q.avail->flags = 1; /* NO_INTERRUPT */
	for (unsigned i = 0; i < KICKS; i++)
		EXPECT_EQ(blk_request(&q, BLK_IN, i % 64, buf, SECTOR), BLK_OK, "status");
	return 0;
}
