/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds out what a kernel file is, has it loaded, and places everything around it. See boot.h.
 *
 * Guest memory is fresh, so it reads as zero: nothing here clears memory, which would only
 * allocate pages that the guest may never use.
 */
#include "vmm/boot/boot.h"

#include "vmm/base/layout.h"
#include "vmm/boot/acpi.h"
#include "vmm/boot/loader.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

/* What people give instead of a kernel, and what to give. */
static const struct {
	uint32_t off;
	uint32_t len;
	const char *magic;
	const char *what;
	const char *advice;
} boot_strangers[] = {
	{0, 2, "\x1f\x8b", "gzip data", "decompress it first (gunzip), or give the bzImage"},
	{0, 6,
		"\xfd"
		"7zXZ\0",
		"xz data", "decompress it first (xz -d), or give the bzImage"},
	{0, 4, "\x28\xb5\x2f\xfd", "zstd data",
		"decompress it first (zstd -d), or give the bzImage"},
	{0, 3, "BZh", "bzip2 data", "decompress it first (bunzip2), or give the bzImage"},
	{0, 4, "\x02\x21\x4c\x18", "lz4 data", "decompress it first (lz4 -d), or give the bzImage"},
	{0, 4, "\x04\x22\x4d\x18", "lz4 data", "decompress it first (lz4 -d), or give the bzImage"},
	{0, 5, "\x5d\0\0\0", "lzma data", "decompress it first (xz -d), or give the bzImage"},
	{0x38, 4, "ARM\x64", "an arm64 kernel", "give a kernel built for x86-64"},
	{0x24, 4, "\x18\x28\x6f\x01", "a 32-bit ARM kernel", "give a kernel built for x86-64"},
	{0x30, 5, "RISCV", "a RISC-V kernel", "give a kernel built for x86-64"},
	{0, 4, "\x27\x05\x19\x56", "a U-Boot image", "give the vmlinux or bzImage inside it"},
	{0, 4, "QFI\xfb", "a qcow2 disk image", "give a kernel; disks are drives"},
	{0, 6, "070701", "an initramfs (cpio)", "give a kernel; this is for the initrd"},
	{0, 2, "#!", "a script", "give a kernel"},
	{0, 2, "MZ", "an EFI program", "give the vmlinux or bzImage; there is no EFI here"},
};

static int boot_refuse_stranger(const struct boot_image *img, struct err *e)
{
	uint32_t first = 0;

	for (size_t i = 0; i < NELEM(boot_strangers); i++) {
		uint32_t off = boot_strangers[i].off, len = boot_strangers[i].len;

		if (in_range(off, len, img->head_size) &&
			memcmp(img->head + off, boot_strangers[i].magic, len) == 0)
			return err_set(e, -ENOEXEC, "kernel: the file is %s; %s",
				boot_strangers[i].what, boot_strangers[i].advice);
	}
	memcpy(&first, img->head, MIN(sizeof(first), img->head_size));
	return err_set(e, -ENOEXEC,
		"kernel: the file (%llu bytes, first four 0x%08x) is neither ELF nor bzImage; give "
		"an x86-64 vmlinux or bzImage",
		(unsigned long long)img->size, first);
}

uint64_t boot_low_ram_end(const struct gmem *m)
{
	return m->region_count > 0 && m->regions[0].start.v == 0 ? m->regions[0].size : 0;
}

uint32_t boot_memory_map(const struct gmem *m, struct boot_range ret_ranges[BOOT_RANGES_MAX])
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < m->region_count; i++) {
		uint64_t start = m->regions[i].start.v, end = start + m->regions[i].size;

		if (start == 0 && end > LAYOUT_HIGH_RAM) {
			ret_ranges[count++] = (struct boot_range){0, LAYOUT_LOW_RAM_END, 1};
			ret_ranges[count++] = (struct boot_range){
				LAYOUT_LOW_RAM_END, LAYOUT_HIGH_RAM - LAYOUT_LOW_RAM_END, 2};
			start = LAYOUT_HIGH_RAM;
		}
		ret_ranges[count++] = (struct boot_range){start, end - start, 1};
	}
	return count;
}

/* As high as possible, so that it is out of the way of a kernel that unpacks or moves itself. */
static int boot_place_initrd(struct gmem *m, const struct boot_kernel *kernel, int fd,
	struct boot_initrd *ret_initrd, struct err *e)
{
	uint64_t end = MIN(boot_low_ram_end(m), kernel->initrd_addr_max + 1), start;
	struct boot_image img;
	int rc = image_open(&img, "initrd", fd, e);

