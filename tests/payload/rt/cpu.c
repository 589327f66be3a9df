/* SPDX-License-Identifier: Apache-2.0 */
/* What needs CPL 0, and the tables that interrupts and exceptions go through. */
#include "rt.h"

#define RFLAGS_IF          0x200
#define IDT_GATE_INTERRUPT 0x8e

struct idt_gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};

struct tss {
	uint32_t reserved0;
	uint64_t rsp0;
	uint32_t rest[22];
	uint16_t reserved1, bitmap;
} __attribute__((packed));

struct percpu {
	uint32_t x2apic, index, pad[2];
	uint32_t irq_count[256];
	uint8_t stack[PC_SIZE - 16 - 1024];
};

_Static_assert(sizeof(struct percpu) == PC_SIZE, "layout.h");
_Static_assert(offsetof(struct percpu, irq_count) == PC_IRQ_COUNT, "layout.h");
_Static_assert(sizeof(struct tss) == TSS_SIZE, "layout.h");

extern struct idt_gate rt_idt[256];
extern struct tss rt_tss[RT_CPU_MAX];
extern struct percpu rt_percpu[RT_CPU_MAX];
extern uint64_t rt_gdt[];
extern char rt_exc_stubs[], rt_irq_stubs[];

static uint64_t k_rdmsr(uint64_t msr, uint64_t b, uint64_t c, struct iret_frame *f)
{
	uint32_t lo, hi;

	(void)b, (void)c, (void)f;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"((uint32_t)msr));
	return (uint64_t)hi << 32 | lo;
}

static uint64_t k_wrmsr(uint64_t msr, uint64_t value, uint64_t c, struct iret_frame *f)
{
	(void)c, (void)f;
	__asm__ volatile(
		"wrmsr" ::"c"((uint32_t)msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		: "memory");
	return 0;
}

uint64_t rdmsr(uint32_t msr)
{
	return kcall(k_rdmsr, msr, 0, 0);
}

void wrmsr(uint32_t msr, uint64_t value)
{
	(void)kcall(k_wrmsr, msr, value, 0);
}

static uint64_t k_irq(uint64_t on, uint64_t b, uint64_t c, struct iret_frame *f)
{
	(void)b, (void)c;
	f->rflags = on != 0 ? f->rflags | RFLAGS_IF : f->rflags & ~(uint64_t)RFLAGS_IF;
	return 0;
}

void irq_on(void)
{
	(void)kcall(k_irq, 1, 0, 0);
}

void irq_off(void)
{
	(void)kcall(k_irq, 0, 0, 0);
}

static uint64_t k_halt(uint64_t a, uint64_t b, uint64_t c, struct iret_frame *f)
{
	(void)a, (void)b, (void)c, (void)f;
	__asm__ volatile("sti; hlt; cli" ::: "memory");
	return 0;
}

void halt(void)
{
	(void)kcall(k_halt, 0, 0, 0);
}

static uint64_t k_cpuid(uint64_t out, uint64_t leaf, uint64_t subleaf, struct iret_frame *f)
{
	struct cpuid_regs *r = (struct cpuid_regs *)out;

	(void)f;
	__asm__ volatile("cpuid"
			 : "=a"(r->a), "=b"(r->b), "=c"(r->c), "=d"(r->d)
			 : "a"((uint32_t)leaf), "c"((uint32_t)subleaf));
	return 0;
}

/* At CPL 3 the instruction may reach the host's processor where KVM has no hardware help. */
struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r;

	(void)kcall(k_cpuid, (uint64_t)&r, leaf, subleaf);
	return r;
}

uint32_t irq_count(unsigned cpu, uint8_t vector)
{
	return __atomic_load_n(&rt_percpu[cpu].irq_count[vector], __ATOMIC_ACQUIRE);
}

uint32_t irq_count_all(uint8_t vector)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < RT_CPU_MAX; i++)
		sum += irq_count(i, vector);
	return sum;
}

void tss_init(unsigned cpu)
{
	uint64_t base = (uint64_t)&rt_tss[cpu];
	uint64_t *desc = &rt_gdt[SEL_TSS / 8 + 2 * cpu];

	rt_percpu[cpu].index = cpu;
	rt_tss[cpu].rsp0 = (uint64_t)&rt_percpu[cpu + 1];
	rt_tss[cpu].bitmap = (uint16_t)((RT_CPU_MAX - cpu) * TSS_SIZE);
	if (cpu == 0)
		return; /* loaded before this code ran */
	desc[0] = 0x0000890000000000 | ((RT_CPU_MAX - cpu) * TSS_SIZE + TSS_BITMAP_SIZE - 1) |
		  (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
	desc[1] = base >> 32;
}

static void gate_set(unsigned vector, const char *stub)
{
	uint64_t a = (uint64_t)stub;

	rt_idt[vector] = (struct idt_gate){
		.offset_low = (uint16_t)a,
		.selector = SEL_KCODE,
		.type = IDT_GATE_INTERRUPT,
		.offset_mid = (uint16_t)(a >> 16),
		.offset_high = (uint32_t)(a >> 32),
	};
}

void idt_init(void)
{
	for (unsigned v = 0; v < 32; v++)
		gate_set(v, rt_exc_stubs + v * 16);
	for (unsigned v = 32; v < 256; v++)
		gate_set(v, rt_irq_stubs + (v - 32) * 16);
}
