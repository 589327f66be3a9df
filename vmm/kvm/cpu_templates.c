/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The named templates. Four of the five make a server of any supported model look like a Haswell
 * (T2) and differ in a few registers; C3 makes an Ivy Bridge. Bits: Intel SDM vol. 2A "CPUID",
 * AMD APM vol. 3 appendix E; IA32_ARCH_CAPABILITIES: Intel's "CPUID Enumeration and Architectural
 * MSRs". docs/cpu-config.md says what each is for.
 */
#include "vmm/base/check.h"
#include "vmm/base/compiler.h"
#include "vmm/kvm/cpu_template.h"

#include <asm/kvm_para.h>
#include <cpuid.h>
#include <errno.h>
#include <string.h>

#define BIT(n)     (1u << (n))
#define BITS(m, n) ((BIT(n) - BIT(m)) | BIT(n)) /* m to n, both included */
#define INDEXED    KVM_CPUID_FLAG_SIGNIFCANT_INDEX
#define ALL        UINT32_MAX

#define MSR_IA32_ARCH_CAPABILITIES 0x10au

/* Leaf 1 eax: everything but the reserved bits. */
#define SIGNATURE_MASK       (BITS(0, 13) | BITS(16, 27))
#define SIGNATURE_IVY_BRIDGE 0x306e4u
#define SIGNATURE_HASWELL    0x306f2u

/* Leaf 1 ecx: DTES64 MONITOR DS-CPL VMX, TM2, CNXT-ID SDBG, xTPR PDCM. */
#define L1C_COMMON (BITS(2, 5) | BIT(8) | BITS(10, 11) | BITS(14, 15))
#define L1C_SMX    BIT(6)
#define L1C_EIST   BIT(7)
#define L1C_FMA    BIT(12)
#define L1C_DCA    BIT(18)
#define L1C_MOVBE  BIT(22)

/* Leaf 1 edx. MCE and MTRR are set; PSN DS ACPI SS TM PBE go. */
#define L1D_SET    (BIT(7) | BIT(12))
#define L1D_COMMON (BIT(18) | BITS(21, 22) | BIT(27) | BIT(29) | BIT(31))
#define L1D_IA64   BIT(30)

/* Leaf 7 ebx: SGX HLE RTM, RDT and MPX, RDSEED ADX, CLFLUSHOPT CLWB PT, SHA, all of AVX-512. */
#define L7B_COMMON                                                                                 \
	(BIT(2) | BIT(4) | BITS(11, 12) | BITS(14, 15) | BITS(16, 19) | BIT(21) | BITS(23, 31))
#define L7B_ERMS         BIT(9)
#define L7B_PCOMMIT      BIT(22)
#define L7B_BMI1         BIT(3)
#define L7B_AVX2         BIT(5)
#define L7B_BMI2_INVPCID (BIT(8) | BIT(10))

/* Leaf 7 ecx: AVX512_VBMI UMIP PKU OSPKE, AVX512_VNNI, AVX512_VPOPCNTDQ, LA57, RDPID, SGX_LC. */
#define L7C_COMMON (BITS(1, 4) | BIT(11) | BIT(14) | BIT(16) | BIT(22) | BIT(30))
/* AVX512_VBMI2, GFNI VAES VPCLMULQDQ, AVX512_BITALG. */
#define L7C_NEWER (BIT(6) | BITS(8, 10) | BIT(12))

/* Leaf 7 edx: AVX512_4VNNIW and _4FMAPS; FSRM, AVX512_VP2INTERSECT. */
#define L7D_COMMON BITS(2, 3)
#define L7D_NEWER  (BIT(4) | BIT(8))

/* Leaf 0xd: the states of MPX, AVX-512 and PKRU; XSAVEC, XGETBV(1) and XSAVES. */
#define LD0A_STATES (BITS(3, 7) | BIT(9))
#define LD1A_XSAVES BITS(1, 3)

