/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zero page (struct boot_params) of the Linux x86 64-bit boot protocol. A bzImage brings its
 * setup header along; for an ELF kernel, which has none, the fields that Linux reads are made up.
 */
#include "vmm/boot/loader.h"

#include "vmm/base/check.h"
#include "vmm/base/layout.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <string.h>

#define LINUX64_LOADER_UNKNOWN 0xff
#define LINUX64_HEADER_MAGIC   0x53726448u /* "HdrS" */
#define LINUX64_BOOT_FLAG      0xaa55u
#define LINUX64_VERSION        0x020cu

_Static_assert(sizeof(struct boot_params) == 4096, "the zero page is one page");
_Static_assert(offsetof(struct boot_params, hdr) == BOOT_SETUP_HEADER, "setup header moved");

static void linux64_fill_e820(struct boot_params *bp, const struct gmem *m)
{
	struct boot_range ranges[BOOT_RANGES_MAX];
	uint32_t count = boot_memory_map(m, ranges);

	for (uint32_t i = 0; i < count; i++) {
		bp->e820_table[i].addr = ranges[i].start;
		bp->e820_table[i].size = ranges[i].size;
		bp->e820_table[i].type = ranges[i].type;
	}
	bp->e820_entries = (__u8)count;
}

int linux64_write(struct gmem *m, const struct boot_config *c, const struct boot_kernel *kernel,
	const struct boot_initrd *initrd, uint64_t *ret_boot_info, struct err *e)
{
	struct boot_params bp = {0};

	CHECK(kernel->setup_header_size <= BOOT_SETUP_HEADER_MAX);
	bp.hdr.boot_flag = LINUX64_BOOT_FLAG;
	bp.hdr.header = LINUX64_HEADER_MAGIC;
	bp.hdr.version = LINUX64_VERSION;
	bp.hdr.loadflags = LOADED_HIGH;
	memcpy((unsigned char *)&bp + BOOT_SETUP_HEADER, kernel->setup_header,
		kernel->setup_header_size);
	bp.hdr.type_of_loader = LINUX64_LOADER_UNKNOWN;
	bp.hdr.cmd_line_ptr = (__u32)LAYOUT_CMDLINE;
	bp.hdr.setup_data = 0;
	bp.ext_cmd_line_ptr = 0;
	/* Below the 32-bit hole, so the upper halves are 0; written all the same, as they count. */
	bp.hdr.ramdisk_image = (__u32)initrd->start;
	bp.hdr.ramdisk_size = (__u32)initrd->size;
	bp.ext_ramdisk_image = (__u32)(initrd->start >> 32);
	bp.ext_ramdisk_size = (__u32)(initrd->size >> 32);
	bp.acpi_rsdp_addr = c->rsdp.v;
	linux64_fill_e820(&bp, m);
	if (gmem_write(m, GPA(LAYOUT_ZERO_PAGE), &bp, sizeof(bp)) < 0)
		return err_set(
			e, -EFAULT, "memory: no RAM for the zero page at 0x%llx", LAYOUT_ZERO_PAGE);
	*ret_boot_info = LAYOUT_ZERO_PAGE;
	return 0;
}
