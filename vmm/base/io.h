/* SPDX-License-Identifier: Apache-2.0 */
/* Whole-buffer I/O and small file helpers: EINTR and short transfers are dealt with here. */
#pragma once

#include "vmm/base/err.h"

#include <sys/types.h>

/* Reads exactly len bytes at off. 0, -EIO at end of file, or a negative errno. Any thread. */
int io_pread_full(int fd, void *buf, size_t len, uint64_t off) MUST_USE;

/* Writes exactly len bytes to fd. 0 or a negative errno. Any thread. */
int io_write_full(int fd, const void *buf, size_t len) MUST_USE;

/*
 * Reads a whole file of at most max bytes into a NUL-terminated heap buffer that the caller
 * frees; *ret_len excludes the NUL. A larger file is -EFBIG. Works on pipes and /proc files.
 */
int io_read_file(
	const char *path, size_t max, char **ret_buf, size_t *ret_len, struct err *e) MUST_USE;

/*
 * Opens, for reading, a regular file or block device. Never waits: a path of the API may have become a FIFO.
 * The descriptor, the caller's, or -errno (-EINVAL: something else) with a message that names the path.
 */
int io_open_image(const char *path, struct err *e) MUST_USE;
/* As io_read_file, of what io_open_image takes. */
int io_read_image(
	const char *path, size_t max, char **ret_buf, size_t *ret_len, struct err *e) MUST_USE;
