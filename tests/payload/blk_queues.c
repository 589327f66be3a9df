/* SPDX-License-Identifier: Apache-2.0 */
/* Several queues of one device serve at once, each its own requests, also when one is broken. */
#include "rt/virtio.h"

#define CFG_NUM_QUEUES 34
#define QUEUES         4
#define DEPTH          5u
#define LEN            (8u * SECTOR)

static struct blk_header headers[QUEUES][DEPTH];
static volatile uint8_t statuses[QUEUES][DEPTH];
static uint8_t *bufs;

static uint8_t *buf_of(unsigned queue, unsigned i)
{
	return bufs + (queue * DEPTH + i) * LEN;
}

static uint64_t sector_of(unsigned queue, unsigned i)
{
	return (queue * DEPTH + i) * 8;
}

static void submit(struct vq *q, unsigned queue)
{
	for (uint16_t i = 0; i < DEPTH; i++) {
		uint16_t d = (uint16_t)(3 * i);

		headers[queue][i] = (struct blk_header){BLK_IN, 0, sector_of(queue, i)};
		statuses[queue][i] = 0xff;
		memset(buf_of(queue, i), 0xee, LEN);
		vq_set(q, d, &headers[queue][i], sizeof(headers[queue][i]), VD_NEXT,
			(uint16_t)(d + 1));
		vq_set(q, (uint16_t)(d + 1), buf_of(queue, i), LEN, VD_NEXT | VD_WRITE,
			(uint16_t)(d + 2));
		vq_set(q, (uint16_t)(d + 2), (const void *)(uint64_t)&statuses[queue][i], 1,
			VD_WRITE, 0);
		vq_push(q, d);
	}
	vq_kick(q);
}

static void collect(struct vq *q, unsigned queue)
{
	struct vq_used_elem e;

	for (unsigned i = 0; i < DEPTH; i++)
		EXPECT(vq_pop(q, &e), "queue %u: request %u is never answered", queue, i);
	for (unsigned i = 0; i < DEPTH; i++) {
		EXPECT_EQ(statuses[queue][i], BLK_OK, "status");
		for (unsigned k = 0; k < LEN; k++)
			EXPECT(buf_of(queue, i)[k] == blk_pattern(sector_of(queue, i) * SECTOR + k),
				"queue %u, request %u: byte %u is wrong", queue, i, k);
	}
}

int payload_main(const struct payload_boot *boot)
{
	struct vdev *d = vdev_need(VIRTIO_ID_BLK, 0);
	struct vq q[QUEUES];

	(void)boot;
	bufs = alloc((size_t)QUEUES * DEPTH * LEN, PAGE);
	vdev_negotiate(d, VF_BLK_MQ);
	EXPECT(d->features & VF_BLK_MQ, "VIRTIO_BLK_F_MQ is not offered");
	EXPECT_EQ(vr_read(d, VR_CONFIG + 32) >> 16, QUEUES, "num_queues");
	for (uint16_t i = 0; i < QUEUES; i++)
		vq_init(&q[i], d, i, 16);
	vdev_driver_ok(d);
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < QUEUES; i++)
			submit(&q[i], i);
		for (unsigned i = QUEUES; i-- > 0;)
			collect(&q[i], i);
	}

	/* A broken ring in one queue is the whole device's; a reset heals it. */
	q[2].avail->idx = (uint16_t)(q[2].avail->idx + 1000);
	vq_kick(&q[2]);
	for (struct patience p = patience_s(1); !(vdev_status(d) & VS_NEEDS_RESET);)
		EXPECT(patient(&p), "no NEEDS_RESET, status 0x%x", vdev_status(d));
	vdev_negotiate(d, VF_BLK_MQ);
	for (uint16_t i = 0; i < QUEUES; i++)
		vq_init(&q[i], d, i, 16);
	vdev_driver_ok(d);
	submit(&q[3], 3);
	collect(&q[3], 3);
	return 0;
}
