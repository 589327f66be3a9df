/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The synchronous block engine: preadv and pwritev straight between file and guest memory. Direct
 * I/O wants aligned memory; a request whose buffers are not goes through the file's bounce buffer,
 * piece by piece.
 */
#include "virtio/blk_file.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

static bool blk_iov_aligned(const struct iovec *iov, int count, uint32_t align)
{
	for (int i = 0; i < count; i++)
		if (!IS_ALIGNED((uintptr_t)iov[i].iov_base, align) ||
			!IS_ALIGNED(iov[i].iov_len, align))
			return false;
	return true;
}

/*
 * One step, at most len bytes. Bytes moved or -errno; 0 is the end of a file that has shrunk.
 * #syscalls:main preadv pwritev
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

static int blk_sync_transfer(struct blk_file *f, const struct chain *c, bool write, uint64_t off,
	uint64_t len, uint64_t at)
{
	struct iovec iov[CHAIN_SEGS_MAX];

	while (len > 0) {
		int count = chain_iov(c, !write, off, len, iov, NELEM(iov));
		ssize_t n;

		if (count < 0)
			return count;
		if (f->bounce && !blk_iov_aligned(iov, count, f->align))
			n = blk_sync_bounce(f, c, write, off, len, at);
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

/* #syscalls:main fdatasync */
static int blk_sync_flush(struct blk_file *f)
{
	int rc;

	do {
		rc = fdatasync(f->fd);
	} while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : 0;
}

const struct blk_engine_ops blk_sync_ops = {
	.transfer = blk_sync_transfer,
	.flush = blk_sync_flush,
};
