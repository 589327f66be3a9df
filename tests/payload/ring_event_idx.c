/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the device interrupts: never with NO_INTERRUPT; with EVENT_IDX exactly when the used index
 * passes used_event. And the device tells by avail_event, or by a clear NO_NOTIFY, when it wants
 * to be kicked. The interrupt is looked for in the status register and, through the I/O APIC, at
 * the CPU.
 */
#include "rt/virtio.h"

#define VEC 0x45

static uint8_t buf[SECTOR];

static void expect_irq(struct vq *q, bool wanted, const char *when)
{
	uint32_t before = irq_count(0, VEC);
	struct patience p = wanted ? patience_s(2) : patience_ticks(20000000);

	EXPECT_EQ(blk_request(q, BLK_IN, 0, buf, SECTOR), BLK_OK, "read status");
	while (patient(&p) && irq_count(0, VEC) == before)
		continue;
	EXPECT(irq_count(0, VEC) - before == (wanted ? 1u : 0u), "%u interrupts with %s",
		irq_count(0, VEC) - before, when);
	EXPECT((vr_read(q->dev, VR_INT_STATUS) != 0) == wanted, "interrupt status with %s", when);
	vr_write(q->dev, VR_INT_ACK, VQ_INT_USED);
	EXPECT_EQ(vr_read(q->dev, VR_INT_STATUS), 0, "interrupt status after the acknowledge");
}

static void plain(struct vdev *d)
{
	struct vq q;

	vdev_start(d, &q, 0, 16);
	expect_irq(&q, true, "flags 0");
	q.avail->flags = 1;
	expect_irq(&q, false, "NO_INTERRUPT");
	q.avail->flags = 0;
	expect_irq(&q, true, "flags 0 again");
	EXPECT_EQ(q.used->flags & 1, 0, "NO_NOTIFY of an idle device");
}

static void event_idx(struct vdev *d)
{
	struct patience p = patience_s(2);
	struct vq q;

	vdev_start(d, &q, VF_EVENT_IDX, 16);
	EXPECT((d->features & VF_EVENT_IDX) != 0, "EVENT_IDX is not offered");
	for (unsigned i = 0; i < 40; i++) {
		*vq_used_event(&q) = q.used_seen;
		mb();
		expect_irq(&q, true, "used_event at this request");
		*vq_used_event(&q) = (uint16_t)(q.used_seen - 1);
		mb();
		expect_irq(&q, false, "used_event behind");
		*vq_used_event(&q) = (uint16_t)(q.used_seen + 1);
		mb();
		expect_irq(&q, false, "used_event one ahead");
		expect_irq(&q, true, "used_event reached");
	}
	q.avail->flags = 1; /* means nothing with EVENT_IDX */
	*vq_used_event(&q) = q.used_seen;
	mb();
	expect_irq(&q, true, "NO_INTERRUPT and EVENT_IDX");
	while (*vq_avail_event(&q) != q.avail->idx)
		EXPECT(patient(&p), "avail_event of an idle device is %u, index %u",
			*vq_avail_event(&q), q.avail->idx);
}

int payload_main(const struct payload_boot *boot)
{
	struct vdev *d = vdev_need(VIRTIO_ID_BLK, 0);

	(void)boot;
	ioapic_route(d->gsi, VEC, apic_id());
	irq_on();
	plain(d);
	event_idx(d);
	return 0;
}
