/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the backing file of a block device. See blk_file.h. At set-up, and when the API gives a
 * running drive another file or asks for its size again: hence the rules, of the main thread alone.
 */
#include "virtio/blk_file.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"
#include "vmm/base/passed_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The wording is Firecracker's; clients match parts of it. */
static int blk_file_err(const struct blk_config *c, int code, struct err *e)
{
	return err_set(e, code, "Error manipulating the backing file: %s (os error %d) %s",
		strerror(-code), -code, c->path ? c->path : "(passed fd)");
}

/*
 * An fd that was passed in must allow what the configuration asks for.
 *
 * #syscalls:main fcntl:1=F_GETFL fcntl:1=F_SETFL
 */
static int blk_file_adopt_fd(const struct blk_config *c, struct err *e)
{
	int flags = fcntl(c->fd, F_GETFL);

	if (flags < 0)
		return blk_file_err(c, -errno, e);
	if ((flags & O_ACCMODE) == O_WRONLY || (!c->read_only && (flags & O_ACCMODE) != O_RDWR))
		return err_set(e, -EACCES,
			"drive %s: the passed fd is not open for %s; reopen it, or "
			"set is_read_only",
			c->drive_id, c->read_only ? "reading" : "reading and writing");
	if (c->direct && fcntl(c->fd, F_SETFL, flags | O_DIRECT) < 0)
		return blk_file_err(c, -errno, e);
	return 0;
}

/* #syscalls:main newfstatat ioctl:1=BLKGETSIZE64 */
int blk_file_measure(struct blk_file *f, const struct blk_config *c, struct err *e)
{
	char id[64];
	struct stat st;
	int n, fd = f->fd;

	if (fstat(fd, &st) < 0)
		return blk_file_err(c, -errno, e);
	if (S_ISREG(st.st_mode))
		f->size = (uint64_t)st.st_size;
	else if (!S_ISBLK(st.st_mode))
		return err_set(e, -ENOTBLK,
			"drive %s: %s is neither a regular file nor a block device", c->drive_id,
			c->path ? c->path : "the passed fd");
	else if (ioctl(fd, BLKGETSIZE64, &f->size) < 0)
		return blk_file_err(c, -errno, e);
	n = snprintf(id, sizeof(id), "%ju%ju%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_rdev,
		(uintmax_t)st.st_ino);
	memcpy(f->id, id, MIN((size_t)n, sizeof(f->id)));
	if (f->size % BLK_SECTOR_SIZE != 0)
		log_warn("drive %s: the last %llu bytes are no full sector; the guest will not see "
			 "them",
			c->drive_id, (unsigned long long)(f->size % BLK_SECTOR_SIZE));
	return 0;
}

/*
 * The smallest length that direct I/O takes on this file. Nothing but trying tells everywhere.
 *
 * #syscalls:main pread64
 */
static int blk_file_probe_align(struct blk_file *f, const struct blk_config *c, struct err *e)
{
	int rc = posix_memalign(&f->bounce, GMEM_PAGE_SIZE, BLK_BOUNCE_SIZE);

	if (rc != 0) {
		f->bounce = NULL;
		return err_set_os(e, -rc, "drive %s: no buffer for direct I/O", c->drive_id);
	}
	for (f->align = BLK_SECTOR_SIZE; f->align <= GMEM_PAGE_SIZE; f->align *= 2) {
		if (pread(f->fd, f->bounce, f->align, 0) >= 0)
			return 0;
		if (errno != EINVAL)
			return blk_file_err(c, -errno, e);
	}
	return err_set(e, -EINVAL, "drive %s: direct I/O does not work on this file; turn it off",
		c->drive_id);
}

/* #syscalls:main openat */
int blk_file_open(struct blk_file *f, const struct blk_config *c, struct err *e)
{
	int mode = (c->read_only ? O_RDONLY : O_RDWR) | (c->direct ? O_DIRECT : 0);
	struct blk_config adopted = *c;
	int rc;

	*f = (struct blk_file){.fd = c->fd, .align = BLK_SECTOR_SIZE};
	if (c->fd >= 0) {
		rc = blk_file_adopt_fd(c, e);
	} else if (passed_fd_is(c->path)) {
		f->fd = adopted.fd = rc = passed_fd_open(c->path, e);
		if (rc >= 0)
			rc = blk_file_adopt_fd(&adopted, e);
	} else {
		/* O_NONBLOCK: a fifo is refused below, not waited for. Files and disks ignore it. */
		f->fd = open(c->path, mode | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		rc = f->fd < 0 ? blk_file_err(c, -errno, e) : 0;
	}
	if (rc == 0)
		rc = blk_file_measure(f, c, e);
	if (rc == 0 && c->direct)
		rc = blk_file_probe_align(f, c, e);
	if (rc < 0) {
		if (c->fd >= 0)
			f->fd = -1; /* still the caller's */
		blk_file_close(f);
	}
	return rc;
}

uint64_t blk_file_sectors(const struct blk_file *f)
{
	return ALIGN_DOWN(f->size, (uint64_t)f->align) / BLK_SECTOR_SIZE;
}

/* #syscalls:main close */
void blk_file_close(struct blk_file *f)
{
	fd_close(&f->fd);
	free(f->bounce);
	f->bounce = NULL;
}
