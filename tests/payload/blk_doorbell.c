/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kicks with a request each, without interrupts: once a queue is in lasting use, its kicks must no
 * longer be exits to the monitor. The runner holds the monitor's count of MMIO writes against the table.
 *
 *   payload.kicks=N   so many (1,000)
 *   payload.pause=1   after the first of them the queue rests for 150 ms or more
 */
#include "rt/virtio.h"

#define PAUSE_TICKS (150ull * 10000000) /* of a TSC of 10 GHz at the most */

int payload_main(const struct payload_boot *boot)
{
	struct vdev *d = vdev_need(VIRTIO_ID_BLK, 0);
	static uint8_t buf[SECTOR];
	struct vq q;

	uint64_t kicks = arg_u64("payload.kicks", 1000);

	(void)boot;
	vdev_start(d, &q, 0, 16);
	q.avail->flags = 1; /* NO_INTERRUPT */
	for (uint64_t i = 0; i < kicks; i++) {
		EXPECT_EQ(blk_request(&q, BLK_IN, i % 64, buf, SECTOR), BLK_OK, "status");
		if (i == 0 && arg_u64("payload.pause", 0))
			for (uint64_t start = rdtsc(), now = start; now - start < PAUSE_TICKS;
				now = rdtsc())
				cpu_relax();
	}
	return 0;
}
