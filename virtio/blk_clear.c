/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discarding and zeroing parts of a backing file. Declared in blk_file.h. fallocate(2) serves
 * files and block devices alike; where a file system lacks it, a discard is refused (the driver
 * then stops sending them) and zeroes are written.
 */
#include "virtio/blk_file.h"

#include "vmm/base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int blk_file_fallocate_mode(enum blk_op op)
{
	return FALLOC_FL_KEEP_SIZE |
	       (op == BLK_OP_ZERO ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE);
}

/*
 * #syscalls:main,io fallocate:1=FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE
 * #syscalls:main,io fallocate:1=FALLOC_FL_ZERO_RANGE|FALLOC_FL_KEEP_SIZE
 */
static int blk_clear_fallocate(struct blk_file *f, enum blk_op op, uint64_t at, uint64_t len)
{
	int rc;

	do {
		rc = fallocate(f->fd, blk_file_fallocate_mode(op), (off_t)at, (off_t)len);
	} while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : 0;
}

/* #syscalls:main,io pwrite64 */
static int blk_clear_write(struct blk_file *f, uint64_t at, uint64_t len)
{
	static _Alignas(GMEM_PAGE_SIZE) unsigned char zeroes[BLK_BOUNCE_SIZE]; /* stays so */

	while (len > 0) {
		ssize_t n = pwrite(f->fd, zeroes, MIN(len, sizeof(zeroes)), (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

int blk_file_clear(struct blk_file *f, const struct blk_io *io)
{
	int rc = blk_clear_fallocate(f, io->op, io->at, io->len);

	if (rc == -EOPNOTSUPP && io->op == BLK_OP_ZERO_UNMAP)
		rc = blk_clear_fallocate(f, BLK_OP_ZERO, io->at, io->len);
	if (rc == -EOPNOTSUPP && io->op != BLK_OP_DISCARD)
		rc = blk_clear_write(f, io->at, io->len);
	return rc;
}
