/* SPDX-License-Identifier: Apache-2.0 */
/* Whole-buffer I/O. See io.h. */
#include "vmm/base/io.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/passed_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* #syscalls:main pread64 */
int io_pread_full(int fd, void *buf, size_t len, uint64_t off)
{
	char *p = buf;

	while (len > 0) {
		ssize_t n = pread(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		p += n;
		len -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

/* #syscalls:* write */
int io_write_full(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int io_open(const char *path, int flags, struct err *e)
{
	int fd = passed_fd_or_file(path, O_RDONLY | O_CLOEXEC | flags, e);

	return fd < 0 && !passed_fd_is(path) ? err_set_os(e, fd, "cannot open %s", path) : fd;
}

int io_open_image(const char *path, struct err *e)
{
	CLEANUP_FD
	int fd = io_open(path, O_NONBLOCK | O_NOCTTY, e);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_set_os(e, -errno, "cannot read %s", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, -EINVAL, "%s is neither a regular file nor a block device", path);
	return fd_take(&fd);
}

static int io_read_all(
	int fd, const char *path, size_t max, char **ret_buf, size_t *ret_len, struct err *e)
{
	CLEANUP_FREE
	char *buf = NULL;
	size_t len = 0, room = 0;

	if (passed_fd_is(path))
		(void)lseek(fd, 0, SEEK_SET); /* a duplicate shares the position */
	for (;;) {
		ssize_t n;

		if (len == room) {
			char *bigger;

			if (room > max)
				return err_set(e, -EFBIG, "%s is larger than %zu bytes", path, max);
			room = room ? MIN(room * 2, max + 1) : MIN(4096, max + 1);
			bigger = realloc(buf, room + 1);
			if (!bigger)
				return err_set_os(e, -ENOMEM, "cannot read %s", path);
			buf = bigger;
		}
		n = read(fd, buf + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_os(e, -errno, "cannot read %s", path);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len > max)
		return err_set(e, -EFBIG, "%s is larger than %zu bytes", path, max);
	buf[len] = '\0';
	*ret_len = len;
	*ret_buf = buf;
	buf = NULL;
	return 0;
}

int io_read_file(const char *path, size_t max, char **ret_buf, size_t *ret_len, struct err *e)
{
	CLEANUP_FD
	int fd = io_open(path, 0, e);

	return fd < 0 ? fd : io_read_all(fd, path, max, ret_buf, ret_len, e);
}

int io_read_image(const char *path, size_t max, char **ret_buf, size_t *ret_len, struct err *e)
{
	CLEANUP_FD
	int fd = io_open_image(path, e);

	return fd < 0 ? fd : io_read_all(fd, path, max, ret_buf, ret_len, e);
}
