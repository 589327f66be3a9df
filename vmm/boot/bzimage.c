/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzImage: the compressed Linux kernel that distributions ship (Linux x86 boot protocol 2.12 and
 * later). Its protected-mode part is put at pref_address and entered at its 64-bit entry, where
 * it unpacks itself in place. Another address would not save memory: the kernel moves itself up to
 * pref_address if loaded below it, so [pref_address, pref_address + init_size) must be RAM.
 */
#include "vmm/boot/loader.h"

#include "vmm/base/layout.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define BZIMAGE_SECTOR      512u
#define BZIMAGE_MAGIC       0x53726448u /* "HdrS" */
#define BZIMAGE_BOOT_FLAG   0xaa55u
#define BZIMAGE_VERSION_MIN 0x020cu
#define BZIMAGE_ENTRY64     0x200u

/* The header's own length is the operand of the short jump at its offset 0x200. */
#define BZIMAGE_JUMP_END 0x202u

struct bzimage {
	struct setup_header hdr;
	uint64_t load_off; /* of the protected-mode part in the file */
	uint64_t load_size;
};

bool bzimage_probe(const struct boot_image *img)
{
	struct setup_header hdr;

	if (!in_range(BOOT_SETUP_HEADER, sizeof(hdr), img->head_size))
		return false;
	memcpy(&hdr, img->head + BOOT_SETUP_HEADER, sizeof(hdr));
	return hdr.boot_flag == BZIMAGE_BOOT_FLAG && hdr.header == BZIMAGE_MAGIC;
}

static int bzimage_check_protocol(const struct setup_header *h, struct err *e)
{
	if (h->version < BZIMAGE_VERSION_MIN)
		return err_set(e, -ENOEXEC,
			"kernel: bzImage version is %u.%02u; the 64-bit entry needs 2.12 or later "
			"(Linux 3.8)",
			h->version >> 8, h->version & 0xff);
	if (!(h->xloadflags & XLF_KERNEL_64))
		return err_set(e, -ENOEXEC,
			"kernel: bzImage xloadflags 0x%x lacks XLF_KERNEL_64; give a 64-bit kernel",
			h->xloadflags);
	if (!(h->loadflags & LOADED_HIGH))
		return err_set(e, -ENOEXEC,
			"kernel: bzImage loadflags 0x%x lacks LOADED_HIGH; give a bzImage, not a "
			"zImage",
			h->loadflags);
	return 0;
}

static int bzimage_check_sizes(struct bzimage *b, const struct boot_image *img, struct err *e)
{
	const struct setup_header *h = &b->hdr;
	uint64_t sectors = h->setup_sects ? h->setup_sects : 4; /* 0 means 4 since ever */
	uint64_t syssize = (uint64_t)h->syssize * 16, rest;

	b->load_off = (sectors + 1) * BZIMAGE_SECTOR;
	if (b->load_off >= img->size)
		return err_set(e, -ENOEXEC,
			"kernel: bzImage setup_sects is %u: the kernel proper begins past the file "
			"(%" PRIu64 " bytes)",
			h->setup_sects, img->size);
	rest = img->size - b->load_off;
	/* syssize counts in 16 bytes, rounded up; a signature may follow what it counts. */
	if (syssize == 0 || syssize > ALIGN_UP(rest, (uint64_t)16))
		return err_set(e, -ENOEXEC,
			"kernel: bzImage syssize is 0x%x (%" PRIu64 " bytes); the file has %" PRIu64
			": it is cut short",
			h->syssize, syssize, rest);
	b->load_size = MIN(syssize, rest);
	if (b->load_size <= BZIMAGE_ENTRY64)
		return err_set(e, -ENOEXEC,
			"kernel: bzImage syssize is 0x%x: no room for the 64-bit entry at 0x200",
			h->syssize);
	if (!in_range(h->payload_offset, h->payload_length, b->load_size))
		return err_set(e, -ENOEXEC,
			"kernel: bzImage payload_offset 0x%x with payload_length 0x%x ends past "
			"the kernel (%" PRIu64 " bytes)",
			h->payload_offset, h->payload_length, b->load_size);
	if (h->init_size < b->load_size)
		return err_set(e, -ENOEXEC,
			"kernel: bzImage init_size 0x%x is less than the kernel's own %" PRIu64
			" bytes",
			h->init_size, b->load_size);
	return 0;
}

static int bzimage_check_place(const struct setup_header *h, uint64_t ram_end, struct err *e)
{
	uint64_t align = h->kernel_alignment;

	if (align == 0 || (align & (align - 1)) != 0)
		return err_set(e, -ENOEXEC,
			"kernel: bzImage kernel_alignment 0x%x is not a power of two",
			h->kernel_alignment);
	if (h->pref_address < LAYOUT_HIGH_RAM || !IS_ALIGNED(h->pref_address, align))
		return err_set(e, -ENOEXEC,
			"kernel: bzImage pref_address 0x%" PRIx64
			" is below 1 MiB or no multiple of "
			"kernel_alignment 0x%" PRIx64,
			(uint64_t)h->pref_address, align);
	if (!in_range(h->pref_address, h->init_size, ram_end))
		return err_set(e, -ENOMEM,
			"kernel: bzImage pref_address 0x%" PRIx64
			" with init_size 0x%x ends past the "
			"guest's memory below the 32-bit hole (0x%" PRIx64
			"); give the guest more memory",
			(uint64_t)h->pref_address, h->init_size, ram_end);
	return 0;
}

static int bzimage_check_cmdline(const struct setup_header *h, const char *cmdline, struct err *e)
{
	if (strlen(cmdline) > h->cmdline_size)
		return err_set(e, -E2BIG,
			"kernel command line: %zu bytes; this kernel takes %u (bzImage "
			"cmdline_size)",
			strlen(cmdline), h->cmdline_size);
	return 0;
}

int bzimage_load(struct gmem *m, const struct boot_image *img, const char *cmdline,
	struct boot_kernel *ret_kernel, struct err *e)
{
	struct boot_kernel *k = ret_kernel;
	struct bzimage b = {0};
	uint64_t header_end;
	int rc;

	/* bzimage_probe has seen that the header is within head. */
	memcpy(&b.hdr, img->head + BOOT_SETUP_HEADER, sizeof(b.hdr));
	header_end = BZIMAGE_JUMP_END + (uint64_t)(b.hdr.jump >> 8);
	header_end = MIN(header_end, BOOT_SETUP_HEADER + BOOT_SETUP_HEADER_MAX);
	header_end = MIN(header_end, img->head_size);
	rc = bzimage_check_protocol(&b.hdr, e);
	if (rc == 0)
		rc = bzimage_check_sizes(&b, img, e);
	if (rc == 0)
		rc = bzimage_check_place(&b.hdr, boot_low_ram_end(m), e);
	if (rc == 0)
		rc = bzimage_check_cmdline(&b.hdr, cmdline, e);
	if (rc == 0)
		rc = image_load(img, b.load_off, m, GPA(b.hdr.pref_address), b.load_size, e);
	if (rc < 0)
		return rc;
	k->protocol = BOOT_PROTOCOL_LINUX64;
	k->start = b.hdr.pref_address;
	k->end = b.hdr.pref_address + b.hdr.init_size;
	k->entry = b.hdr.pref_address + BZIMAGE_ENTRY64;
	k->initrd_addr_max = b.hdr.initrd_addr_max;
	k->setup_header_size = (uint32_t)(header_end - BOOT_SETUP_HEADER);
	memcpy(k->setup_header, img->head + BOOT_SETUP_HEADER, k->setup_header_size);
	return 0;
}
