/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of a block device: an open file or block device, and the engine that moves
 * sectors between it and a request. Engines are a small ops struct, chosen at creation.
 */
#pragma once

#include "virtio/blk.h"

#define BLK_BOUNCE_SIZE 0x10000u

struct blk_file {
	int fd;         /* owned, -1 if none */
	uint64_t size;  /* bytes, when it was opened */
	uint32_t align; /* what direct I/O asks of offset, length and memory; 512 without it */
	void *bounce;   /* owned, BLK_BOUNCE_SIZE bytes, page-aligned; NULL without direct I/O */
	uint8_t id[BLK_ID_SIZE]; /* device and inode numbers as text, as Firecracker makes it */
};

/*
 * Opens what c names. On success c->fd, if it was given, belongs to *f; on failure it is still
 * the caller's. Main thread, at set-up.
 */
int blk_file_open(struct blk_file *f, const struct blk_config *c, struct err *e) MUST_USE;
void blk_file_close(struct blk_file *f);

struct blk_engine_ops {
	/*
	 * Moves len bytes between offset at of the file and offset off of the request's readable
	 * (write) or writable part. All of them, or -errno; then any part may have been moved.
	 */
	int (*transfer)(struct blk_file *f, const struct chain *c, bool write, uint64_t off,
		uint64_t len, uint64_t at);
	/* What was written is on stable storage when this returns 0. */
	int (*flush)(struct blk_file *f);
};

/* Blocks the calling thread until the host is done. */
extern const struct blk_engine_ops blk_sync_ops;
