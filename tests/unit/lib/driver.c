/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio driver for tests. See driver.h. */
#include "tests/unit/lib/driver.h"

#include "vmm/base/check.h"
#include "vmm/base/log.h"

#include <stdlib.h>
#include <string.h>

static void driver_queue_interrupt(struct virtio_dev *dev, uint16_t q)
{
	struct driver *d = dev->transport_ctx;

	(void)q;
	d->queue_irqs++;
}

static void driver_config_interrupt(struct virtio_dev *dev)
{
	struct driver *d = dev->transport_ctx;

	d->config_irqs++;
}

static void driver_kick(struct virtio_dev *dev, uint16_t q)
{
	struct driver *d = dev->transport_ctx;

	(void)q;
	d->kicks++;
}

static const struct virtio_transport_ops driver_transport_ops = {
	.queue_interrupt = driver_queue_interrupt,
	.config_interrupt = driver_config_interrupt,
	.kick = driver_kick,
};

static void driver_rings_init(struct driver *d)
{
	memset(d->ram, 0, DRIVER_RAM_SIZE);
	d->free = DRIVER_RAM_START + 0x1000;
	d->free_desc = d->avail_idx = d->used_seen = 0;
	d->desc = driver_alloc(d, (uint64_t)d->size * sizeof(struct driver_desc), 16);
	d->avail = driver_alloc(d, 6 + 2ull * d->size, 2);
	d->used = driver_alloc(d, 6 + 8ull * d->size, 4);
}

void driver_init(struct driver *d, uint16_t size)
{
	const struct log_config log = {.id = "test", .fd = 2, .level = LOG_WARN};
	void *ram = NULL;
	int rc = posix_memalign(&ram, GMEM_PAGE_SIZE, DRIVER_RAM_SIZE);

	log_configure(&log); /* standard output is for the test results */
	CHECK(rc == 0);
	*d = (struct driver){.ram = ram, .size = size};
	gmem_init_borrowed(&d->mem, GPA(DRIVER_RAM_START), ram, DRIVER_RAM_SIZE);
	driver_rings_init(d);
}

void driver_fini(struct driver *d)
{
	gmem_fini(&d->mem);
	free(d->ram);
	*d = (struct driver){0};
}

struct vq_state driver_vq_state(const struct driver *d)
{
	return (struct vq_state){
		.desc = d->desc, .avail = d->avail, .used = d->used, .size = d->size, .ready = 1};
}

void driver_attach(struct driver *d, struct virtio_dev *dev)
{
	driver_rings_init(d);
	d->dev = dev;
	d->queue_irqs = d->config_irqs = d->kicks = 0;
	dev->transport = &driver_transport_ops;
	dev->transport_ctx = d;
}

void driver_start(struct driver *d, struct virtio_dev *dev, uint64_t features)
{
	uint32_t status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
	struct vq *q;

	driver_attach(d, dev);
	virtio_dev_write_status(dev, 0);
	virtio_dev_write_status(dev, status);
	virtio_dev_write_features(dev, 0, (uint32_t)features);
	virtio_dev_write_features(dev, 1, (uint32_t)(features >> 32));
	status |= VIRTIO_STATUS_FEATURES_OK;
	virtio_dev_write_status(dev, status);
	q = virtio_dev_queue_setup(dev, 0);
	CHECK(q);
	q->st = driver_vq_state(d);
	virtio_dev_write_status(dev, status | VIRTIO_STATUS_DRIVER_OK);
}

uint64_t driver_alloc(struct driver *d, uint64_t len, uint64_t align)
{
	uint64_t at = ALIGN_UP(d->free, align);

	CHECK(at + len <= DRIVER_RAM_END);
	d->free = at + len;
	return at;
}

void *driver_at(const struct driver *d, uint64_t gpa)
{
	CHECK(gpa >= DRIVER_RAM_START && gpa < DRIVER_RAM_END);
	return d->ram + (gpa - DRIVER_RAM_START);
}

