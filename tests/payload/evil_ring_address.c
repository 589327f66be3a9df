/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings outside memory or misaligned. The device refuses (QueueReady stays 0) or breaks; it never
 * serves from there.
 */
#include "rt/virtio.h"

static struct blk_header header;
static uint8_t status, buf[SECTOR];

/* reg is the register of the ring that gets the bad address. */
static void try(struct vq *q, unsigned reg, uint64_t addr)
{
	struct patience p;
	struct vdev *d = q->dev;
	struct vq good;

	vdev_negotiate(d, 0);
	vq_alloc(&good, d, 0, q->size);
	header = (struct blk_header){BLK_IN, 0, 0};
	status = 0xff;
	vq_set(&good, 0, &header, sizeof(header), VD_NEXT, 1);
	vq_set(&good, 1, buf, sizeof(buf), VD_NEXT | VD_WRITE, 2);
	vq_set(&good, 2, &status, 1, VD_WRITE, 0);
	vq_push(&good, 0);
	vr_write(d, VR_QUEUE_SEL, 0);
	vr_write(d, VR_QUEUE_NUM, good.size);
	vq_set_addr(d, VR_QUEUE_DESC, (uint64_t)good.desc);
	vq_set_addr(d, VR_QUEUE_DRIVER, (uint64_t)good.avail);
	vq_set_addr(d, VR_QUEUE_DEVICE, (uint64_t)good.used);
	vq_set_addr(d, reg, addr);
	vr_write(d, VR_QUEUE_READY, 1);
	vdev_driver_ok(d);
	vq_kick(&good);
	p = patience_s(1);
	while (vr_read(d, VR_QUEUE_READY) != 0 && (vdev_status(d) & VS_NEEDS_RESET) == 0)
		EXPECT(patient(&p), "ring register 0x%x takes 0x%lx, status 0x%x", reg, addr,
			vdev_status(d));
	EXPECT_EQ(status, 0xff, "status byte: a request was served");
}

static void bad_desc(struct vq *q, uint64_t addr)
{
	try(q, VR_QUEUE_DESC, addr);
}

static void bad_avail(struct vq *q, uint64_t addr)
{
	try(q, VR_QUEUE_DRIVER, addr);
}

static void bad_used(struct vq *q, uint64_t addr)
{
	try(q, VR_QUEUE_DEVICE, addr);
}

int payload_main(const struct payload_boot *boot)
{
	const struct {
		const char *name;
		uint64_t addr;
	} bad[] = {
		{"far outside memory", 0x7fff00000000},
		{"across the end of RAM", ram_top() - 16},
		{"in the device hole", 0xd0000000},
		{"on the device itself", vdev_need(VIRTIO_ID_BLK, 0)->base},
		{"wrapping", 0ull - 16},
		{"misaligned", 0x200001},
	};

	(void)boot;
	for (unsigned i = 0; i < NELEM(bad); i++) {
		print("%s:\n", bad[i].name);
		odd_case("descriptor table", bad_desc, bad[i].addr);
		odd_case("available ring", bad_avail, bad[i].addr);
		odd_case("used ring", bad_used, bad[i].addr);
	}
	return 0;
}
