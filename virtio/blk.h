/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio block (virtio 1.2 §5.2) over a raw file or block device. Requests: IN, OUT, FLUSH (when
 * the cache type is Writeback), GET_ID. Engines are a small ops struct (struct blk_engine_ops);
 * this release has the synchronous one.
 */
#pragma once

#include "virtio/device.h"

#define BLK_SECTOR_SIZE 512u
#define BLK_ID_SIZE     20u

struct blk_config {
	const char *drive_id; /* copied */
	const char *path;     /* copied; the host's file or block device */
	int fd;               /* >= 0: use this open file (taken over on success) instead of path */
	bool read_only;
	bool writeback; /* cache_type Writeback: offer FLUSH */
	bool direct;    /* open with O_DIRECT */
};

/* What survives a snapshot beyond virtio_dev_state; the size must match when loaded. */
struct blk_state {
	uint64_t sector_count;
	uint8_t id[BLK_ID_SIZE];
	uint8_t reserved[4]; /* zero */
};
extern const struct field_table blk_state_table;

/* Counters with the names of Firecracker's metrics group; the owner thread writes, any reads. */
struct blk_counters {
	uint64_t activate_fails, cfg_fails, no_avail_buffer, event_fails, execute_fails;
	uint64_t invalid_reqs_count, flush_count, queue_event_count;
	uint64_t read_bytes, write_bytes, read_count, write_count;
};

/* Opens the backing file and makes the device. The caller owns *ret and frees it by ops->destroy. */
int blk_create(struct gmem *mem, const struct blk_config *c, struct virtio_dev **ret,
	struct err *e) MUST_USE;

const struct blk_counters *blk_counters_get(const struct virtio_dev *d);
