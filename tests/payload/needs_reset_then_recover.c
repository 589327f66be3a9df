/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One drive is broken and stays broken while a second drive and the entropy device go on; it
 * answers nothing until its reset, and works after it. A hundred times: nothing leaks or tires.
 */
#include "rt/virtio.h"

/* The chain that broke the drive is mended, but only a reset counts. */
static void expect_ignored(struct vq *q)
{
	static struct blk_header header = {BLK_IN, 0, 0};
	static uint8_t buf[SECTOR], status;
	struct patience p;

	vq_set(q, 0, &header, sizeof(header), VD_NEXT, 1);
	vq_set(q, 1, buf, sizeof(buf), VD_NEXT | VD_WRITE, 2);
	vq_set(q, 2, &status, 1, VD_WRITE, 0);
	mb();
	vq_kick(q);
	p = patience_ticks(5000000);
	while (patient(&p))
		continue;
	EXPECT_EQ(q->used->idx, q->used_seen, "used index of the broken drive");
}

int payload_main(const struct payload_boot *boot)
{
	struct vdev *a = vdev_need(VIRTIO_ID_BLK, 0);
	struct vdev *b = vdev_need(VIRTIO_ID_BLK, 1);
	struct vdev *rng = vdev_need(VIRTIO_ID_RNG, 0);
	struct vq qa, qb, qr;

	(void)boot;
	vdev_start(b, &qb, 0, 16);
	vdev_start(rng, &qr, 0, 16);
	for (unsigned round = 0; round < 100; round++) {
		struct patience p = patience_s(1);

		vdev_start(a, &qa, 0, 16);
		blk_check_pattern(&qa, round, 1);
		vq_set(&qa, 0, (void *)0x7fff00000000, 16, VD_NEXT, 0);
		vq_push(&qa, 0);
		vq_kick(&qa);
		while ((vdev_status(a) & VS_NEEDS_RESET) == 0)
			EXPECT(patient(&p), "round %u: no NEEDS_RESET", round);
		vr_write(a, VR_STATUS, VS_ACKNOWLEDGE | VS_DRIVER | VS_FEATURES_OK | VS_DRIVER_OK);
		EXPECT((vdev_status(a) & VS_NEEDS_RESET) != 0,
			"NEEDS_RESET can be cleared without a reset");
		blk_check_pattern(&qb, round, 1);
		rng_check(&qr);
		expect_ignored(&qa);
	}
	vdev_start(a, &qa, 0, 16);
	blk_check_pattern(&qa, 0, 8);
	return 0;
}
