/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A drive with a rate limit of 20 operations in 100 ms: 20 at once, then one each 5 ms. Requests
 * that wait are not lost, and a reset in the middle is.
 */
#include "rt/virtio.h"

#define BURST 20u
#define MORE  100u

int payload_main(const struct payload_boot *boot)
{
	struct vdev *d = vdev_need(VIRTIO_ID_BLK, 0);
	static uint8_t buf[SECTOR];
	uint64_t start, first, rest;
	struct vq q;

	(void)boot;
	vdev_start(d, &q, VF_EVENT_IDX, 16);
	start = rdtsc();
	for (unsigned i = 0; i < BURST; i++)
		EXPECT_EQ(blk_request(&q, BLK_IN, i, buf, SECTOR), BLK_OK, "status");
	first = rdtsc() - start;
	start = rdtsc();
	for (unsigned i = 0; i < MORE; i++)
		EXPECT_EQ(blk_request(&q, BLK_IN, i, buf, SECTOR), BLK_OK, "status");
	rest = rdtsc() - start;
	/* No clock is needed to see that the second lot took the time of the limit. */
	EXPECT(rest > 4 * first, "%u requests took %lu cycles, %u more %lu", BURST, first, MORE,
		rest);

	vq_set(&q, 0, buf, 8, 0,
		0); /* waits at the limiter, or is refused; then the driver resets */
	vq_push(&q, 0);
	vq_kick(&q);
	vdev_reset(d);
	vdev_start(d, &q, 0, 16);
	blk_check_pattern(&q, 4, 4);
	return 0;
}
