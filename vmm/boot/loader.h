/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of this folder only: what a format loader tells about the kernel it put
 * into memory, and the writers of the two boot structures.
 */
#pragma once

#include "vmm/boot/boot.h"
#include "vmm/boot/image.h"

/* The last address that every 64-bit Linux takes an initrd from. */
#define BOOT_INITRD_ADDR_MAX 0x7fffffffull

/* The setup header begins here, in a bzImage and in the zero page. */
#define BOOT_SETUP_HEADER     0x1f1u
#define BOOT_SETUP_HEADER_MAX (0x290u - BOOT_SETUP_HEADER)

struct boot_kernel {
	enum boot_protocol protocol;
	uint64_t entry;
	uint64_t start; /* [start, end) is the kernel's, with what it unpacks itself into */
	uint64_t end;
	uint64_t initrd_addr_max;   /* the last byte of an initrd is at most here */
	uint32_t setup_header_size; /* 0: not a bzImage */
	unsigned char setup_header[BOOT_SETUP_HEADER_MAX];
};

struct boot_initrd {
	uint64_t start;
	uint64_t size; /* 0: none */
};

/* The end of the RAM that begins at 0, or 0 if there is none. */
uint64_t boot_low_ram_end(const struct gmem *m);

/* Load the file into m and fill *ret_kernel. 0 or -errno with *e. */
int elf_load(struct gmem *m, const struct boot_image *img, struct boot_kernel *ret_kernel,
	struct err *e) MUST_USE;
int bzimage_load(struct gmem *m, const struct boot_image *img, const char *cmdline,
	struct boot_kernel *ret_kernel, struct err *e) MUST_USE;

/* True if the file carries the bzImage magic numbers. */
bool bzimage_probe(const struct boot_image *img);

/* Write the boot structure, whose address is *ret_boot_info. 0 or -errno with *e. */
int pvh_write(struct gmem *m, const struct boot_config *c, const struct boot_initrd *initrd,
	uint64_t *ret_boot_info, struct err *e) MUST_USE;
int linux64_write(struct gmem *m, const struct boot_config *c, const struct boot_kernel *kernel,
	const struct boot_initrd *initrd, uint64_t *ret_boot_info, struct err *e) MUST_USE;