	if (rc < 0)
		return rc;
	if (img.size > end)
		return err_set(e, -EFBIG,
			"initrd: 0x%llx bytes do not fit below address 0x%llx; give the guest more "
			"memory or a smaller initrd",
			(unsigned long long)img.size, (unsigned long long)end);
	start = ALIGN_DOWN(end - img.size, (uint64_t)GMEM_PAGE_SIZE);
	if (start < LAYOUT_HIGH_RAM || (start < kernel->end && kernel->start < start + img.size))
		return err_set(e, -EFBIG,
			"initrd: 0x%llx bytes below address 0x%llx overlap the kernel at 0x%llx to "
			"0x%llx; give the guest more memory",
			(unsigned long long)img.size, (unsigned long long)end,
			(unsigned long long)kernel->start, (unsigned long long)kernel->end);
	rc = image_load(&img, 0, m, GPA(start), img.size, e);
	if (rc < 0)
		return rc;
	*ret_initrd = (struct boot_initrd){start, img.size};
	return 0;
}

/*
 * Where a PC's firmware would be entered after a reset, in real mode. Linux on hardware-reduced ACPI
 * restarts by EFI or else by jumping here, and never tries the reset register itself.
 */
static int boot_write_reset_vector(struct gmem *m, struct err *e)
{
	static const unsigned char code[] = {
		0xb0, LAYOUT_ACPI_RESET_VALUE, /* mov al, value */
		0xba, LAYOUT_PORT_ACPI_RESET & 0xff, LAYOUT_PORT_ACPI_RESET >> 8, /* mov dx, port */
		0xee,                                                             /* out dx, al */
		0xf4,                                                             /* hlt */
		0xeb, 0xfd,                                                       /* jmp to hlt */
	};

	if (gmem_write(m, GPA(LAYOUT_RESET_VECTOR), code, sizeof(code)) < 0)
		return err_set(e, -EFAULT, "memory: no RAM for the reset vector at 0x%llx",
			LAYOUT_RESET_VECTOR);
	return 0;
}

static int boot_load_kernel(
	struct gmem *m, const struct boot_config *c, struct boot_kernel *ret_kernel, struct err *e)
{
	struct boot_image img;
	int rc = image_open(&img, "kernel", c->kernel_fd, e);

	if (rc < 0)
		return rc;
	if (img.head_size >= SELFMAG && memcmp(img.head, ELFMAG, SELFMAG) == 0)
		return elf_load(m, &img, ret_kernel, e);
	if (bzimage_probe(&img))
		return bzimage_load(m, &img, c->cmdline, ret_kernel, e);
	return boot_refuse_stranger(&img, e);
}

int boot_load(
	struct gmem *m, const struct boot_config *c, struct boot_entry *ret_entry, struct err *e)
{
	struct boot_initrd initrd = {0, 0};
	size_t cmdline_size = strlen(c->cmdline) + 1;
	struct boot_kernel kernel = {0};
	uint64_t boot_info = 0;
	int rc;

	if (boot_low_ram_end(m) <= LAYOUT_HIGH_RAM)
		return err_set(e, -EINVAL,
			"memory: mem_size_mib is %llu bytes; a kernel needs more than 1 MiB",
			(unsigned long long)m->size);
	if (cmdline_size > LAYOUT_CMDLINE_SIZE_MAX)
		return err_set(e, -E2BIG, "kernel command line: %zu bytes; at most %u are allowed",
			cmdline_size - 1, LAYOUT_CMDLINE_SIZE_MAX - 1);
	rc = boot_load_kernel(m, c, &kernel, e);
	if (rc == 0 && c->initrd_fd >= 0)
		rc = boot_place_initrd(m, &kernel, c->initrd_fd, &initrd, e);
	if (rc < 0)
		return rc;
	if (gmem_write(m, GPA(LAYOUT_CMDLINE), c->cmdline, cmdline_size) < 0)
		return err_set(
			e, -EFAULT, "kernel command line: no memory at 0x%llx", LAYOUT_CMDLINE);
	rc = boot_write_reset_vector(m, e);
	if (rc < 0)
		return rc;
	rc = kernel.protocol == BOOT_PROTOCOL_PVH
		     ? pvh_write(m, c, &initrd, &boot_info, e)
		     : linux64_write(m, c, &kernel, &initrd, &boot_info, e);
	if (rc < 0)
		return rc;
	*ret_entry = (struct boot_entry){kernel.protocol, kernel.entry, boot_info};
	return 0;
}
