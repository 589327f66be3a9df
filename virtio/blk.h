/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio block (virtio 1.2 §5.2) over a raw file or block device. Requests: IN, OUT, FLUSH (when
 * the cache type is Writeback), DISCARD and WRITE_ZEROES (when writable), GET_ID. Two engines:
 * Sync does each request before it looks at the next, Async is an io_uring.
 */
#pragma once

#include "virtio/device.h"
#include "virtio/rate_limiter.h"
#include "vmm/base/latency.h"

#define BLK_SECTOR_SIZE 512u
#define BLK_ID_SIZE     20u

/* Limits told to the driver; they bound the work of one request. */
#define BLK_DISCARD_RANGES_MAX       16u
#define BLK_DISCARD_SECTORS_MAX      0x200000u /* 1 GiB: holes are cheap */
#define BLK_WRITE_ZEROES_SECTORS_MAX 0x10000u  /* 32 MiB: may have to be written */

struct blk_config {
	const char *drive_id; /* copied */
	const char *path;     /* copied; the host's file or block device */
	int fd;               /* >= 0: use this open file (taken over on success) instead of path */
	bool read_only;
	bool writeback;  /* cache_type Writeback: offer FLUSH */
	bool direct;     /* open with O_DIRECT */
	bool async;      /* io_uring; Sync with a line in the log if the host has none */
	uint16_t queues; /* 0 means 1; at most VIRTIO_QUEUES_MAX */
	const struct rate_limiter_config *limiter; /* borrowed for the call, or NULL */
	struct loop *loop; /* borrowed, outlives the device; NULL: see blk_poll */
};

/* What survives a snapshot beyond virtio_dev_state; the size must match when loaded. */
struct blk_state {
	uint64_t sector_count;
	uint8_t id[BLK_ID_SIZE];
	uint8_t reserved[4]; /* zero */
	struct rate_limiter_state limiter;
};
extern const struct field_table blk_state_table;

/* Counters with the names of Firecracker's metrics group; written under the device's lock. */
struct blk_counters {
	uint64_t activate_fails, cfg_fails, no_avail_buffer, event_fails, execute_fails;
	uint64_t invalid_reqs_count, flush_count, queue_event_count;
	uint64_t rate_limiter_event_count, update_count, update_fails;
	uint64_t read_bytes, write_bytes, read_count, write_count;
	struct latency read_agg, write_agg; /* from taking a request to answering it */
	uint64_t rate_limiter_throttled_events, io_engine_throttled_events;
	uint64_t remaining_reqs_count; /* left for the next turn when a batch was full */
};

/*
 * Opens the backing file and makes the device. The caller owns *ret and frees it by ops->destroy.
 * Main thread, at set-up.
 */
int blk_create(struct gmem *mem, const struct blk_config *c, struct virtio_dev **ret,
	struct err *e) MUST_USE;

const struct blk_counters *blk_counters_get(const struct virtio_dev *d);

/* "Sync" or "Async": what it came to. */
const char *blk_engine_name(const struct virtio_dev *d);

/*
 * Answers what the engine has finished. The event loop does it; without one, the owner of the
 * device must. Owner thread.
 */
void blk_poll(struct virtio_dev *d);

/*
 * While the VM runs, on the owner thread. Each tells the driver by a configuration interrupt if
 * the capacity has changed; a failure leaves everything as it was.
 */

/* Another backing file, opened as the first was. What is in flight is finished on the old one. */
int blk_update_path(struct virtio_dev *d, const char *path, struct err *e) MUST_USE;
/* The backing file has grown or shrunk. */
int blk_resize(struct virtio_dev *d, struct err *e) MUST_USE;
/*
 * The backing file as it is now into a new file, for its owner only, which shares the blocks (FICLONE): the
 * time does not depend on the size, but for what the host has not written to its disk yet. For a VM that is
 * paused. -EEXIST: the path is in use; -EOPNOTSUPP, -EXDEV: no reflinks there. Main thread.
 */
int blk_clone(struct virtio_dev *d, const char *path, struct err *e) MUST_USE;
void blk_update_limiter(struct virtio_dev *d, const struct rate_limiter_config *c);
