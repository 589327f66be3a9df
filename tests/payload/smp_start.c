/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All CPUs of the machine start by INIT and SIPI, each has an APIC id of its own, they are as many
 * as the MADT says (and as payload.cpus says, if given), and they run at the same time.
 */
#include "rt/rt.h"

static uint32_t arrived;

/* Returns only when every CPU is here, so a monitor that runs one after the other hangs. */
static void meet(unsigned cpu)
{
	(void)cpu;
	__atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) != 0)
		cpu_relax();
}

int payload_main(const struct payload_boot *boot)
{
	struct patience p;
	uint32_t ids[RT_CPU_MAX];
	unsigned in_madt = acpi_cpus(ids, RT_CPU_MAX);
	unsigned n;

	(void)boot;
	if (arg_is("payload.x2apic", "1"))
		apic_use_x2(0);
	n = smp_start_all();
	print("%u CPUs, %u in the MADT\n", n, in_madt);
	EXPECT_EQ(n, arg_u64("payload.cpus", n), "number of CPUs");
	if (in_madt != 0)
		EXPECT_EQ(n, in_madt, "number of CPUs against MADT");
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < i; j++)
			EXPECT(smp_apic_id(i) != smp_apic_id(j), "CPUs %u and %u have id %u", i, j,
				smp_apic_id(i));
	for (unsigned i = 1; i < n; i++)
		smp_run(i, meet);
	p = patience_s(10);
	while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) != n - 1)
		EXPECT(patient(&p), "only %u of %u CPUs run together", arrived + 1, n);
	__atomic_store_n(&arrived, 0, __ATOMIC_RELEASE);
	for (unsigned i = 1; i < n; i++)
		smp_wait(i);
	return 0;
}
