/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel or initrd file while it is being loaded. The first page is read once and kept, since
 * every header of a sane file is in it; the rest goes from the file into guest memory without a
 * copy in between.
 */
#pragma once

#include "vmm/base/err.h"
#include "vmm/mem/gmem.h"

#define BOOT_IMAGE_HEAD_MAX 4096u

struct boot_image {
	const char *what; /* "kernel" or "initrd": begins every message */
	int fd;           /* borrowed */
	uint64_t size;
	uint32_t head_size;
	unsigned char head[BOOT_IMAGE_HEAD_MAX];
};

/* Refuses what is not a regular file, or is empty. Main thread, as all below. */
int image_open(struct boot_image *img, const char *what, int fd, struct err *e) MUST_USE;

/* Copies len bytes at off out of the file. The caller has checked off and len against size. */
int image_read(
	const struct boot_image *img, uint64_t off, void *dst, size_t len, struct err *e) MUST_USE;

/* Puts [off, off + len) of the file at guest address `at`. len > 0. */
int image_load(const struct boot_image *img, uint64_t off, struct gmem *m, gpa_t at, uint64_t len,
	struct err *e) MUST_USE;
