/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID as each CPU sees it: APIC ids 0 to n - 1, the same in leaf 1, in leaf 0xb and in the local
 * APIC; leaf 0xb counts all CPUs; leaf 4 does not share the first cache wider than the machine;
 * the hypervisor bit and KVM's signature are there.
 */
#include "rt/rt.h"

static uint32_t n;

static void check_cpu(unsigned cpu)
{
	uint32_t id = smp_apic_id(cpu);
	struct cpuid_regs r = cpuid(1, 0);

	EXPECT(r.b >> 24 == id, "leaf 1 of CPU %u says APIC id %u, not %u", cpu, r.b >> 24, id);
	EXPECT((r.c & 1u << 31) != 0, "no hypervisor bit");
	EXPECT(id < n, "APIC id %u among %u CPUs", id, n);
	if (n > 1)
		EXPECT((r.b >> 16 & 0xff) >= n, "leaf 1 counts %u CPUs of %u", r.b >> 16 & 0xff, n);
	if (cpuid(0, 0).a < 0xb)
		return;
	for (uint32_t level = 0, last_shift = 0; level < 8; level++) {
		r = cpuid(0xb, level);
		EXPECT_EQ(r.d, id, "x2APIC id of leaf 0xb");
		if ((r.c >> 8 & 0xff) == 0) {
			EXPECT(level != 0, "leaf 0xb has no levels");
			EXPECT((n - 1) >> last_shift == 0, "leaf 0xb: %u bits for %u CPUs",
				last_shift, n);
			return;
		}
		EXPECT((r.a & 0x1f) >= last_shift, "leaf 0xb: shifts do not grow");
		EXPECT(level != 1 || (r.b & 0xffff) == n, "leaf 0xb: %u CPUs of %u", r.b & 0xffff,
			n);
		last_shift = r.a & 0x1f;
	}
	fail("leaf 0xb does not end");
}

static void check_caches(void)
{
	struct cpuid_regs r = cpuid(4, 0);

	if (cpuid(0, 0).a < 4 || (r.a & 0x1f) == 0)
		return; /* AMD has these in leaf 0x8000001d */
	EXPECT((r.a >> 26) + 1 >= 1 && (r.a >> 26) < 64, "cores in leaf 4");
	EXPECT((r.a >> 14 & 0xfff) < 2, "the first cache is shared by %u CPUs",
		(r.a >> 14 & 0xfff) + 1);
}

int payload_main(const struct payload_boot *boot)
{
	struct cpuid_regs r = cpuid(0x40000000, 0);

	(void)boot;
	EXPECT(r.b == 0x4b4d564b && r.c == 0x564b4d56 && r.d == 0x4d, "no KVM signature");
	n = smp_start_all();
	check_cpu(0);
	check_caches();
	for (unsigned cpu = 1; cpu < n; cpu++) {
		smp_run(cpu, check_cpu);
		smp_wait(cpu);
	}
	return 0;
}
