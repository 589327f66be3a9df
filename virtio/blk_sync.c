/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The synchronous block engine: preadv and pwritev straight between file and guest memory. Direct
 * I/O wants aligned memory; a request whose buffers are not goes through the file's bounce buffer,
 * piece by piece.
 */
#include "virtio/blk_file.h"

#include "vmm/base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

bool blk_file_iov_aligned(const struct blk_file *f, const struct iovec *iov, int count)
{
	for (int i = 0; i < count; i++)
		if (!IS_ALIGNED((uintptr_t)iov[i].iov_base, f->align) ||
			!IS_ALIGNED(iov[i].iov_len, f->align))
			return false;
	return true;
}

/*
 * One step, at most len bytes. Bytes moved or -errno; 0 is the end of a file that has shrunk.
 * #syscalls:main,io preadv pwritev
 */
static ssize_t blk_sync_step(
	struct blk_file *f, const struct iovec *iov, int count, bool write, uint64_t at)
{
	ssize_t n;

	do {
		n = write ? pwritev(f->fd, iov, count, (off_t)at)
			  : preadv(f->fd, iov, count, (off_t)at);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* As blk_sync_step, by way of the bounce buffer. */
static ssize_t blk_sync_bounce(struct blk_file *f, const struct chain *c, bool write, uint64_t off,
	uint64_t len, uint64_t at)
{
	uint32_t piece = (uint32_t)MIN(len, BLK_BOUNCE_SIZE);
	struct iovec iov = {.iov_base = f->bounce, .iov_len = piece};
	ssize_t n;
	int rc;

	if (write) {
		rc = chain_read(c, off, f->bounce, piece);
		return rc < 0 ? rc : blk_sync_step(f, &iov, 1, true, at);
	}
	n = blk_sync_step(f, &iov, 1, false, at);
	if (n <= 0)
		return n;
	rc = chain_write(c, off, f->bounce, (uint32_t)n);
	return rc < 0 ? rc : n;
}

static int blk_sync_transfer(struct blk_file *f, const struct blk_io *io)
{
	bool write = io->op == BLK_OP_WRITE;
	uint64_t off = io->off, at = io->at, len = io->len;
	struct iovec iov[CHAIN_SEGS_MAX];

	while (len > 0) {
		int count = chain_iov(io->chain, !write, off, len, iov, NELEM(iov));
		ssize_t n;

		if (count < 0)
			return count;
		if (f->bounce && !blk_file_iov_aligned(f, iov, count))
			n = blk_sync_bounce(f, io->chain, write, off, len, at);
		else
			n = blk_sync_step(f, iov, count, write, at);
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		off += (uint64_t)n;
		at += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* #syscalls:main,io fdatasync */
static int blk_sync_flush(struct blk_file *f)
{
	int rc;

	do {
		rc = fdatasync(f->fd);
	} while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : 0;
}

int blk_file_run(struct blk_file *f, const struct blk_io *io)
{
	switch (io->op) {
	case BLK_OP_READ:
	case BLK_OP_WRITE:
		return blk_sync_transfer(f, io);
	case BLK_OP_FLUSH:
		return blk_sync_flush(f);
	case BLK_OP_DISCARD:
	case BLK_OP_ZERO:
	case BLK_OP_ZERO_UNMAP:
		return blk_file_clear(f, io);
	}
	CHECK(false);
	return -EINVAL;
}

static int blk_sync_start(struct blk_engine *g, struct blk_io *io)
{
	return blk_file_run(g->file, io);
}

static void blk_sync_submit(struct blk_engine *g)
{
	(void)g;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the engines' common signature */
static struct blk_io *blk_sync_reap(struct blk_engine *g, int *ret_res)
{
	(void)g;
	(void)ret_res;
	return NULL;
}

static int blk_sync_settle(struct blk_engine *g, struct blk_io *io, int res)
{
	(void)g;
	(void)io;
	return res;
}

/* Nothing is ever in flight. */
static void blk_sync_wait(struct blk_engine *g)
{
	(void)g;
	CHECK(false);
}

static int blk_sync_set_file(struct blk_engine *g, struct blk_file *f)
{
	g->file = f;
	return 0;
}

static void blk_sync_destroy(struct blk_engine *g)
{
	free(g);
}

static const struct blk_engine_ops blk_sync_ops = {
	.name = "Sync",
	.start = blk_sync_start,
	.submit = blk_sync_submit,
	.reap = blk_sync_reap,
	.settle = blk_sync_settle,
	.wait = blk_sync_wait,
	.set_file = blk_sync_set_file,
	.destroy = blk_sync_destroy,
};

int blk_sync_create(struct blk_file *f, struct blk_engine **ret, struct err *e)
{
	struct blk_engine *g = calloc(1, sizeof(*g));

	if (!g)
		return err_set_os(e, -ENOMEM, "block engine");
	*g = (struct blk_engine){.ops = &blk_sync_ops, .file = f, .fd = -1};
	*ret = g;
	return 0;
}
