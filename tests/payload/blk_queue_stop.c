/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One queue is stopped (QueueReady = 0) while requests of both are under way. Once the register
 * reads 0, nothing of that queue may be written any more, and the other one answers all of its own.
 */
#include "rt/virtio.h"

#define DEPTH  5u
#define LEN    (64u * SECTOR)
#define ROUNDS 100
#define QUEUES 2

static struct blk_header headers[QUEUES][DEPTH];
static uint8_t statuses[QUEUES][DEPTH];

static uint8_t *buf_of(uint8_t *bufs, unsigned queue, unsigned i)
{
	return bufs + (queue * DEPTH + i) * LEN;
}

static void submit(struct vq *q, unsigned queue, uint8_t *bufs)
{
	for (uint16_t i = 0; i < DEPTH; i++) {
		uint16_t d = (uint16_t)(3 * i);

		headers[queue][i] = (struct blk_header){BLK_IN, 0, i * 64};
		statuses[queue][i] = 0xff;
		vq_set(q, d, &headers[queue][i], sizeof(headers[queue][i]), VD_NEXT,
			(uint16_t)(d + 1));
		vq_set(q, (uint16_t)(d + 1), buf_of(bufs, queue, i), LEN, VD_NEXT | VD_WRITE,
			(uint16_t)(d + 2));
		vq_set(q, (uint16_t)(d + 2), &statuses[queue][i], 1, VD_WRITE, 0);
		vq_push(q, d);
	}
	vq_kick(q);
}

static void expect_silence(const struct vq *q, const uint8_t *buf, unsigned round)
{
	struct patience p = patience_ticks(1000000);
	uint16_t used = q->used->idx;

	while (patient(&p))
		continue;
	EXPECT_EQ(q->used->idx, used, "used index of a stopped queue");
	for (unsigned i = 0; i < DEPTH; i++)
		EXPECT_EQ(statuses[0][i], 0xa5, "status byte of a stopped queue");
	for (unsigned i = 0; i < DEPTH * LEN; i += 64)
		EXPECT(buf[i] == 0xa5, "byte %u written after the stop, round %u", i, round);
}

int payload_main(const struct payload_boot *boot)
{
	struct vdev *d = vdev_need(VIRTIO_ID_BLK, 0);
	uint8_t *bufs = alloc((size_t)QUEUES * DEPTH * LEN, PAGE);
	struct vq q[QUEUES];
	struct vq_used_elem e;

	(void)boot;
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t delay = round * 2000;

		vdev_negotiate(d, VF_BLK_MQ);
		for (uint16_t i = 0; i < QUEUES; i++)
			vq_init(&q[i], d, i, 16);
		vdev_driver_ok(d);
		submit(&q[0], 0, bufs);
		submit(&q[1], 1, bufs);
		for (delay += rdtsc(); rdtsc() < delay;)
			cpu_relax();
		vr_write(d, VR_QUEUE_SEL, 0);
		vr_write(d, VR_QUEUE_READY, 0);
		EXPECT_EQ(vr_read(d, VR_QUEUE_READY), 0, "ready register of the stopped queue");
		memset(buf_of(bufs, 0, 0), 0xa5, (size_t)DEPTH * LEN);
		memset(statuses[0], 0xa5, sizeof(statuses[0]));
		expect_silence(&q[0], buf_of(bufs, 0, 0), round);
		for (unsigned i = 0; i < DEPTH; i++)
			EXPECT(vq_pop(&q[1], &e), "round %u: the other queue is silent", round);
		for (unsigned i = 0; i < DEPTH; i++)
			EXPECT_EQ(statuses[1][i], BLK_OK, "status of the other queue");
		vdev_reset(d);
	}
	vdev_start(d, &q[0], 0, 16);
	blk_check_pattern(&q[0], 0, 64);
	return 0;
}