/* Leaf 0x80000001. */
#define E1C_SVM       BIT(2)
#define E1C_LZCNT     BIT(5)
#define E1C_SSE4A     BITS(6, 7) /* and MisAlignSse */
#define E1C_PREFETCHW BIT(8)
#define E1C_MONITORX  BIT(29)
#define E1D_MMXEXT    BIT(22)
#define E1D_MMX_FXSR  BITS(23, 24)
#define E1D_FFXSR     BIT(25)
#define E1D_PAGE1GB   BIT(26)

/* Leaf 0x80000008 ebx. */
#define E8B_CLZERO             BIT(0)
#define E8B_RSTR_FP_ERR_PTRS   BIT(2)
#define E8B_WBNOINVD           BIT(9)
#define E8B_IBRS_WAYS          BITS(18, 19) /* preferred; protects same mode */
#define E8B_EFER_LMSLE_MISSING BIT(20)

/* IA32_ARCH_CAPABILITIES. T2S says the least that both its models can hold. */
#define AC_T2S                                                                                     \
	(BIT(2) /* RSBA */ | BIT(3) /* SKIP_L1DFL_VMENTRY */ | BIT(6) /* IF_PSCHANGE_MC_NO */ |    \
		BITS(10, 11) | BIT(17) /* FB_CLEAR */ | BIT(19) /* RRSBA */ |                      \
		BITS(26, 27) /* GDS_NO, RFDS_NO */)
/* T2CL lets through what KVM itself lets through: the mitigations up to RFDS_CLEAR. */
#define AC_T2CL_PASSED                                                                             \
	((uint64_t)(BITS(0, 8) | BITS(13, 15) | BIT(17) | BIT(19) | BIT(24) | BITS(26, 28)))

/* Whose a row is. */
enum {
	C3 = 1u << CPU_TEMPLATE_C3,
	T2 = 1u << CPU_TEMPLATE_T2,
	T2S = 1u << CPU_TEMPLATE_T2S,
	T2CL = 1u << CPU_TEMPLATE_T2CL,
	T2A = 1u << CPU_TEMPLATE_T2A,
	HASWELL = T2 | T2S | T2CL | T2A,
	EVERY = C3 | HASWELL,
};

/* Rows of one leaf stand together. */
static const struct {
	uint32_t owners;
	uint32_t leaf, subleaf, flags;
	enum cpuid_reg reg;
	uint32_t clear, set;
} cpuid_rows[] = {
	{C3, 1, 0, 0, CPUID_EAX, SIGNATURE_MASK, SIGNATURE_IVY_BRIDGE},
	{HASWELL, 1, 0, 0, CPUID_EAX, SIGNATURE_MASK, SIGNATURE_HASWELL},
	{C3, 1, 0, 0, CPUID_ECX, L1C_COMMON | L1C_FMA | L1C_MOVBE, 0},
	{HASWELL, 1, 0, 0, CPUID_ECX, L1C_COMMON | L1C_SMX | L1C_EIST | L1C_DCA, 0},
	{C3, 1, 0, 0, CPUID_EDX, L1D_COMMON, L1D_SET},
	{HASWELL, 1, 0, 0, CPUID_EDX, L1D_COMMON | L1D_IA64, L1D_SET},
	{C3, 7, 0, INDEXED, CPUID_EBX, L7B_COMMON | L7B_BMI1 | L7B_AVX2 | L7B_BMI2_INVPCID, 0},
	{HASWELL, 7, 0, INDEXED, CPUID_EBX, L7B_COMMON | L7B_PCOMMIT, L7B_ERMS},
	{C3, 7, 0, INDEXED, CPUID_ECX, L7C_COMMON, 0},
	{HASWELL, 7, 0, INDEXED, CPUID_ECX, L7C_COMMON | L7C_NEWER, 0},
	{C3, 7, 0, INDEXED, CPUID_EDX, L7D_COMMON, 0},
	{HASWELL, 7, 0, INDEXED, CPUID_EDX, L7D_COMMON | L7D_NEWER, 0},
	{EVERY, 0xd, 0, INDEXED, CPUID_EAX, LD0A_STATES, 0},
	{EVERY, 0xd, 1, INDEXED, CPUID_EAX, LD1A_XSAVES, 0},
	{C3, 0x80000001, 0, 0, CPUID_ECX, E1C_LZCNT | E1C_PREFETCHW, 0},
	{T2 | T2S, 0x80000001, 0, 0, CPUID_ECX, E1C_PREFETCHW | E1C_MONITORX, 0},
	{T2CL, 0x80000001, 0, 0, CPUID_ECX, E1C_SSE4A | E1C_PREFETCHW | E1C_MONITORX, 0},
	{T2A, 0x80000001, 0, 0, CPUID_ECX, E1C_SVM | E1C_SSE4A | E1C_PREFETCHW | E1C_MONITORX, 0},
	{C3 | T2 | T2S, 0x80000001, 0, 0, CPUID_EDX, E1D_PAGE1GB, 0},
	{T2CL, 0x80000001, 0, 0, CPUID_EDX, E1D_MMXEXT | E1D_MMX_FXSR | E1D_FFXSR | E1D_PAGE1GB, 0},
	{T2A, 0x80000001, 0, 0, CPUID_EDX, E1D_MMXEXT | E1D_FFXSR | E1D_PAGE1GB, 0},
	{T2 | T2S | T2CL, 0x80000008, 0, 0, CPUID_EBX, E8B_WBNOINVD, 0},
	{T2A, 0x80000008, 0, 0, CPUID_EBX, E8B_CLZERO | E8B_WBNOINVD,
		E8B_RSTR_FP_ERR_PTRS | E8B_IBRS_WAYS | E8B_EFER_LMSLE_MISSING},
};

