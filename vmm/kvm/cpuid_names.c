/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bits of CPUID are called, as /proc/cpuinfo of Linux spells them: the registers that
 * templates are mostly about. Intel SDM vol. 2A "CPUID", AMD APM vol. 3 appendix E.
 */
#include "vmm/kvm/cpu_template.h"

static const char *const leaf1_ecx[32] = {"pni", "pclmulqdq", "dtes64", "monitor", "ds_cpl", "vmx",
	"smx", "est", "tm2", "ssse3", "cid", "sdbg", "fma", "cx16", "xtpr", "pdcm", NULL, "pcid",
	"dca", "sse4_1", "sse4_2", "x2apic", "movbe", "popcnt", "tsc_deadline_timer", "aes",
	"xsave", "osxsave", "avx", "f16c", "rdrand", "hypervisor"};

static const char *const leaf1_edx[32] = {"fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce",
	"cx8", "apic", NULL, "sep", "mtrr", "pge", "mca", "cmov", "pat", "pse36", "pn", "clflush",
	NULL, "dts", "acpi", "mmx", "fxsr", "sse", "sse2", "ss", "ht", "tm", "ia64", "pbe"};

static const char *const leaf7_ebx[32] = {"fsgsbase", "tsc_adjust", "sgx", "bmi1", "hle", "avx2",
	"fdp_excptn_only", "smep", "bmi2", "erms", "invpcid", "rtm", "cqm", "zero_fcs_fds", "mpx",
	"rdt_a", "avx512f", "avx512dq", "rdseed", "adx", "smap", "avx512ifma", "pcommit",
	"clflushopt", "clwb", "intel_pt", "avx512pf", "avx512er", "avx512cd", "sha_ni", "avx512bw",
	"avx512vl"};

static const char *const leaf7_ecx[32] = {"prefetchwt1", "avx512vbmi", "umip", "pku", "ospke",
	"waitpkg", "avx512_vbmi2", "shstk", "gfni", "vaes", "vpclmulqdq", "avx512_vnni",
	"avx512_bitalg", "tme", "avx512_vpopcntdq", NULL, "la57", NULL, NULL, NULL, NULL, NULL,
	"rdpid", NULL, "bus_lock_detect", "cldemote", NULL, "movdiri", "movdir64b", "enqcmd",
	"sgx_lc", "pks"};

static const char *const leaf7_edx[32] = {NULL, NULL, "avx512_4vnniw", "avx512_4fmaps", "fsrm",
	NULL, NULL, NULL, "avx512_vp2intersect", "srbds_ctrl", "md_clear", NULL, NULL, NULL,
	"serialize", NULL, "tsxldtrk", NULL, "pconfig", "arch_lbr", "ibt", NULL, "amx_bf16",
	"avx512_fp16", "amx_tile", "amx_int8", "spec_ctrl", "intel_stibp", "flush_l1d",
	"arch_capabilities", "core_capabilities", "ssbd"};

static const char *const ext1_ecx[32] = {"lahf_lm", "cmp_legacy", "svm", "extapic", "cr8_legacy",
	"abm", "sse4a", "misalignsse", "3dnowprefetch", "osvw", "ibs", "xop", "skinit", "wdt", NULL,
	"lwp", "fma4", "tce", NULL, "nodeid_msr", NULL, "tbm", "topoext", "perfctr_core",
	"perfctr_nb", NULL, "bpext", "ptsc", "perfctr_llc", "mwaitx", NULL, NULL};

static const char *const ext1_edx[32] = {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
	NULL, "syscall", NULL, NULL, NULL, NULL, NULL, NULL, NULL, "mp", "nx", NULL, "mmxext",
	"mmx", "fxsr", "fxsr_opt", "pdpe1gb", "rdtscp", NULL, "lm", "3dnowext", "3dnow"};

static const struct {
	uint32_t leaf, subleaf;
	enum cpuid_reg reg;
	const char *const *names;
} named_registers[] = {
	{1, 0, CPUID_ECX, leaf1_ecx},
	{1, 0, CPUID_EDX, leaf1_edx},
	{7, 0, CPUID_EBX, leaf7_ebx},
	{7, 0, CPUID_ECX, leaf7_ecx},
	{7, 0, CPUID_EDX, leaf7_edx},
	{0x80000001, 0, CPUID_ECX, ext1_ecx},
	{0x80000001, 0, CPUID_EDX, ext1_edx},
};

const char *const *cpu_names_of(uint32_t leaf, uint32_t subleaf, enum cpuid_reg reg)
{
	for (size_t i = 0; i < NELEM(named_registers); i++)
		if (named_registers[i].leaf == leaf && named_registers[i].subleaf == subleaf &&
			named_registers[i].reg == reg)
			return named_registers[i].names;
	return NULL;
}
