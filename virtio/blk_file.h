/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of a block device: an open file or block device, and the engines that move
 * sectors between it and a request. Engines are a small ops struct, chosen at creation.
 */
#pragma once

#include "virtio/blk.h"

#define BLK_BOUNCE_SIZE 0x10000u

struct blk_file {
	int fd;         /* owned, -1 if none */
	uint64_t size;  /* bytes, when it was last measured */
	uint32_t align; /* what direct I/O asks of offset, length and memory; 512 without it */
	void *bounce;   /* owned, BLK_BOUNCE_SIZE bytes, page-aligned; NULL without direct I/O */
	uint8_t id[BLK_ID_SIZE]; /* device and inode numbers as text, as Firecracker makes it */
};

/*
 * Opens what c names. On success c->fd, if it was given, belongs to *f; on failure it is still
 * the caller's. Main thread.
 */
int blk_file_open(struct blk_file *f, const struct blk_config *c, struct err *e) MUST_USE;
void blk_file_close(struct blk_file *f);
/* Looks at the size again. */
int blk_file_measure(struct blk_file *f, const struct blk_config *c, struct err *e) MUST_USE;
/* Sectors that the guest sees: whole blocks, because it cannot ask direct I/O for less. */
uint64_t blk_file_sectors(const struct blk_file *f);

enum blk_op {
	BLK_OP_READ,
	BLK_OP_WRITE,
	BLK_OP_FLUSH, /* what was written is on stable storage then */
	BLK_OP_DISCARD,
	BLK_OP_ZERO,       /* reads as zeroes, and stays allocated */
	BLK_OP_ZERO_UNMAP, /* reads as zeroes */
};

/* One piece of work for an engine. It is the caller's and stays put until it is done. */
struct blk_io {
	enum blk_op op;
	const struct chain *chain; /* borrowed: READ and WRITE move its writable, readable part, */
	uint64_t off;              /* from here on */
	uint64_t at, len;          /* bytes of the file; not FLUSH */
	uint64_t done;             /* the engine's: bytes moved so far */
};

/* All of it, or -errno; then any part may have been done. Blocks the calling thread. */
int blk_file_run(struct blk_file *f, const struct blk_io *io) MUST_USE;

/* True if direct I/O takes these buffers as they are. */
bool blk_file_iov_aligned(const struct blk_file *f, const struct iovec *iov, int count);

/* The fallocate mode of DISCARD, ZERO and ZERO_UNMAP. */
int blk_file_fallocate_mode(enum blk_op op);
/* These three for blk_file_run. -EOPNOTSUPP: the host cannot discard here. */
int blk_file_clear(struct blk_file *f, const struct blk_io *io) MUST_USE;

/* start: the work goes on by itself; reap will tell. */
#define BLK_IN_FLIGHT 1

struct blk_engine;

/* All of it under the lock of the device. */
struct blk_engine_ops {
	const char *name;
	/* 0: done; -errno: failed; BLK_IN_FLIGHT. */
	int (*start)(struct blk_engine *g, struct blk_io *io);
	/* Gives the kernel what was started since the last time: once a batch. */
	void (*submit)(struct blk_engine *g);
	/* Something that the kernel is done with, and its raw result; NULL if there is nothing. */
	struct blk_io *(*reap)(struct blk_engine *g, int *ret_res);
	/* What that result means, as start says it. It may start the rest: owner thread only. */
	int (*settle)(struct blk_engine *g, struct blk_io *io, int res);
	/* Sleeps until reap has something. Only if something is in flight. */
	void (*wait)(struct blk_engine *g);
	/* The file has been replaced; nothing is in flight. */
	int (*set_file)(struct blk_engine *g, struct blk_file *f);
	void (*destroy)(struct blk_engine *g);
};

struct blk_engine {
	const struct blk_engine_ops *ops;
	struct blk_file *file; /* borrowed */
	int fd;                /* readable when reap has something; -1: never anything in flight */
};

/* Heap objects of the caller. The second fails where the host has no io_uring or forbids it. */
int blk_sync_create(struct blk_file *f, struct blk_engine **ret, struct err *e) MUST_USE;
int blk_uring_create(
	struct blk_file *f, uint32_t depth, struct blk_engine **ret, struct err *e) MUST_USE;

/* The ring itself, for tests of what it refuses. */
struct io_uring;
struct io_uring *blk_uring_ring(struct blk_engine *g);
