/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of every virtio-mmio device on the command line: identity, feature words, queues,
 * status, and what an access of another width or alignment does: reads 0, writes nothing.
 */
#include "rt/virtio.h"

static void check_identity(struct vdev *d)
{
	EXPECT_EQ(vr_read(d, VR_MAGIC), 0x74726976, "magic");
	EXPECT_EQ(vr_read(d, VR_VERSION), 2, "version");
	EXPECT(vr_read(d, VR_VENDOR_ID) != 0, "no vendor id");
	EXPECT(vr_read(d, VR_CONFIG_GEN) == vr_read(d, VR_CONFIG_GEN), "generation changes");
	vr_write(d, VR_MAGIC, 1);
	vr_write(d, VR_DEVICE_ID, 1);
	EXPECT_EQ(vr_read(d, VR_MAGIC), 0x74726976, "magic after a write");
	EXPECT_EQ(vr_read(d, VR_DEVICE_ID), d->device_id, "device id after a write");
}

static void check_features(struct vdev *d)
{
	EXPECT((vdev_features(d) & VF_VERSION_1) != 0, "VERSION_1 is not offered");
	EXPECT((vdev_features(d) & VF_INDIRECT) != 0, "INDIRECT_DESC is not offered");
	EXPECT((vdev_features(d) & VF_EVENT_IDX) != 0, "EVENT_IDX is not offered");
	for (uint32_t sel = 2; sel != 0; sel <<= 1) {
		vr_write(d, VR_DEV_FEATURES_SEL, sel);
		EXPECT_EQ(vr_read(d, VR_DEV_FEATURES), 0, "features of a page past the second");
	}
}

static void check_queues(struct vdev *d)
{
	uint32_t max;

	vdev_reset(d);
	vr_write(d, VR_QUEUE_SEL, 0);
	max = vr_read(d, VR_QUEUE_NUM_MAX);
	EXPECT(max != 0 && (max & (max - 1)) == 0, "QueueNumMax is %u", max);
	EXPECT_EQ(vr_read(d, VR_QUEUE_READY), 0, "QueueReady after reset");
	for (uint32_t sel = 64; sel != 0; sel <<= 1) {
		vr_write(d, VR_QUEUE_SEL, sel);
		EXPECT_EQ(vr_read(d, VR_QUEUE_NUM_MAX), 0, "QueueNumMax of no queue");
	}
}

static void check_status(struct vdev *d)
{
	vdev_reset(d);
	EXPECT_EQ(vr_read(d, VR_INT_STATUS), 0, "interrupt status after reset");
	vr_write(d, VR_STATUS, VS_ACKNOWLEDGE);
	EXPECT_EQ(vdev_status(d), VS_ACKNOWLEDGE, "status");
	vr_write(d, VR_STATUS, VS_ACKNOWLEDGE | VS_DRIVER);
	EXPECT_EQ(vdev_status(d), VS_ACKNOWLEDGE | VS_DRIVER, "status");
	vdev_negotiate(d, ~0ull);
	EXPECT_EQ(vdev_status(d), VS_ACKNOWLEDGE | VS_DRIVER | VS_FEATURES_OK, "status");
	vr_write(d, VR_STATUS, vdev_status(d) | VS_FAILED);
	EXPECT((vdev_status(d) & VS_FAILED) != 0, "FAILED does not stick");
	vdev_reset(d);
}

static void check_widths(struct vdev *d)
{
	vr_write(d, VR_STATUS, VS_ACKNOWLEDGE);
	for (unsigned off = 0; off < 4; off++) {
		EXPECT_EQ(mmio_read8(d->base + VR_MAGIC + off), 0, "a byte of magic");
		EXPECT_EQ(mmio_read8(d->base + VR_STATUS + off), 0, "a byte of status");
	}
	EXPECT_EQ(mmio_read16(d->base + VR_MAGIC), 0, "half of magic");
	EXPECT_EQ(mmio_read16(d->base + VR_MAGIC + 2), 0, "half of magic");
	EXPECT_EQ(mmio_read32(d->base + VR_MAGIC + 1), 0, "magic read misaligned by 1");
	EXPECT_EQ(mmio_read32(d->base + VR_MAGIC + 2), 0, "magic read misaligned by 2");
	EXPECT_EQ(mmio_read64(d->base + VR_MAGIC), 0, "magic and version in one read");
	mmio_write8(d->base + VR_STATUS, 0);
	mmio_write16(d->base + VR_STATUS, 0);
	mmio_write64(d->base + VR_STATUS, 0);
	mmio_write32(d->base + VR_STATUS + 1, 0);
	mmio_write32(d->base + VR_STATUS - 2, 0);
	EXPECT_EQ(vdev_status(d), VS_ACKNOWLEDGE, "status after writes of wrong width");
	vdev_reset(d);
}

/* Registers that only go the other way, and offsets between registers. */
static void check_no_register(struct vdev *d)
{
	static const uint16_t write_only[] = {VR_DEV_FEATURES_SEL, VR_DRV_FEATURES,
		VR_DRV_FEATURES_SEL, VR_QUEUE_SEL, VR_QUEUE_NUM, VR_QUEUE_NOTIFY, VR_INT_ACK,
		VR_QUEUE_DESC, VR_QUEUE_DRIVER, VR_QUEUE_DEVICE, 0x018, 0x0e0};

	for (unsigned i = 0; i < NELEM(write_only); i++)
		EXPECT(vr_read(d, write_only[i]) == 0, "register 0x%x reads 0x%x", write_only[i],
			vr_read(d, write_only[i]));
	for (unsigned reg = 0; reg < 0x100; reg += 4)
		if (reg != VR_STATUS)
			vr_write(d, reg, 0xffffffff);
	EXPECT_EQ(vr_read(d, VR_VERSION), 2, "version after writes everywhere");
	vdev_reset(d);
}

static void check_config(struct vdev *d)
{
	uint64_t wide = blk_capacity(d), bytes = 0;

	EXPECT(wide != 0, "no capacity");
	for (unsigned i = 0; i < 8; i++)
		bytes |= (uint64_t)mmio_read8(d->base + VR_CONFIG + i) << (8 * i);
	EXPECT_EQ(bytes, wide, "capacity by bytes");
	EXPECT_EQ(mmio_read16(d->base + VR_CONFIG), wide & 0xffff, "half of capacity");
	vr_write(d, VR_CONFIG, 0);
	EXPECT_EQ(blk_capacity(d), wide, "capacity after a write");
}

int payload_main(const struct payload_boot *boot)
{
	(void)boot;
	EXPECT(vdev_count() != 0, "no devices on the command line");
	for (unsigned i = 0; i < vdev_count(); i++) {
		struct vdev *d = vdev_at(i);

		print("device %u at 0x%lx, gsi %u\n", d->device_id, d->base, d->gsi);
		check_identity(d);
		check_features(d);
		check_queues(d);
		check_status(d);
		check_widths(d);
		check_no_register(d);
		if (d->device_id == VIRTIO_ID_BLK)
			check_config(d);
	}
	return 0;
}
