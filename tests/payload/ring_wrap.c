/* SPDX-License-Identifier: Apache-2.0 */
/* More requests than an index can count: everything 16 bits wide wraps, nothing is lost. */
#include "rt/virtio.h"

#define BATCH 20u
#define TOTAL 70000u

static struct blk_header headers[BATCH];
static volatile uint8_t statuses[BATCH];
static uint8_t data[BATCH][SECTOR];

static void submit(struct vq *q, unsigned first)
{
	for (uint16_t i = 0; i < BATCH; i++) {
		uint16_t d = (uint16_t)(3 * i);

		headers[i] = (struct blk_header){BLK_IN, 0, (first + i) % 1000};
		statuses[i] = 0xff;
		memset(data[i], 0, 8);
		vq_set(q, d, &headers[i], sizeof(headers[i]), VD_NEXT, (uint16_t)(d + 1));
		vq_set(q, (uint16_t)(d + 1), data[i], SECTOR, VD_NEXT | VD_WRITE,
			(uint16_t)(d + 2));
		vq_set(q, (uint16_t)(d + 2), (void *)(uint64_t)&statuses[i], 1, VD_WRITE, 0);
		vq_push(q, d);
	}
	vq_kick(q);
}

int payload_main(const struct payload_boot *boot)
{
	struct vq q;

	(void)boot;
	vdev_start(vdev_need(VIRTIO_ID_BLK, 0), &q, VF_EVENT_IDX, 64);
	EXPECT_EQ(q.size, 64, "queue size");
	for (unsigned first = 0; first < TOTAL; first += BATCH) {
		submit(&q, first);
		for (unsigned n = 0; n < BATCH; n++) {
			struct vq_used_elem e;
			unsigned i;

			EXPECT(vq_pop(&q, &e), "request %u is lost", first + n);
			i = e.id / 3;
			EXPECT(e.id % 3 == 0 && i < BATCH && statuses[i] == BLK_OK,
				"request %u: id %u", first + n, e.id);
			statuses[i] = 0xff; /* so that one answered twice is seen */
			for (unsigned b = 0; b < 8; b++)
				EXPECT(data[i][b] == blk_pattern(headers[i].sector * SECTOR + b),
					"request %u: wrong data", first + n);
		}
	}
	EXPECT_EQ(q.used->idx, (uint16_t)TOTAL, "used index");
	return 0;
}
