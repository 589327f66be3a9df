/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and driving virtio-mmio devices. */
#include "virtio.h"

#define VDEV_MAX 32

static struct vdev devices[VDEV_MAX];
static unsigned device_count;

/* virtio_mmio.device=<size>@<address>:<irq>[:<id>] */
static void discover(void)
{
	for (unsigned i = 0; i < VDEV_MAX; i++) {
		const char *s = arg_find("virtio_mmio.device", i);
		struct vdev *d = &devices[device_count];

		if (s == NULL)
			return;
		d->size = parse_u64(&s);
		EXPECT(*s++ == '@', "virtio_mmio.device has no @");
		d->base = parse_u64(&s);
		EXPECT(*s++ == ':', "virtio_mmio.device has no :");
		d->gsi = (uint32_t)parse_u64(&s);
		if (vr_read(d, VR_MAGIC) != 0x74726976)
			continue;
		d->device_id = vr_read(d, VR_DEVICE_ID);
		if (d->device_id != 0) /* 0: an empty slot */
			device_count++;
	}
}

unsigned vdev_count(void)
{
	if (device_count == 0)
		discover();
	return device_count;
}

struct vdev *vdev_at(unsigned n)
{
	return n < vdev_count() ? &devices[n] : NULL;
}

struct vdev *vdev_find(uint32_t device_id, unsigned n)
{
	for (unsigned i = 0; i < vdev_count(); i++)
		if (devices[i].device_id == device_id && n-- == 0)
			return &devices[i];
	return NULL;
}

struct vdev *vdev_need(uint32_t device_id, unsigned n)
{
	struct vdev *d = vdev_find(device_id, n);

	EXPECT(d != NULL, "no device %u with id %u on the command line", n, device_id);
	return d;
}

uint64_t vdev_features(const struct vdev *d)
{
	uint64_t f;

	vr_write(d, VR_DEV_FEATURES_SEL, 1);
	f = (uint64_t)vr_read(d, VR_DEV_FEATURES) << 32;
	vr_write(d, VR_DEV_FEATURES_SEL, 0);
	return f | vr_read(d, VR_DEV_FEATURES);
}

uint32_t vdev_status(const struct vdev *d)
{
	return vr_read(d, VR_STATUS);
}

void vdev_reset(struct vdev *d)
{
	struct patience p = patience_s(5);

	vr_write(d, VR_STATUS, 0);
	while (vdev_status(d) != 0)
		EXPECT(patient(&p), "device at 0x%lx does not finish its reset", d->base);
	d->features = 0;
}

void vdev_negotiate(struct vdev *d, uint64_t wanted)
{
	vdev_reset(d);
	vr_write(d, VR_STATUS, VS_ACKNOWLEDGE);
	vr_write(d, VR_STATUS, VS_ACKNOWLEDGE | VS_DRIVER);
	d->features = vdev_features(d) & (wanted | VF_VERSION_1);
	vr_write(d, VR_DRV_FEATURES_SEL, 0);
	vr_write(d, VR_DRV_FEATURES, (uint32_t)d->features);
	vr_write(d, VR_DRV_FEATURES_SEL, 1);
	vr_write(d, VR_DRV_FEATURES, (uint32_t)(d->features >> 32));
	vr_write(d, VR_STATUS, VS_ACKNOWLEDGE | VS_DRIVER | VS_FEATURES_OK);
	EXPECT((vdev_status(d) & VS_FEATURES_OK) != 0, "FEATURES_OK refused for 0x%lx",
		d->features);
}

void vdev_driver_ok(struct vdev *d)
{
	vr_write(d, VR_STATUS, vdev_status(d) | VS_DRIVER_OK);
}

void vq_alloc(struct vq *q, struct vdev *d, uint16_t index, uint16_t size)
{
	uint32_t max;

	vr_write(d, VR_QUEUE_SEL, index);
	max = vr_read(d, VR_QUEUE_NUM_MAX);
	*q = (struct vq){.dev = d, .index = index, .size = size < max ? size : (uint16_t)max};
	EXPECT(q->size != 0, "queue %u does not exist", index);
	q->desc = alloc(sizeof(struct vq_desc) * q->size, 16);
	q->avail = alloc(6 + 2ul * q->size, 2);
	q->used = alloc(6 + 8ul * q->size, 4);
}

void vq_set_addr(const struct vdev *d, unsigned reg, uint64_t addr)
{
	vr_write(d, reg, (uint32_t)addr);
	vr_write(d, reg + 4, (uint32_t)(addr >> 32));
}

void vq_program(const struct vq *q)
{
	struct vdev *d = q->dev;

	vr_write(d, VR_QUEUE_SEL, q->index);
	vr_write(d, VR_QUEUE_NUM, q->size);
	vq_set_addr(d, VR_QUEUE_DESC, (uint64_t)q->desc);
	vq_set_addr(d, VR_QUEUE_DRIVER, (uint64_t)q->avail);
	vq_set_addr(d, VR_QUEUE_DEVICE, (uint64_t)q->used);
	vr_write(d, VR_QUEUE_READY, 1);
}

void vq_init(struct vq *q, struct vdev *d, uint16_t index, uint16_t size)
{
	vq_alloc(q, d, index, size);
	vq_program(q);
	EXPECT_EQ(vr_read(d, VR_QUEUE_READY), 1, "QueueReady of a good queue");
}

volatile uint16_t *vq_used_event(const struct vq *q)
{
	return &q->avail->ring[q->size];
}

volatile uint16_t *vq_avail_event(const struct vq *q)
{
	return (volatile uint16_t *)&q->used->ring[q->size];
}

void vq_set(struct vq *q, uint16_t i, const void *buf, uint32_t len, uint16_t flags, uint16_t next)
{
	q->desc[i] = (struct vq_desc){(uint64_t)buf, len, flags, next};
}

void vq_push(struct vq *q, uint16_t head)
{
	uint16_t idx = q->avail->idx;

	q->avail->ring[idx % q->size] = head;
	__atomic_store_n(&q->avail->idx, (uint16_t)(idx + 1), __ATOMIC_RELEASE);
	mb();
}

void vq_kick(const struct vq *q)
{
	vr_write(q->dev, VR_QUEUE_NOTIFY, q->index);
}

bool vq_pop(struct vq *q, struct vq_used_elem *ret)
{
	struct patience p = patience_s(5);

	while (__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) == q->used_seen)
		if (!patient(&p))
			return false;
	*ret = q->used->ring[q->used_seen++ % q->size];
	return true;
}

void vdev_start(struct vdev *d, struct vq *q, uint64_t wanted, uint16_t size)
{
	vdev_negotiate(d, wanted);
	vq_init(q, d, 0, size);
	vdev_driver_ok(d);
	EXPECT_EQ(vdev_status(d), VS_ACKNOWLEDGE | VS_DRIVER | VS_FEATURES_OK | VS_DRIVER_OK,
		"status after DRIVER_OK");
}
