/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start_info block of the PVH boot ABI, version 1 (Xen public/arch-x86/hvm/start_info.h), with
 * its module list and memory map behind it in one page, written in one go.
 */
#include "vmm/boot/loader.h"

#include "vmm/base/layout.h"

#include <errno.h>

#define PVH_MAGIC   0x336ec578u
#define PVH_VERSION 1u

struct pvh_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_paddr;
	uint64_t cmdline_paddr;
	uint64_t rsdp_paddr;
	uint64_t memmap_paddr;
	uint32_t memmap_entries;
	uint32_t reserved;
};

struct pvh_module {
	uint64_t paddr;
	uint64_t size;
	uint64_t cmdline_paddr;
	uint64_t reserved;
};

struct pvh_memmap_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

struct pvh_block {
	struct pvh_start_info info;
	struct pvh_module module;
	struct pvh_memmap_entry memmap[BOOT_RANGES_MAX];
};

_Static_assert(sizeof(struct pvh_start_info) == 56, "start_info is 56 bytes");
_Static_assert(sizeof(struct pvh_module) == 32, "a module entry is 32 bytes");
_Static_assert(sizeof(struct pvh_memmap_entry) == 24, "a memory map entry is 24 bytes");
_Static_assert(LAYOUT_PVH_START_INFO + sizeof(struct pvh_block) <= LAYOUT_ZERO_PAGE, "too large");

int pvh_write(struct gmem *m, const struct boot_config *c, const struct boot_initrd *initrd,
	uint64_t *ret_boot_info, struct err *e)
{
	struct boot_range ranges[BOOT_RANGES_MAX];
	uint64_t base = LAYOUT_PVH_START_INFO;
	struct pvh_block b = {
		.info =
			{
				.magic = PVH_MAGIC,
				.version = PVH_VERSION,
				.cmdline_paddr = LAYOUT_CMDLINE,
				.rsdp_paddr = c->rsdp.v,
				.memmap_paddr = base + offsetof(struct pvh_block, memmap),
				.memmap_entries = boot_memory_map(m, ranges),
			},
	};

	for (uint32_t i = 0; i < b.info.memmap_entries; i++)
		b.memmap[i] = (struct pvh_memmap_entry){
			ranges[i].start, ranges[i].size, ranges[i].type, 0};
	if (initrd->size > 0) {
		b.info.nr_modules = 1;
		b.info.modlist_paddr = base + offsetof(struct pvh_block, module);
		b.module = (struct pvh_module){initrd->start, initrd->size, 0, 0};
	}
	if (gmem_write(m, GPA(base), &b, sizeof(b)) < 0)
		return err_set(e, -EFAULT, "memory: no RAM for the PVH start info at 0x%llx",
			LAYOUT_PVH_START_INFO);
	*ret_boot_info = base;
	return 0;
}
