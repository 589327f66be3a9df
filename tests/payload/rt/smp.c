/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts the application processors one after the other by INIT and SIPI and lets them run
 * functions at CPL 3. An idle one sleeps in HLT until smp_run() wakes it.
 */
#include "rt.h"

extern char trampoline[], trampoline_end[];
extern uint32_t ap_mailbox[6];
extern char rt_user_stacks[][PC_SIZE * 4];
extern char rt_percpu[][PC_SIZE];

#define VEC_WAKE 0xf0

static struct {
	void (*fn)(unsigned cpu);
	uint32_t apic_id, up;
} slots[RT_CPU_MAX];

static void ap_main(uint32_t cpu)
{
	apic_init(cpu);
	slots[cpu].apic_id = apic_id();
	__atomic_store_n(&slots[cpu].up, 1, __ATOMIC_RELEASE);
	for (;;) {
		void (*fn)(unsigned) = __atomic_load_n(&slots[cpu].fn, __ATOMIC_ACQUIRE);

		if (fn == NULL) {
			halt(); /* interrupts are off until then: no wake-up is lost */
			continue;
		}
		fn(cpu);
		__atomic_store_n(&slots[cpu].fn, NULL, __ATOMIC_RELEASE);
	}
}

static bool start_one(unsigned cpu, uint32_t id)
{
	struct patience p = patience_s(5);

	tss_init(cpu);
	ap_mailbox[0] = cpu;
	ap_mailbox[1] = SEL_TSS + 16 * cpu;
	ap_mailbox[2] = (uint32_t)(uint64_t)ap_main;
	ap_mailbox[3] = (uint32_t)(uint64_t)rt_user_stacks[cpu + 1];
	ap_mailbox[4] = (uint32_t)(uint64_t)rt_percpu[cpu + 1];
	mb();
	apic_ipi(id, 0x4500);               /* INIT */
	apic_ipi(id, 0x4600 | SIPI_VECTOR); /* start-up */
	while (__atomic_load_n(&slots[cpu].up, __ATOMIC_ACQUIRE) == 0)
		if (!patient(&p))
			return false;
	return true;
}

unsigned smp_start_all(void)
{
	uint32_t ids[RT_CPU_MAX];
	uint32_t self = apic_id();
	unsigned n = acpi_cpus(ids, RT_CPU_MAX);
	unsigned cpu = 1;

	if (n == 0) { /* no ACPI: the command line may say how many, ids counting from 0 */
		n = (unsigned)arg_u64("payload.cpus", 1);
		for (unsigned i = 0; i < n; i++)
			ids[i] = i;
	}
	memcpy((void *)TRAMPOLINE, trampoline, (size_t)(trampoline_end - trampoline));
	slots[0].apic_id = self;
	slots[0].up = 1;
	for (unsigned i = 0; i < n; i++) {
		if (ids[i] == self)
			continue;
		EXPECT(start_one(cpu, ids[i]), "CPU with APIC id %u does not start", ids[i]);
		cpu++;
	}
	return cpu;
}

void smp_run(unsigned cpu, void (*fn)(unsigned cpu))
{
	__atomic_store_n(&slots[cpu].fn, fn, __ATOMIC_RELEASE);
	apic_ipi(slots[cpu].apic_id, VEC_WAKE);
}

void smp_wait(unsigned cpu)
{
	struct patience p = patience_s(10);

	while (__atomic_load_n(&slots[cpu].fn, __ATOMIC_ACQUIRE) != NULL)
		EXPECT(patient(&p), "CPU %u does not finish", cpu);
}

uint32_t smp_apic_id(unsigned cpu)
{
	return slots[cpu].apic_id;
}
