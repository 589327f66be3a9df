/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC, by MMIO or by MSR as the CPU is set, and the I/O APIC. */
#include "rt.h"

#define MSR_APIC_BASE    0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC       0x800
#define APIC_BASE_X2     (1u << 10)
#define APIC_BASE_ON     (1u << 11)
#define LAPIC_MMIO       0xfee00000
#define IOAPIC_MMIO      0xfec00000

extern uint32_t rt_percpu[RT_CPU_MAX][PC_SIZE / 4];

/* All CPUs use the same mode: payloads that switch do so on every CPU. */
static bool x2;

void apic_init(unsigned cpu)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	if ((base & APIC_BASE_ON) == 0)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_ON);
	if (cpu == 0)
		x2 = (base & APIC_BASE_X2) != 0;
	if (x2)
		apic_use_x2(cpu);
	apic_write(APIC_SVR, 0x100 | VEC_SPURIOUS);
}

void apic_use_x2(unsigned cpu)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2);
	rt_percpu[cpu][PC_X2APIC / 4] = 1;
	x2 = true;
}

uint32_t apic_read(uint32_t reg)
{
	if (x2)
		return (uint32_t)rdmsr(MSR_X2APIC + (reg >> 4));
	return mmio_read32(LAPIC_MMIO + reg);
}

void apic_write(uint32_t reg, uint32_t value)
{
	if (x2)
		wrmsr(MSR_X2APIC + (reg >> 4), value);
	else
		mmio_write32(LAPIC_MMIO + reg, value);
}

uint32_t apic_id(void)
{
	return x2 ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

void apic_ipi(uint32_t dest, uint32_t icr_low)
{
	if (x2) {
		wrmsr(MSR_X2APIC + (APIC_ICR >> 4), (uint64_t)dest << 32 | icr_low);
		return;
	}
	mmio_write32(LAPIC_MMIO + APIC_ICR + 0x10, dest << 24);
	mmio_write32(LAPIC_MMIO + APIC_ICR, icr_low);
}

static uint64_t k_deadline(uint64_t ticks, uint64_t b, uint64_t c, struct iret_frame *f)
{
	uint64_t at = rdtsc() + ticks;

	(void)b, (void)c, (void)f;
	__asm__ volatile(
		"wrmsr" ::"c"(MSR_TSC_DEADLINE), "a"((uint32_t)at), "d"((uint32_t)(at >> 32))
		: "memory");
	return 0;
}

void tsc_deadline_after(uint64_t ticks)
{
	(void)kcall(k_deadline, ticks, 0, 0);
}

uint32_t ioapic_read(uint32_t reg)
{
	mmio_write32(IOAPIC_MMIO, reg);
	return mmio_read32(IOAPIC_MMIO + 0x10);
}

void ioapic_write(uint32_t reg, uint32_t value)
{
	mmio_write32(IOAPIC_MMIO, reg);
	mmio_write32(IOAPIC_MMIO + 0x10, value);
}

void ioapic_route(uint32_t pin, uint32_t low, uint32_t dest)
{
	ioapic_write(0x10 + 2 * pin, low | IOAPIC_MASKED);
	ioapic_write(0x11 + 2 * pin, dest << 24);
	ioapic_write(0x10 + 2 * pin, low);
}

unsigned ioapic_pins(void)
{
	return (ioapic_read(1) >> 16 & 0xff) + 1;
}
