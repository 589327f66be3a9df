/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a kernel file to a guest that is ready for its first instruction: finds out what the file
 * is (ELF64 with a PVH note, ELF64 by the 64-bit Linux protocol, bzImage by its 64-bit entry),
 * loads it, places initrd, command line, memory map and boot structure, and says where to enter.
 * Every file is hostile input. Guest memory must be fresh: nothing is cleared.
 */
#pragma once

#include "vmm/base/err.h"
#include "vmm/mem/gmem.h"

#include <linux/kvm.h>

enum boot_protocol { BOOT_PROTOCOL_PVH, BOOT_PROTOCOL_LINUX64 };

struct boot_config {
	int kernel_fd;       /* borrowed; any seekable regular file */
	int initrd_fd;       /* borrowed; -1: none */
	const char *cmdline; /* borrowed; < LAYOUT_CMDLINE_SIZE_MAX bytes */
	gpa_t rsdp;          /* where ACPI's root pointer was put; 0: none */
};

struct boot_entry {
	enum boot_protocol protocol;
	uint64_t entry;     /* first instruction, a guest physical address */
	uint64_t boot_info; /* PVH: start_info (ebx); Linux: zero page (rsi) */
};

/*
 * Loads everything into m, puts real-mode code that resets the machine at LAYOUT_RESET_VECTOR (see
 * README.md), and writes *ret_entry. 0 or -errno with *e, whose message names the image's field,
 * its value and the rule ("kernel: ELF program header 3: p_filesz 0x... ends past the file").
 * Guest memory is then partly written; the caller discards it. Main thread.
 */
int boot_load(struct gmem *m, const struct boot_config *c, struct boot_entry *ret_entry,
	struct err *e) MUST_USE;

/*
 * Registers of the boot CPU at that entry (PVH boot ABI; Linux x86 64-bit boot protocol).
 * *sregs is amended: the caller gets it from KVM_GET_SREGS first so that apic_base and the like
 * stay. Writes GDT and page tables into m where the protocol needs them.
 */
int boot_set_registers(struct gmem *m, const struct boot_entry *entry, struct kvm_regs *regs,
	struct kvm_sregs *sregs, struct err *e) MUST_USE;

/* The memory map that both protocols hand over. type as in e820: 1 RAM, 2 reserved. */
struct boot_range {
	uint64_t start;
	uint64_t size;
	uint32_t type;
};
#define BOOT_RANGES_MAX 8
uint32_t boot_memory_map(const struct gmem *m, struct boot_range ret_ranges[BOOT_RANGES_MAX]);
