/* SPDX-License-Identifier: Apache-2.0 */
/* The status register written out of order (virtio 1.2 §3.1.1). After each, a reset must help. */
#include "rt/virtio.h"

static struct blk_header header;
static uint8_t status, buf[SECTOR];

static void push_read(struct vq *q)
{
	header = (struct blk_header){BLK_IN, 0, 0};
	status = 0xff;
	vq_set(q, 0, &header, sizeof(header), VD_NEXT, 1);
	vq_set(q, 1, buf, sizeof(buf), VD_NEXT | VD_WRITE, 2);
	vq_set(q, 2, &status, 1, VD_WRITE, 0);
	vq_push(q, 0);
	vq_kick(q);
}

static void expect_not_served(const char *what)
{
	struct patience p = patience_ticks(100000000);

	while (patient(&p))
		EXPECT(__atomic_load_n(&status, __ATOMIC_ACQUIRE) == 0xff, "%s: served", what);
}

static void kick_before_driver_ok(struct vq *q, uint64_t arg)
{
	(void)arg;
	vdev_negotiate(q->dev, 0);
	vq_init(q, q->dev, 0, q->size);
	push_read(q);
	expect_not_served("kick before DRIVER_OK");
}

static void driver_ok_without_features_ok(struct vq *q, uint64_t arg)
{
	(void)arg;
	vdev_reset(q->dev);
	vr_write(q->dev, VR_STATUS, VS_ACKNOWLEDGE | VS_DRIVER);
	vq_alloc(q, q->dev, 0, q->size);
	vq_program(q);
	vr_write(q->dev, VR_STATUS, VS_ACKNOWLEDGE | VS_DRIVER | VS_DRIVER_OK);
	push_read(q);
	expect_not_served("DRIVER_OK without FEATURES_OK");
}

static void driver_ok_at_once(struct vq *q, uint64_t arg)
{
	(void)arg;
	vdev_reset(q->dev);
	vr_write(q->dev, VR_STATUS, VS_DRIVER_OK);
	vq_kick(q);
}

static void feature_not_offered(struct vq *q, uint64_t arg)
{
	struct vdev *d = q->dev;
	uint64_t f = vdev_features(d);

	(void)arg;
	vdev_reset(d);
	vr_write(d, VR_STATUS, VS_ACKNOWLEDGE | VS_DRIVER);
	vr_write(d, VR_DRV_FEATURES_SEL, 0);
	vr_write(d, VR_DRV_FEATURES, ~(uint32_t)f);
	vr_write(d, VR_DRV_FEATURES_SEL, 1);
	vr_write(d, VR_DRV_FEATURES, 1);
	vr_write(d, VR_STATUS, VS_ACKNOWLEDGE | VS_DRIVER | VS_FEATURES_OK);
	EXPECT((vdev_status(d) & VS_FEATURES_OK) == 0, "features never offered are accepted");
}

static void no_version_1(struct vq *q, uint64_t arg)
{
	struct vdev *d = q->dev;

	(void)arg;
	vdev_reset(d);
	vr_write(d, VR_STATUS, VS_ACKNOWLEDGE | VS_DRIVER);
	vr_write(d, VR_DRV_FEATURES_SEL, 0);
	vr_write(d, VR_DRV_FEATURES, 0);
	vr_write(d, VR_DRV_FEATURES_SEL, 1);
	vr_write(d, VR_DRV_FEATURES, 0);
	vr_write(d, VR_STATUS, VS_ACKNOWLEDGE | VS_DRIVER | VS_FEATURES_OK);
	EXPECT((vdev_status(d) & VS_FEATURES_OK) == 0, "a driver without VERSION_1 is accepted");
}

/* A device that was not asked to reset must not be confused by any value. */
static void any_status(struct vq *q, uint64_t arg)
{
	for (uint32_t v = 1; v < 512; v++)
		vr_write(q->dev, VR_STATUS, (uint32_t)(v * arg) & 0x1ff);
	vq_kick(q);
}

static void features_after_ok(struct vq *q, uint64_t arg)
{
	(void)arg;
	vr_write(q->dev, VR_DRV_FEATURES_SEL, 0);
	vr_write(q->dev, VR_DRV_FEATURES, 0xffffffff);
	EXPECT_EQ(vdev_status(q->dev) & VS_DRIVER_OK, VS_DRIVER_OK, "DRIVER_OK");
	blk_check_pattern(q, 3, 1);
}

int payload_main(const struct payload_boot *boot)
{
	(void)boot;
	odd_case("kick before DRIVER_OK", kick_before_driver_ok, 0);
	odd_case("DRIVER_OK without FEATURES_OK", driver_ok_without_features_ok, 0);
	odd_case("DRIVER_OK at once", driver_ok_at_once, 0);
	odd_case("features not offered", feature_not_offered, 0);
	odd_case("no VERSION_1", no_version_1, 0);
	odd_case("features after FEATURES_OK", features_after_ok, 0);
	odd_case("all status values upwards", any_status, 1);
	odd_case("all status values in steps of 37", any_status, 37);
	return 0;
}
