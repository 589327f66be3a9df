/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queue sizes that virtio 1.2 §2.7 does not allow. The device refuses (QueueReady stays 0) or
 * breaks, or goes on with a size that is allowed; it serves nothing by the bad one.
 */
#include "rt/virtio.h"

static void with_size(struct vq *q, uint64_t size)
{
	struct patience p = patience_s(1);
	struct vdev *d = q->dev;
	struct vq good;

	vdev_negotiate(d, 0);
	vq_alloc(&good, d, 0, q->size);
	vr_write(d, VR_QUEUE_SEL, 0);
	vr_write(d, VR_QUEUE_NUM, (uint32_t)size);
	vq_set_addr(d, VR_QUEUE_DESC, (uint64_t)good.desc);
	vq_set_addr(d, VR_QUEUE_DRIVER, (uint64_t)good.avail);
	vq_set_addr(d, VR_QUEUE_DEVICE, (uint64_t)good.used);
	vr_write(d, VR_QUEUE_READY, 1);
	vdev_driver_ok(d);
	vq_kick(&good);
	while (vr_read(d, VR_QUEUE_READY) != 0 && (vdev_status(d) & VS_NEEDS_RESET) == 0)
		EXPECT(patient(&p), "queue size %lu is taken, status 0x%x", size, vdev_status(d));
}

/* Writes to a queue that is ready must not change it under the device. */
static void change_while_ready(struct vq *q, uint64_t size)
{
	vr_write(q->dev, VR_QUEUE_SEL, 0);
	vr_write(q->dev, VR_QUEUE_NUM, (uint32_t)size);
	vq_set_addr(q->dev, VR_QUEUE_DESC, 0x7fff00000000);
	vq_kick(q);
}

static void no_such_queue(struct vq *q, uint64_t index)
{
	struct vdev *d = q->dev;

	vr_write(d, VR_QUEUE_SEL, (uint32_t)index);
	EXPECT_EQ(vr_read(d, VR_QUEUE_NUM_MAX), 0, "QueueNumMax of a queue that is not there");
	vr_write(d, VR_QUEUE_NUM, 16);
	vr_write(d, VR_QUEUE_READY, 1);
	EXPECT_EQ(vr_read(d, VR_QUEUE_READY), 0, "QueueReady of a queue that is not there");
	vr_write(d, VR_QUEUE_NOTIFY, (uint32_t)index);
}

int payload_main(const struct payload_boot *boot)
{
	struct vdev *d = vdev_need(VIRTIO_ID_BLK, 0);
	uint32_t max;

	(void)boot;
	vr_write(d, VR_QUEUE_SEL, 0);
	max = vr_read(d, VR_QUEUE_NUM_MAX);
	EXPECT(max != 0 && max <= 32768 && (max & (max - 1)) == 0, "QueueNumMax is %u", max);
	odd_case("size 0", with_size, 0);
	odd_case("size 3", with_size, 3);
	odd_case("size 15", with_size, 15);
	odd_case("twice the maximum", with_size, 2 * max);
	odd_case("size 65536", with_size, 65536);
	odd_case("size 2^31", with_size, 1u << 31);
	odd_case("change while ready", change_while_ready, 3);
	odd_case("queue 1000", no_such_queue, 1000);
	odd_case("queue 2^32 - 1", no_such_queue, 0xffffffff);
	return 0;
}
