/* SPDX-License-Identifier: Apache-2.0 */
/* The boot CPU's registers, descriptor table and page tables at the first instruction. */
#include "tests/unit/boot_fixture.h"

static const struct boot_entry pvh = {BOOT_PROTOCOL_PVH, 0x100000, LAYOUT_PVH_START_INFO};
static const struct boot_entry linux64 = {BOOT_PROTOCOL_LINUX64, 0x100200, LAYOUT_ZERO_PAGE};

static uint64_t word(const struct fixture *f, uint64_t at)
{
	uint64_t v;

	memcpy(&v, f->ram + at, sizeof(v));
	return v;
}

static void pvh_starts_in_32_bit_mode_without_paging(void **state)
{
	(void)state;
	FIXTURE f;
	struct kvm_regs r;
	struct kvm_sregs s = {
		.cr0 = 0x60000010, .cr4 = 0x20, .efer = 0x500, .apic_base = 0xfee00900};

	fixture_init(&f);
	assert_int_equal(boot_set_registers(&f.m, &pvh, &r, &s, &f.e), 0);
	assert_int_equal(r.rip, 0x100000);
	assert_int_equal(r.rbx, LAYOUT_PVH_START_INFO);
	assert_int_equal(r.rflags, 2);
	assert_int_equal(s.cr0, 0x11);
	assert_int_equal(s.cr4 | s.efer, 0);
	assert_int_equal(s.cs.db, 1);
	assert_int_equal(s.cs.l, 0);
	assert_int_equal(s.cs.limit, 0xffffffff);
	assert_int_equal(s.tr.limit, 0x67);
	assert_int_equal(s.tr.type, 0xb);
	assert_int_equal(s.apic_base, 0xfee00900);
}

static void linux_starts_in_64_bit_mode(void **state)
{
	(void)state;
	FIXTURE f;
	struct kvm_regs r;
	struct kvm_sregs s = {.apic_base = 0xfee00900};

	fixture_init(&f);
	assert_int_equal(boot_set_registers(&f.m, &linux64, &r, &s, &f.e), 0);
	assert_int_equal(r.rip, 0x100200);
	assert_int_equal(r.rsi, LAYOUT_ZERO_PAGE);
	assert_int_equal(s.cr0 & 0x80000001, 0x80000001);
	assert_int_equal(s.cr0 & 0x60000000, 0); /* caches on */
	assert_int_equal(s.cr3, LAYOUT_PML4);
	assert_int_equal(s.cr4, 0x20);
	assert_int_equal(s.efer, 0x500);
	assert_int_equal(s.cs.selector, 0x10);
	assert_int_equal(s.cs.l, 1);
	assert_int_equal(s.cs.db, 0);
	assert_int_equal(s.ds.selector, 0x18);
	assert_int_equal(s.ss.selector, 0x18);
	assert_int_equal(s.apic_base, 0xfee00900);
}

static void the_gdt_agrees_with_the_segment_registers(void **state)
{
	(void)state;
	FIXTURE f;
	struct kvm_regs r;
	struct kvm_sregs s = {0};

	fixture_init(&f);
	assert_int_equal(boot_set_registers(&f.m, &linux64, &r, &s, &f.e), 0);
	assert_int_equal(s.gdt.base, LAYOUT_GDT);
	assert_int_equal(s.gdt.limit, 47);
	assert_int_equal(word(&f, LAYOUT_GDT), 0);
	assert_int_equal(word(&f, LAYOUT_GDT + 0x10), 0x00af9b000000ffff);
	assert_int_equal(word(&f, LAYOUT_GDT + 0x18), 0x00cf93000000ffff);
	assert_int_equal(word(&f, LAYOUT_GDT + 0x20), 0x00008b0000000067);
	assert_int_equal(boot_set_registers(&f.m, &pvh, &r, &s, &f.e), 0);
	assert_int_equal(word(&f, LAYOUT_GDT + 0x10), 0x00cf9b000000ffff);
}

/* Walks the tables as a CPU would. */
static uint64_t translate(const struct fixture *f, uint64_t cr3, uint64_t at)
{
	uint64_t pml4e = word(f, cr3 + (at >> 39 & 511) * 8), pdpte, pde;

	assert_int_equal(pml4e & 0xfff, 3);
	pdpte = word(f, (pml4e & ~0xfffull) + (at >> 30 & 511) * 8);
	assert_int_equal(pdpte & 0xfff, 3);
	pde = word(f, (pdpte & ~0xfffull) + (at >> 21 & 511) * 8);
	assert_int_equal(pde & 0x1fffff, 0x83);
	return (pde & ~0x1fffffull) + (at & 0x1fffff);
}

static void the_first_4_gib_are_mapped_one_to_one(void **state)
{
	(void)state;
	FIXTURE f;
	struct kvm_regs r;
	struct kvm_sregs s = {0};

	fixture_init(&f);
	assert_int_equal(boot_set_registers(&f.m, &linux64, &r, &s, &f.e), 0);
	for (uint64_t at = 0; at < 4 * GIB; at += 2 * MIB)
		assert_int_equal(translate(&f, s.cr3, at + 0x1234), at + 0x1234);
	assert_int_equal(word(&f, LAYOUT_PDPT + 32), 0);
	assert_int_equal(word(&f, LAYOUT_PML4 + 8), 0);
}

static void too_little_memory_is_an_error(void **state)
{
	(void)state;
	FIXTURE f;
	struct kvm_regs r;
	struct kvm_sregs s = {0};

	fixture_init(&f);
	gmem_init_borrowed(&f.m, GPA(0), f.ram, LAYOUT_PDPT);
	assert_int_equal(boot_set_registers(&f.m, &linux64, &r, &s, &f.e), -EFAULT);
	assert_non_null(strstr(f.e.msg, "page table"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pvh_starts_in_32_bit_mode_without_paging),
		cmocka_unit_test(linux_starts_in_64_bit_mode),
		cmocka_unit_test(the_gdt_agrees_with_the_segment_registers),
		cmocka_unit_test(the_first_4_gib_are_mapped_one_to_one),
		cmocka_unit_test(too_little_memory_is_an_error),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
