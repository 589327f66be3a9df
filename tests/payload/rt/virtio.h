/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio driver for tests: devices from the kernel command line, MMIO version 2, split rings
 * whose every word a payload may also write by hand. See virtio 1.2 §2.7 and §4.2.
 */
#pragma once

#include "rt.h"

/* MMIO registers, virtio 1.2 §4.2.2 */
#define VR_MAGIC            0x000
#define VR_VERSION          0x004
#define VR_DEVICE_ID        0x008
#define VR_VENDOR_ID        0x00c
#define VR_DEV_FEATURES     0x010
#define VR_DEV_FEATURES_SEL 0x014
#define VR_DRV_FEATURES     0x020
#define VR_DRV_FEATURES_SEL 0x024
#define VR_QUEUE_SEL        0x030
#define VR_QUEUE_NUM_MAX    0x034
#define VR_QUEUE_NUM        0x038
#define VR_QUEUE_READY      0x044
#define VR_QUEUE_NOTIFY     0x050
#define VR_INT_STATUS       0x060
#define VR_INT_ACK          0x064
#define VR_STATUS           0x070
#define VR_QUEUE_DESC       0x080
#define VR_QUEUE_DRIVER     0x090
#define VR_QUEUE_DEVICE     0x0a0
#define VR_CONFIG_GEN       0x0fc
#define VR_CONFIG           0x100

#define VS_ACKNOWLEDGE 1u
#define VS_DRIVER      2u
#define VS_DRIVER_OK   4u
#define VS_FEATURES_OK 8u
#define VS_NEEDS_RESET 0x40u
#define VS_FAILED      0x80u

#define VF_INDIRECT         (1ull << 28)
#define VF_EVENT_IDX        (1ull << 29)
#define VF_VERSION_1        (1ull << 32)
#define VF_BLK_RO           (1ull << 5)
#define VF_BLK_FLUSH        (1ull << 9)
#define VF_BLK_MQ           (1ull << 12)
#define VF_BLK_DISCARD      (1ull << 13)
#define VF_BLK_WRITE_ZEROES (1ull << 14)

#define VIRTIO_ID_BLK 2
#define VIRTIO_ID_RNG 4

#define VD_NEXT     1
#define VD_WRITE    2
#define VD_INDIRECT 4

#define VQ_INT_USED   1u /* VR_INT_STATUS */
#define VQ_INT_CONFIG 2u

#define BLK_IN           0
#define BLK_OUT          1
#define BLK_FLUSH        4
#define BLK_GET_ID       8
#define BLK_DISCARD      11
#define BLK_WRITE_ZEROES 13
#define BLK_OK           0
#define BLK_IOERR        1
#define BLK_UNSUPP       2
#define SECTOR           512u

struct vdev {
	uint64_t base, size;
	uint32_t gsi, device_id;
	uint64_t features; /* negotiated */
};

struct vq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct vq_avail {
	uint16_t flags, idx, ring[];
};

struct vq_used_elem {
	uint32_t id, len;
};

struct vq_used {
	uint16_t flags, idx;
	struct vq_used_elem ring[];
};

struct vq {
	struct vdev *dev;
	uint16_t index, size;
	uint16_t used_seen;
	struct vq_desc *desc;
	struct vq_avail *avail;
	struct vq_used *used;
};

struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};

unsigned vdev_count(void);
struct vdev *vdev_at(unsigned n);
/* The nth device with this id, NULL if there is none. */
struct vdev *vdev_find(uint32_t device_id, unsigned n);
struct vdev *vdev_need(uint32_t device_id, unsigned n); /* fails the payload instead */

static inline uint32_t vr_read(const struct vdev *d, unsigned reg)
{
	return mmio_read32(d->base + reg);
}

static inline void vr_write(const struct vdev *d, unsigned reg, uint32_t value)
{
	mmio_write32(d->base + reg, value);
}

uint64_t vdev_features(const struct vdev *d);
void vdev_reset(struct vdev *d);
/* Reset up to FEATURES_OK with those of `wanted` that the device has, and VERSION_1. */
void vdev_negotiate(struct vdev *d, uint64_t wanted);
void vdev_driver_ok(struct vdev *d);
uint32_t vdev_status(const struct vdev *d);

/* Allocates rings for a queue of at most `size` entries, gives them to the device, makes it ready. */
void vq_init(struct vq *q, struct vdev *d, uint16_t index, uint16_t size);
void vq_alloc(struct vq *q, struct vdev *d, uint16_t index, uint16_t size);
void vq_program(const struct vq *q);
void vq_set_addr(const struct vdev *d, unsigned reg, uint64_t addr);
/* The words of EVENT_IDX. */
volatile uint16_t *vq_used_event(const struct vq *q);
volatile uint16_t *vq_avail_event(const struct vq *q);
void vq_set(struct vq *q, uint16_t i, const void *buf, uint32_t len, uint16_t flags, uint16_t next);
void vq_push(struct vq *q, uint16_t head);
void vq_kick(const struct vq *q);
/* Waits for the next used element, false when patience ends. */
bool vq_pop(struct vq *q, struct vq_used_elem *ret);

/* Reset, negotiate, queue 0, DRIVER_OK. */
void vdev_start(struct vdev *d, struct vq *q, uint64_t wanted, uint16_t size);

/* blk.c: one request at a time, in descriptors 0 to 2 */
uint64_t blk_capacity(const struct vdev *d);
/* The status byte; 0xff if the device wrote none. Lengths of 0 leave the data descriptor out. */
uint8_t blk_request(struct vq *q, uint32_t type, uint64_t sector, void *buf, uint32_t len);
/* The byte at `off` of the pattern image the host side makes for the first drive. */
uint8_t blk_pattern(uint64_t off);
void blk_check_pattern(struct vq *q, uint64_t sector, uint32_t sectors);
void rng_check(struct vq *q);

/*
 * evil.c: `act` does something evil on queue 0 of the first block device. Then the device must
 * show NEEDS_RESET within a second, with a configuration interrupt, the entropy device, if any,
 * must go on, and after a reset the block device must serve again.
 */
typedef void (*evil_fn)(struct vq *q, uint64_t arg);
void evil_case(const char *name, evil_fn act, uint64_t arg);
/* The same, but the device may as well refuse quietly: it only must not be harmed. */
void odd_case(const char *name, evil_fn act, uint64_t arg);
