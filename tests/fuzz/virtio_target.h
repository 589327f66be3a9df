/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the virtio targets share: guest memory that starts as the input, with the rings at fixed
 * places inside it, so that every byte of descriptors and rings is the fuzzer's.
 *
 *	0x000  descriptor table, 16 entries    0x100  available ring
 *	0x140  used ring (written by us)       0x200  free: indirect tables, headers, data
 */
#pragma once

#include "virtio/device.h"
#include "virtio/feature.h"
#include "vmm/base/log.h"

#include <stdlib.h>

#define TARGET_RAM_START 0x1000ull
#define TARGET_RAM_SIZE  0x4000u
#define TARGET_QUEUE     16u

static unsigned char *target_ram; /* on the heap: the sanitizer sees an access beyond it */
static struct gmem target_mem;

#define TARGET_REQUIRE(x)                                                                          \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)

/* Fills guest memory with the input, zeroes behind it. */
static inline void target_fill(const uint8_t *data, size_t size)
{
	static const struct log_config quiet = {.id = "fuzz", .fd = -1, .level = LOG_OFF};

	if (!target_ram) {
		target_ram = malloc(TARGET_RAM_SIZE);
		TARGET_REQUIRE(target_ram);
		gmem_init_borrowed(&target_mem, GPA(TARGET_RAM_START), target_ram, TARGET_RAM_SIZE);
		log_configure(&quiet);
	}
	size = MIN(size, TARGET_RAM_SIZE);
	memcpy(target_ram, data, size);
	memset(target_ram + size, 0, TARGET_RAM_SIZE - size);
}

static inline struct vq_state target_rings(void)
{
	return (struct vq_state){
		.desc = TARGET_RAM_START,
		.avail = TARGET_RAM_START + 0x100,
		.used = TARGET_RAM_START + 0x140,
		.size = TARGET_QUEUE,
		.ready = 1,
	};
}

/* From reset to DRIVER_OK with queue 0 on the rings. */
static inline void target_start(struct virtio_dev *d, uint64_t features)
{
	uint32_t status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;

	features |= 1ull << VIRTIO_F_VERSION_1;
	virtio_dev_write_status(d, 0);
	virtio_dev_write_status(d, status);
	virtio_dev_write_features(d, 0, (uint32_t)(d->features & features));
	virtio_dev_write_features(d, 1, (uint32_t)(d->features >> 32));
	virtio_dev_write_status(d, status | VIRTIO_STATUS_FEATURES_OK);
	virtio_dev_queue_setup(d, 0)->st = target_rings();
	virtio_dev_write_status(d, status | VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK);
	TARGET_REQUIRE(d->activated);
}
