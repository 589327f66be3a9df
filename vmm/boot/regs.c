/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers at the first instruction. PVH: 32-bit protected mode without paging, ebx = start_info.
 * Linux: 64-bit mode, the first 4 GiB mapped one to one, rsi = zero page, and the selectors 0x10
 * and 0x18 in the GDT. One GDT serves both, so the code selector is always 0x10.
 */
#include "vmm/boot/boot.h"

#include "vmm/base/layout.h"

#include <errno.h>

#define REGS_CR0_PE   (1ull << 0)
#define REGS_CR0_ET   (1ull << 4) /* always 1 on any CPU of today */
#define REGS_CR0_NE   (1ull << 5)
#define REGS_CR0_PG   (1ull << 31)
#define REGS_CR4_PAE  (1ull << 5)
#define REGS_EFER_LME (1ull << 8)
#define REGS_EFER_LMA (1ull << 10)
#define REGS_RFLAGS   2u /* the bit that is always 1; interrupts off */

#define REGS_SEL_CODE 0x10
#define REGS_SEL_DATA 0x18
#define REGS_SEL_TSS  0x20

#define REGS_TYPE_CODE 0xb /* execute, read, accessed */
#define REGS_TYPE_DATA 0x3 /* read, write, accessed */
#define REGS_TYPE_TSS  0xb /* available would be 9; a loaded one is busy */

#define REGS_PTE_TABLE  0x3ull  /* present, writable */
#define REGS_PDE_2M     0x83ull /* the same, and 2 MiB large */
#define REGS_TABLE_SIZE 512u
#define REGS_PD_COUNT   4u

static const struct kvm_segment regs_code64 = {
	.limit = 0xffffffff,
	.selector = REGS_SEL_CODE,
	.type = REGS_TYPE_CODE,
	.present = 1,
	.s = 1,
	.l = 1,
	.g = 1,
};
static const struct kvm_segment regs_code32 = {
	.limit = 0xffffffff,
	.selector = REGS_SEL_CODE,
	.type = REGS_TYPE_CODE,
	.present = 1,
	.s = 1,
	.db = 1,
	.g = 1,
};
static const struct kvm_segment regs_data = {
	.limit = 0xffffffff,
	.selector = REGS_SEL_DATA,
	.type = REGS_TYPE_DATA,
	.present = 1,
	.s = 1,
	.db = 1,
	.g = 1,
};
static const struct kvm_segment regs_tss = {
	.limit = 0x67,
	.selector = REGS_SEL_TSS,
	.type = REGS_TYPE_TSS,
	.present = 1,
};

/* SDM vol. 3, 3.4.5. Bases are 0; a page-granular limit counts in 4 KiB. */
static uint64_t regs_gdt_entry(const struct kvm_segment *s)
{
	uint64_t limit = s->g ? s->limit >> 12 : s->limit;
	uint64_t access = (uint64_t)(s->type | s->s << 4 | s->dpl << 5 | s->present << 7);
	uint64_t flags = (uint64_t)(s->avl | s->l << 1 | s->db << 2 | s->g << 3);

	return (limit & 0xffff) | access << 40 | (limit >> 16 & 0xf) << 48 | flags << 52;
}

static int regs_write_gdt(
	struct gmem *m, const struct kvm_segment *code, struct kvm_sregs *sregs, struct err *e)
{
	uint64_t gdt[6] = {0}; /* a 64-bit TSS descriptor takes two */

	gdt[REGS_SEL_CODE / 8] = regs_gdt_entry(code);
	gdt[REGS_SEL_DATA / 8] = regs_gdt_entry(&regs_data);
	gdt[REGS_SEL_TSS / 8] = regs_gdt_entry(&regs_tss);
	if (gmem_write(m, GPA(LAYOUT_GDT), gdt, sizeof(gdt)) < 0)
		return err_set(e, -EFAULT, "memory: no RAM for the GDT at 0x%llx", LAYOUT_GDT);
	sregs->gdt.base = LAYOUT_GDT;
	sregs->gdt.limit = sizeof(gdt) - 1;
	sregs->idt.base = 0;
	sregs->idt.limit = 0;
	sregs->cs = *code;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = regs_data;
	sregs->tr = regs_tss;
	sregs->ldt = (struct kvm_segment){.unusable = 1, .type = 2};
	return 0;
}

static int regs_write_table(
	struct gmem *m, uint64_t at, const uint64_t table[REGS_TABLE_SIZE], struct err *e)
{
	if (gmem_write(m, GPA(at), table, REGS_TABLE_SIZE * sizeof(table[0])) < 0)
		return err_set(e, -EFAULT, "memory: no RAM for the page table at 0x%llx",
			(unsigned long long)at);
	return 0;
}

static int regs_write_page_tables(struct gmem *m, struct err *e)
{
	uint64_t pml4[REGS_TABLE_SIZE] = {LAYOUT_PDPT | REGS_PTE_TABLE};
	uint64_t pdpt[REGS_TABLE_SIZE] = {0}, pd[REGS_TABLE_SIZE];
	int rc = regs_write_table(m, LAYOUT_PML4, pml4, e);

	for (uint64_t i = 0; rc == 0 && i < REGS_PD_COUNT; i++) {
		pdpt[i] = (LAYOUT_PD + i * GMEM_PAGE_SIZE) | REGS_PTE_TABLE;
		for (uint64_t k = 0; k < REGS_TABLE_SIZE; k++)
			pd[k] = (i * GIB + k * 2 * MIB) | REGS_PDE_2M;
		rc = regs_write_table(m, LAYOUT_PD + i * GMEM_PAGE_SIZE, pd, e);
	}
	return rc < 0 ? rc : regs_write_table(m, LAYOUT_PDPT, pdpt, e);
}

static int regs_set_pvh(struct gmem *m, const struct boot_entry *entry, struct kvm_regs *regs,
	struct kvm_sregs *sregs, struct err *e)
{
	regs->rbx = entry->boot_info;
	sregs->cr0 = REGS_CR0_PE | REGS_CR0_ET;
	sregs->cr3 = 0;
	sregs->cr4 = 0;
	sregs->efer = 0;
	return regs_write_gdt(m, &regs_code32, sregs, e);
}

static int regs_set_linux64(struct gmem *m, const struct boot_entry *entry, struct kvm_regs *regs,
	struct kvm_sregs *sregs, struct err *e)
{
	int rc = regs_write_page_tables(m, e);

	if (rc < 0)
		return rc;
	regs->rsi = entry->boot_info;
	regs->rsp = regs->rbp = LAYOUT_BOOT_STACK;
	sregs->cr0 = REGS_CR0_PE | REGS_CR0_ET | REGS_CR0_NE | REGS_CR0_PG;
	sregs->cr3 = LAYOUT_PML4;
	sregs->cr4 = REGS_CR4_PAE;
	sregs->efer = REGS_EFER_LME | REGS_EFER_LMA;
	return regs_write_gdt(m, &regs_code64, sregs, e);
}

int boot_set_registers(struct gmem *m, const struct boot_entry *entry, struct kvm_regs *regs,
	struct kvm_sregs *sregs, struct err *e)
{
	*regs = (struct kvm_regs){.rip = entry->entry, .rflags = REGS_RFLAGS};
	return entry->protocol == BOOT_PROTOCOL_PVH ? regs_set_pvh(m, entry, regs, sregs, e)
						    : regs_set_linux64(m, entry, regs, sregs, e);
}
