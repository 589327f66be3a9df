/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio over MMIO, version 2 (virtio 1.2 §4.2): one 4 KiB register window per device. Registers
 * are 32 bits wide; other widths below 0x100 read as zero and are ignored on write. Queue kicks
 * normally never get here: KVM signals an eventfd (struct virtio_mmio.kick_fd) instead.
 */
#pragma once

#include "virtio/device.h"
#include "vmm/svc/bus.h"

#define VIRTIO_MMIO_REG_QUEUE_NOTIFY 0x50

struct virtio_mmio_state {
	uint32_t queue_sel;
	uint32_t device_features_sel;
	uint32_t driver_features_sel;
	uint32_t interrupt_status;
};
extern const struct field_table virtio_mmio_state_table;

/* Firecracker's group "interrupts"; written under the device's lock. */
struct virtio_mmio_counters {
	uint64_t triggers, config_updates;
};

struct virtio_mmio {
	struct virtio_mmio_state
		st;             /* interrupt_status is atomic: vCPUs and owner touch it unlocked */
	struct virtio_dev *dev; /* borrowed */
	int irq_fd;             /* owned eventfd; a write is one edge on the device's GSI */
	int kick_fd
		[VIRTIO_QUEUES_MAX]; /* owned eventfds, one per queue, or -1: see virtio_mmio_kicked */
	struct virtio_mmio_counters counters;
};

extern const struct bus_ops virtio_mmio_bus_ops; /* dev is a struct virtio_mmio */

/* Makes the eventfds and attaches to dev. 0 or -errno. Main thread, before the vCPUs. */
int virtio_mmio_init(struct virtio_mmio *t, struct virtio_dev *dev, struct err *e) MUST_USE;
void virtio_mmio_fini(struct virtio_mmio *t);

/*
 * kick_fd[q] was signalled. It is to be waited for edge-triggered and never read, which saves a system call
 * for each kick: a signal that comes while the device looks at the queue is another edge, also its own,
 * by which a device that has used up its batch is called again. Main thread, or the device's I/O thread.
 */
void virtio_mmio_kicked(struct virtio_mmio *t, uint16_t q);

/*
 * Snapshot seam, after virtio_dev_save and virtio_dev_load. Load kicks every queue once, because
 * kicks that were pending in an eventfd are not in an image.
 */
void virtio_mmio_save(const struct virtio_mmio *t, struct virtio_mmio_state *ret);
int virtio_mmio_load(
	struct virtio_mmio *t, const struct virtio_mmio_state *s, struct err *e) MUST_USE;
