/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A custom CPU template as a guest sees it, on every CPU: cpu/custom.json gives the CPU another
 * signature, denies LAHF and changes one byte of the PAT MSR. What every guest gets wins over
 * it: the template also denies the hypervisor bit and the deadline timer, and switches fast string
 * moves off. The rest of both leaves stays: SSE3, long mode. LAHF, because there are KVMs that let
 * no template touch the bits of leaf 1 that matter to user mode.
 */
#include "rt/rt.h"

#define SIGNATURE_MASK   0x0fff3fff
#define SIGNATURE        0x000306f2
#define ECX_SSE3         (1u << 0)
#define ECX_TSC_DEADLINE (1u << 24)
#define ECX_HYPERVISOR   (1u << 31)
#define EXT_ECX_LAHF     (1u << 0)
#define EXT_EDX_LM       (1u << 29)
#define MSR_PAT          0x277
#define MSR_MISC_ENABLE  0x1a0

static void check_cpu(unsigned cpu)
{
	struct cpuid_regs r = cpuid(1, 0), ext = cpuid(0x80000001, 0);

	EXPECT_EQ(r.a & SIGNATURE_MASK, SIGNATURE, "signature");
	EXPECT((ext.c & EXT_ECX_LAHF) == 0, "LAHF on CPU %u", cpu);
	EXPECT((ext.d & EXT_EDX_LM) != 0, "no long mode on CPU %u", cpu);
	EXPECT((r.c & ECX_SSE3) != 0, "no SSE3 on CPU %u", cpu);
	EXPECT((r.c & ECX_TSC_DEADLINE) != 0, "no deadline timer on CPU %u", cpu);
	EXPECT((r.c & ECX_HYPERVISOR) != 0, "no hypervisor bit on CPU %u", cpu);
	EXPECT_EQ(rdmsr(MSR_PAT) >> 56, 6, "last entry of PAT");
	EXPECT_EQ(rdmsr(MSR_PAT) & 0xffffffff, 0x00070406, "first entries of PAT");
	EXPECT_EQ(rdmsr(MSR_MISC_ENABLE) & 1, 1, "fast strings");
}

int payload_main(const struct payload_boot *boot)
{
	unsigned n = smp_start_all();

	(void)boot;
	check_cpu(0);
	for (unsigned cpu = 1; cpu < n; cpu++) {
		smp_run(cpu, check_cpu);
		smp_wait(cpu);
	}
	return 0;
}