static void driver_put16(struct driver *d, uint64_t gpa, uint16_t v)
{
	__atomic_store_n((uint16_t *)driver_at(d, gpa), v, __ATOMIC_RELEASE);
}

static uint16_t driver_get16(const struct driver *d, uint64_t gpa)
{
	return __atomic_load_n((uint16_t *)driver_at(d, gpa), __ATOMIC_ACQUIRE);
}

void driver_table_set(struct driver *d, uint64_t table, uint16_t i, struct driver_desc desc)
{
	memcpy(driver_at(d, table + (uint64_t)i * sizeof(desc)), &desc, sizeof(desc));
}

void driver_desc_set(
	struct driver *d, uint16_t i, uint64_t addr, uint32_t len, unsigned flags, uint16_t next)
{
	driver_table_set(d, d->desc, i, (struct driver_desc){addr, len, (uint16_t)flags, next});
}

void driver_ring_set(struct driver *d, uint16_t slot, uint16_t head)
{
	driver_put16(d, d->avail + 4 + 2ull * (slot % d->size), head);
}

void driver_idx_set(struct driver *d, uint16_t idx)
{
	d->avail_idx = idx;
	driver_put16(d, d->avail + 2, idx);
}

void driver_flags_set(struct driver *d, uint16_t flags)
{
	driver_put16(d, d->avail, flags);
}

void driver_used_event_set(struct driver *d, uint16_t event)
{
	driver_put16(d, d->avail + 4 + 2ull * d->size, event);
}

uint16_t driver_used_idx(const struct driver *d)
{
	return driver_get16(d, d->used + 2);
}

uint16_t driver_used_flags(const struct driver *d)
{
	return driver_get16(d, d->used);
}

uint16_t driver_avail_event(const struct driver *d)
{
	return driver_get16(d, d->used + 4 + 8ull * d->size);
}

struct driver_used driver_used_at(const struct driver *d, uint16_t idx)
{
	struct driver_used u;

	memcpy(&u, driver_at(d, d->used + 4 + 8ull * (idx % d->size)), sizeof(u));
	return u;
}

void driver_offer(struct driver *d, uint16_t head)
{
	driver_ring_set(d, d->avail_idx, head);
	driver_idx_set(d, (uint16_t)(d->avail_idx + 1));
}

uint16_t driver_chain(struct driver *d, const struct driver_buf *bufs, unsigned count)
{
	uint16_t head = d->free_desc;

	CHECK(count > 0 && count <= d->size);
	for (unsigned i = 0; i < count; i++) {
		uint16_t at = (uint16_t)((head + i) % d->size);
		unsigned flags = bufs[i].writable ? DESC_WRITE : 0;

		driver_desc_set(d, at, bufs[i].at, bufs[i].len,
			flags | (i + 1 < count ? DESC_NEXT : 0), (uint16_t)((at + 1) % d->size));
	}
	d->free_desc = (uint16_t)((head + count) % d->size);
	driver_offer(d, head);
	return head;
}

uint16_t driver_chain_indirect(struct driver *d, const struct driver_buf *bufs, unsigned count)
{
	uint64_t table = driver_alloc(d, count * sizeof(struct driver_desc), 16);
	uint16_t head = d->free_desc;

	for (unsigned i = 0; i < count; i++)
		driver_table_set(d, table, (uint16_t)i,
			(struct driver_desc){bufs[i].at, bufs[i].len,
				(uint16_t)((bufs[i].writable ? DESC_WRITE : 0) |
					   (i + 1 < count ? DESC_NEXT : 0)),
				(uint16_t)(i + 1)});
	driver_desc_set(
		d, head, table, count * (uint32_t)sizeof(struct driver_desc), DESC_INDIRECT, 0);
	d->free_desc = (uint16_t)((head + 1) % d->size);
	driver_offer(d, head);
	return head;
}

bool driver_poll(struct driver *d, struct driver_used *ret)
{
	if (driver_used_idx(d) == d->used_seen)
		return false;
	*ret = driver_used_at(d, d->used_seen++);
	return true;
}