static const struct {
	uint32_t owners;
	struct cpu_template_msr msr;
} msr_rows[] = {
	{T2S, {MSR_IA32_ARCH_CAPABILITIES, {UINT64_MAX, AC_T2S}}},
	{T2CL, {MSR_IA32_ARCH_CAPABILITIES, {~AC_T2CL_PASSED, 0}}},
};

#define SKYLAKE      0x50654u
#define CASCADE_LAKE 0x50657u
#define ICE_LAKE     0x606a6u
#define MILAN        0xa00f11u
#define MODELS_MAX   3

static const struct {
	const char *text;
	const char *vendor; /* as CPUID spells it */
	uint32_t signatures[MODELS_MAX];
	const char *models;
} names[CPU_TEMPLATE_NAME_COUNT] = {
	[CPU_TEMPLATE_NONE] = {"None", NULL, {0}, NULL},
	[CPU_TEMPLATE_C3] = {"C3", "GenuineIntel", {SKYLAKE, CASCADE_LAKE, ICE_LAKE},
		"Intel Skylake, Cascade Lake and Ice Lake"},
	[CPU_TEMPLATE_T2] = {"T2", "GenuineIntel", {SKYLAKE, CASCADE_LAKE, ICE_LAKE},
		"Intel Skylake, Cascade Lake and Ice Lake"},
	[CPU_TEMPLATE_T2S] = {"T2S", "GenuineIntel", {SKYLAKE, CASCADE_LAKE},
		"Intel Skylake and Cascade Lake"},
	[CPU_TEMPLATE_T2CL] = {"T2CL", "GenuineIntel", {CASCADE_LAKE, ICE_LAKE},
		"Intel Cascade Lake and Ice Lake"},
	[CPU_TEMPLATE_T2A] = {"T2A", "AuthenticAMD", {MILAN}, "AMD Milan"},
	[CPU_TEMPLATE_V1N1] = {"V1N1", NULL, {0}, "Arm Neoverse V1"},
};

const char *cpu_template_name_text(enum cpu_template_name name)
{
	CHECK(name < CPU_TEMPLATE_NAME_COUNT);
	return names[name].text;
}

