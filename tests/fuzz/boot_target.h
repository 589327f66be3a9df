/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fuzz_elf and fuzz_bzimage share: loads a file, which is its own initrd as well. A refusal
 * has a code and a message; what is accepted can be entered; what is not the loader's is left alone.
 */
#pragma once

#include "vmm/base/layout.h"
#include "vmm/boot/boot.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BOOT_TARGET_RAM  (16 * MIB)
#define BOOT_TARGET_MARK 0x5a

struct boot_target {
	unsigned char *ram;
	int fd;
};

static inline void boot_target_init(struct boot_target *t)
{
	t->ram = malloc(BOOT_TARGET_RAM);
	t->fd = memfd_create("kernel", MFD_CLOEXEC);
	if (!t->ram || t->fd < 0)
		abort();
	memset(t->ram + LAYOUT_ACPI, BOOT_TARGET_MARK, LAYOUT_ACPI_SIZE);
}

static inline void boot_target_run(struct boot_target *t, const uint8_t *data, size_t size)
{
	struct boot_config c = {.cmdline = "quiet", .rsdp = GPA(LAYOUT_ACPI)};
	struct kvm_sregs sregs = {.cr0 = 0};
	struct boot_entry entry;
	struct err e = {0};
	struct kvm_regs regs;
	struct gmem m;

	if (!t->ram)
		boot_target_init(t);
	if (ftruncate(t->fd, 0) < 0 || pwrite(t->fd, data, size, 0) != (ssize_t)size)
		abort();
	c.kernel_fd = c.initrd_fd = t->fd;
	gmem_init_borrowed(&m, GPA(0), t->ram, BOOT_TARGET_RAM);
	if (boot_load(&m, &c, &entry, &e) < 0) {
		if (e.code >= 0 || !e.msg[0])
			abort();
	} else if (entry.entry < LAYOUT_HIGH_RAM || entry.entry >= BOOT_TARGET_RAM ||
		   boot_set_registers(&m, &entry, &regs, &sregs, &e) < 0) {
		abort();
	}
	if (t->ram[LAYOUT_ACPI] != BOOT_TARGET_MARK ||
		t->ram[LAYOUT_ACPI + LAYOUT_ACPI_SIZE - 1] != BOOT_TARGET_MARK)
		abort();
}
