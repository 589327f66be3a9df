/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HLT ends by the local APIC timer (one-shot), by the TSC deadline if the CPU has it, and by an
 * IPI: from the CPU to itself, and from another CPU if there is one.
 */
#include "rt/rt.h"

#define VEC_TIMER      0x41
#define VEC_DEADLINE   0x42
#define VEC_IPI        0x43
#define TIMER_MASKED   (1u << 16)
#define TIMER_DEADLINE (2u << 17)
#define DIVIDE_BY_1    0xb

static uint32_t sleeping, woken;

static void sleeper(unsigned cpu)
{
	uint32_t before = irq_count(cpu, VEC_IPI);

	__atomic_store_n(&sleeping, 1, __ATOMIC_RELEASE);
	while (irq_count(cpu, VEC_IPI) == before)
		halt();
	__atomic_store_n(&woken, 1, __ATOMIC_RELEASE);
}

static void wake_by_other(void)
{
	struct patience p = patience_s(10);

	smp_run(1, sleeper);
	while (__atomic_load_n(&sleeping, __ATOMIC_ACQUIRE) == 0)
		EXPECT(patient(&p), "the other CPU does not reach its HLT");
	apic_ipi(smp_apic_id(1), VEC_IPI);
	while (__atomic_load_n(&woken, __ATOMIC_ACQUIRE) == 0)
		EXPECT(patient(&p), "an IPI does not wake the other CPU");
	smp_wait(1);
}

int payload_main(const struct payload_boot *boot)
{
	(void)boot;
	apic_write(APIC_TIMER_DCR, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, VEC_TIMER);
	apic_write(APIC_TIMER_ICR, 10000000);
	halt();
	EXPECT_EQ(irq_count(0, VEC_TIMER), 1, "timer interrupts after HLT");

	if ((cpuid(1, 0).c & 1u << 24) != 0) {
		apic_write(APIC_LVT_TIMER, VEC_DEADLINE | TIMER_DEADLINE);
		mb();
		tsc_deadline_after(10000000);
		halt();
		EXPECT_EQ(irq_count(0, VEC_DEADLINE), 1, "deadline interrupts after HLT");
	} else {
		print("no TSC deadline\n");
	}
	apic_write(APIC_LVT_TIMER, TIMER_MASKED);

	apic_ipi(apic_id(), VEC_IPI);
	halt();
	EXPECT_EQ(irq_count(0, VEC_IPI), 1, "own IPIs after HLT");
	if (smp_start_all() > 1)
		wake_by_other();
	return 0;
}