static int template_refuse_name(enum cpu_template_name name, struct err *e)
{
	if (name == CPU_TEMPLATE_V1N1)
		return err_set(e, -EINVAL,
			"machine-config.cpu_template: Invalid static CPU template: V1N1: it is for "
			"%s, this host is x86-64",
			names[name].models);
	return err_set(e, -EINVAL, "machine-config.cpu_template: Invalid static CPU template: %s",
		names[name].text);
}

/* The modifier for one more register of this leaf. */
static struct cpuid_modifier *template_add_modifier(
	struct cpu_template *t, uint32_t leaf, uint32_t subleaf, uint32_t flags)
{
	struct cpu_template_leaf *l = t->leaf_count ? &t->leaves[t->leaf_count - 1] : NULL;

	if (!l || l->leaf != leaf || l->subleaf != subleaf) {
		CHECK(t->leaf_count < CPU_TEMPLATE_LEAVES_MAX);
		l = &t->leaves[t->leaf_count++];
		*l = (struct cpu_template_leaf){.leaf = leaf, .subleaf = subleaf, .flags = flags};
	}
	CHECK(l->modifier_count < CPU_TEMPLATE_MODIFIERS_MAX);
	return &l->modifiers[l->modifier_count++];
}

int cpu_template_get_named(enum cpu_template_name name, struct cpu_template *ret, struct err *e)
{
	CHECK(name < CPU_TEMPLATE_NAME_COUNT);
	if (!names[name].vendor)
		return template_refuse_name(name, e);
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < NELEM(cpuid_rows); i++) {
		if (!(cpuid_rows[i].owners & BIT(name)))
			continue;
		*template_add_modifier(ret, cpuid_rows[i].leaf, cpuid_rows[i].subleaf,
			cpuid_rows[i].flags) = (struct cpuid_modifier){
			.reg = cpuid_rows[i].reg,
			.bits = {cpuid_rows[i].clear | cpuid_rows[i].set, cpuid_rows[i].set},
		};
	}
	for (size_t i = 0; i < NELEM(msr_rows); i++)
		if (msr_rows[i].owners & BIT(name))
			ret->msrs[ret->msr_count++] = msr_rows[i].msr;
	return 0;
}

int cpu_template_check_cpu(enum cpu_template_name name, const struct kvm_cpuid_entry2 *leaf0,
	uint32_t signature, struct err *e)
{
	char vendor[13] = "";

	CHECK(name < CPU_TEMPLATE_NAME_COUNT);
	if (!names[name].vendor)
		return template_refuse_name(name, e);
	memcpy(vendor, &leaf0->ebx, 4);
	memcpy(vendor + 4, &leaf0->edx, 4);
	memcpy(vendor + 8, &leaf0->ecx, 4);
	if (strcmp(vendor, names[name].vendor) != 0)
		return err_set(e, -ENOTSUP,
			"machine-config.cpu_template: %s: CPU vendor mismatched between actual CPU "
			"and CPU template.: it is for %s, this is %s",
			names[name].text, names[name].models, vendor);
	for (size_t i = 0; i < MODELS_MAX; i++)
		if (names[name].signatures[i] == (signature & SIGNATURE_MASK))
			return 0;
	return err_set(e, -ENOTSUP,
		"machine-config.cpu_template: %s: The current CPU model is not permitted to apply "
		"the CPU template.: it is for %s, this CPU has signature 0x%x; a custom template "
		"can be used on any",
		names[name].text, names[name].models, signature);
}

int cpu_template_check_host(enum cpu_template_name name, struct err *e)
{
	struct kvm_cpuid_entry2 leaf0 = {0}, leaf1 = {0};

	(void)__get_cpuid(0, &leaf0.eax, &leaf0.ebx, &leaf0.ecx, &leaf0.edx);
	(void)__get_cpuid(1, &leaf1.eax, &leaf1.ebx, &leaf1.ecx, &leaf1.edx);
	return cpu_template_check_cpu(name, &leaf0, leaf1.eax, e);
}
