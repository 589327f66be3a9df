/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reset while requests are under way. Once status reads 0, the device must not write to memory:
 * neither data nor status nor used ring (virtio 1.2 §2.4.2). Then it must serve again.
 */
#include "rt/virtio.h"

#define DEPTH  5u
#define LEN    (64u * SECTOR)
#define ROUNDS 100

static struct blk_header headers[DEPTH];
static uint8_t statuses[DEPTH];

static void submit(struct vq *q, uint8_t *buf)
{
	for (uint16_t i = 0; i < DEPTH; i++) {
		uint16_t d = (uint16_t)(3 * i);

		headers[i] = (struct blk_header){BLK_IN, 0, i * 64};
		vq_set(q, d, &headers[i], sizeof(headers[i]), VD_NEXT, (uint16_t)(d + 1));
		vq_set(q, (uint16_t)(d + 1), buf + i * LEN, LEN, VD_NEXT | VD_WRITE,
			(uint16_t)(d + 2));
		vq_set(q, (uint16_t)(d + 2), &statuses[i], 1, VD_WRITE, 0);
		vq_push(q, d);
	}
	vq_kick(q);
}

int payload_main(const struct payload_boot *boot)
{
	struct vdev *d = vdev_need(VIRTIO_ID_BLK, 0);
	uint8_t *buf = alloc((size_t)DEPTH * LEN, PAGE);
	struct vq q;

	(void)boot;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct patience p;
		uint64_t delay = rdtsc() + round * 2000;
		uint16_t used;

		vdev_start(d, &q, 0, 16);
		submit(&q, buf);
		while (rdtsc() < delay)
			cpu_relax();
		vdev_reset(d);
		memset(buf, 0xa5, (size_t)DEPTH * LEN);
		memset(statuses, 0xa5, sizeof(statuses));
		used = q.used->idx;
		p = patience_ticks(1000000);
		while (patient(&p))
			continue;
		EXPECT_EQ(q.used->idx, used, "used index after reset");
		for (unsigned i = 0; i < DEPTH; i++)
			EXPECT_EQ(statuses[i], 0xa5, "status byte after reset");
		for (unsigned i = 0; i < DEPTH * LEN; i += 64)
			EXPECT(buf[i] == 0xa5, "byte %u written after reset, round %u", i, round);
	}
	vdev_start(d, &q, 0, 16);
	blk_check_pattern(&q, 0, 64);
	return 0;
}
