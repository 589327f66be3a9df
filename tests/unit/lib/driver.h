/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio driver on the host's side of a test: guest memory is ordinary heap memory (so that
 * AddressSanitizer sees an overrun), rings and descriptors are written as the test likes, good or
 * evil. It drives either a bare struct vq or a whole device.
 */
#pragma once

#include "virtio/device.h"
#include "virtio/feature.h"

/* Not 0, so that a guest address is never by chance an offset into the memory. */
#define DRIVER_RAM_START 0x100000ull
#define DRIVER_RAM_SIZE  0x80000ull
#define DRIVER_RAM_END   (DRIVER_RAM_START + DRIVER_RAM_SIZE)

#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u

#define DRIVER_FEATURES                                                                            \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_EVENT_IDX | 1ull << VIRTIO_F_INDIRECT_DESC)
#define DRIVER_FEATURES_PLAIN (1ull << VIRTIO_F_VERSION_1)

struct driver_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct driver_used {
	uint32_t id;
	uint32_t len;
};

struct driver {
	struct gmem mem;
	unsigned char *ram;         /* owned */
	uint16_t size;              /* of the queue */
	uint64_t desc, avail, used; /* guest addresses */
	uint64_t free;              /* next guest address that driver_alloc hands out */
	uint16_t free_desc;         /* next descriptor that driver_chain uses */
	uint16_t avail_idx;         /* our copy of the index */
	uint16_t used_seen;
	struct virtio_dev *dev;                  /* borrowed; NULL when driving a bare queue */
	unsigned queue_irqs, config_irqs, kicks; /* what the device asked its transport for */
};

/* Memory and rings for a queue of that size; nothing is told to a device yet. */
void driver_init(struct driver *d, uint16_t size);
void driver_fini(struct driver *d);

/* The driver's rings as a queue state: what the transport would have stored. */
struct vq_state driver_vq_state(const struct driver *d);

/* Brings a device from reset to DRIVER_OK with queue 0 on the driver's rings. */
void driver_start(struct driver *d, struct virtio_dev *dev, uint64_t features);

/* Attaches the counting transport and resets the rings, but writes no status. */
void driver_attach(struct driver *d, struct virtio_dev *dev);

/* Zeroed guest memory; its host view. */
uint64_t driver_alloc(struct driver *d, uint64_t len, uint64_t align);
void *driver_at(const struct driver *d, uint64_t gpa);

/* Raw access to the rings. */
void driver_desc_set(
	struct driver *d, uint16_t i, uint64_t addr, uint32_t len, unsigned flags, uint16_t next);
void driver_table_set(struct driver *d, uint64_t table, uint16_t i, struct driver_desc desc);
void driver_ring_set(struct driver *d, uint16_t slot, uint16_t head);
void driver_idx_set(struct driver *d, uint16_t idx);
void driver_flags_set(struct driver *d, uint16_t flags);
void driver_used_event_set(struct driver *d, uint16_t event);
uint16_t driver_used_idx(const struct driver *d);
uint16_t driver_used_flags(const struct driver *d);
uint16_t driver_avail_event(const struct driver *d);
struct driver_used driver_used_at(const struct driver *d, uint16_t idx);

/* Offers a chain that starts at head. */
void driver_offer(struct driver *d, uint16_t head);

struct driver_buf {
	uint64_t at;
	uint32_t len;
	bool writable;
};

/* Writes a chain of the buffers into fresh descriptors and offers it; returns its head. */
uint16_t driver_chain(struct driver *d, const struct driver_buf *bufs, unsigned count);
/* The same by way of an indirect table. */
uint16_t driver_chain_indirect(struct driver *d, const struct driver_buf *bufs, unsigned count);

/* The next unseen used entry, if there is one. */
bool driver_poll(struct driver *d, struct driver_used *ret);
