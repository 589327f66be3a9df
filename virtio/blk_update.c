/* SPDX-License-Identifier: Apache-2.0 */
/* Changing a block device while the VM runs. Declared in blk.h. */
#include "virtio/blk_dev.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The driver is told only of what it sees: the capacity. */
static void blk_set_sectors(struct blk *b, uint64_t sectors)
{
	if (sectors == b->st.sector_count)
		return;
	b->st.sector_count = sectors;
	virtio_dev_config_changed(&b->dev);
}

/* Puts *f, path and id in the place of the old ones; *f and *path then hold those. */
static int blk_swap(struct blk *b, struct blk_file *f, char **path, struct err *e)
{
	struct blk_file old = b->file;
	char *old_path = (char *)(uintptr_t)b->config.path;
	int rc;

	if (f->align > b->file.align)
		return err_set(e, -EINVAL,
			"drive %s: direct I/O on %s needs blocks of %u bytes, the guest uses %u",
			b->config.drive_id, *path, f->align, b->file.align);
	f->align = b->file.align; /* what the guest has been told; coarser is fine */
	b->file = *f;
	rc = b->engine->ops->set_file(b->engine, &b->file);
	if (rc < 0) {
		b->file = old;
		return err_set_os(
			e, rc, "drive %s: the engine cannot change its file", b->config.drive_id);
	}
	b->config.path = *path;
	memcpy(b->st.id, b->file.id, sizeof(b->st.id));
	*f = old;
	*path = old_path;
	blk_set_sectors(b, blk_file_sectors(&b->file));
	return 0;
}

static int blk_count_update(struct blk *b, int rc)
{
	counter_add(rc < 0 ? &b->counters.update_fails : &b->counters.update_count, 1);
	return rc;
}

int blk_update_path(struct virtio_dev *d, const char *path, struct err *e)
{
	struct blk *b = blk_of(d);
	struct blk_config c = b->config;
	struct blk_file f = {.fd = -1};
	char *copy = strdup(path);
	int rc;

	c.path = path;
	rc = copy ? blk_file_open(&f, &c, e) : err_set_os(e, -ENOMEM, "drive %s", c.drive_id);
	virtio_dev_lock(d);
	if (rc == 0) {
		d->ops->drain(d);
		rc = blk_swap(b, &f, &copy, e);
		blk_file_close(&f); /* the old one, or the one that was refused */
	}
	rc = blk_count_update(b, rc);
	virtio_dev_unlock(d);
	free(copy);
	return rc;
}

int blk_resize(struct virtio_dev *d, struct err *e)
{
	struct blk *b = blk_of(d);
	int rc;

	virtio_dev_lock(d);
	rc = blk_file_measure(&b->file, &b->config, e);
	if (rc == 0)
		blk_set_sectors(b, blk_file_sectors(&b->file));
	rc = blk_count_update(b, rc);
	virtio_dev_unlock(d);
	return rc;
}

/* #syscalls:main openat ioctl:1=FICLONE unlink close */
int blk_clone(struct virtio_dev *d, const char *path, struct err *e)
{
	struct blk *b = blk_of(d);
	CLEANUP_FD
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc = 0;

	if (fd < 0)
		return err_set_os(e, -errno, "drive %s: cannot make %s", b->config.drive_id, path);
	virtio_dev_lock(d);
	if (ioctl(fd, FICLONE, b->file.fd) < 0)
		rc = -errno;
	virtio_dev_unlock(d);
	if (rc == 0)
		return 0;
	(void)unlink(path);
	return err_set_os(e, rc,
		"drive %s: %s cannot share the blocks of %s (both must be files of one file system "
		"with reflinks, such as XFS or btrfs)",
		b->config.drive_id, path, b->config.path);
}

void blk_update_limiter(struct virtio_dev *d, const struct rate_limiter_config *c)
{
	struct blk *b = blk_of(d);

	virtio_dev_lock(d);
	rate_limiter_update(&b->limiter, c, clock_mono_ns());
	rate_timer_disarm(&b->timer);
	blk_unthrottle(b);
	(void)blk_count_update(b, 0);
	virtio_dev_unlock(d);
}
