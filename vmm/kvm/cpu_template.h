/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU templates: changes to what a guest sees of the CPU, so that hosts of different models look
 * alike. A template is plain data: capabilities of KVM to demand or not to demand, bits of CPUID
 * registers, bits of MSRs. It hides and shows; it does not protect: a guest can execute an
 * instruction that CPUID denies. The JSON form is in api/cpu_config.h.
 *
 * Order when a VM is made: template, then what every guest gets (cpuid_normalise, the MSRs of the
 * boot protocol), which therefore wins.
 *
 * Threads: main thread, before the vCPUs run.
 */
#pragma once

#include "vmm/kvm/cpuid.h"

#define CPU_TEMPLATE_CAPS_MAX      64
#define CPU_TEMPLATE_LEAVES_MAX    CPUID_ENTRIES_MAX
#define CPU_TEMPLATE_MODIFIERS_MAX 8 /* of one leaf; several of one register apply in order */
#define CPU_TEMPLATE_MSRS_MAX      256

struct cpu_template_cap {
	uint32_t cap; /* KVM_CAP_* */
	bool drop;    /* do without it; otherwise: demand it */
};

enum cpuid_reg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

/* A register becomes (old & ~filter) | value; value has no bit that filter has not. */
struct cpuid_bits {
	uint32_t filter, value;
};

struct msr_bits {
	uint64_t filter, value;
};

struct cpuid_modifier {
	enum cpuid_reg reg;
	struct cpuid_bits bits;
};

struct cpu_template_leaf {
	uint32_t leaf, subleaf;
	uint32_t flags; /* KVM_CPUID_FLAG_*: replace those of the entry */
	uint32_t modifier_count;
	struct cpuid_modifier modifiers[CPU_TEMPLATE_MODIFIERS_MAX];
};

struct cpu_template_msr {
	uint32_t addr;
	struct msr_bits bits;
};

struct cpu_template_caps {
	uint32_t count;
	struct cpu_template_cap cap[CPU_TEMPLATE_CAPS_MAX];
};

struct cpu_template {
	struct cpu_template_caps caps;
	uint32_t leaf_count, msr_count;
	struct cpu_template_leaf leaves[CPU_TEMPLATE_LEAVES_MAX];
	struct cpu_template_msr msrs[CPU_TEMPLATE_MSRS_MAX];
};

/* The named templates of cpu_templates.c; Firecracker's names. */
enum cpu_template_name {
	CPU_TEMPLATE_NONE,
	CPU_TEMPLATE_C3,
	CPU_TEMPLATE_T2,
	CPU_TEMPLATE_T2S,
	CPU_TEMPLATE_T2CL,
	CPU_TEMPLATE_T2A,
	CPU_TEMPLATE_V1N1, /* of another architecture: may be named, cannot be used */
	CPU_TEMPLATE_NAME_COUNT,
	CPU_TEMPLATE_CLEAR, /* not a template: "None" was asked for, which ends any other */
};

/* A register of a CPUID entry. */
uint32_t *cpuid_reg(struct kvm_cpuid_entry2 *c, enum cpuid_reg reg);

/* Names of the bits of a CPUID register, 32 of them, each may be NULL; NULL: none known. */
const char *const *cpu_names_of(uint32_t leaf, uint32_t subleaf, enum cpuid_reg reg);

/* One modifier: old with the bits of filter replaced by those of value. */
static inline uint32_t cpuid_bits_apply(struct cpuid_bits b, uint32_t old)
{
	return (old & ~b.filter) | b.value;
}

static inline uint64_t msr_bits_apply(struct msr_bits b, uint64_t old)
{
	return (old & ~b.filter) | b.value;
}

/*
 * The CPUID part, on a table that is not normalised yet. The vendor stays the host's. -EINVAL
 * with *e if a leaf is not there; the table is then half changed.
 */
int cpu_template_apply_cpuid(
	const struct cpu_template *t, struct cpuid_table *table, struct err *e) MUST_USE;

/* The MSR part on one vCPU whose CPUID is set: reads, changes, writes. -errno with *e. */
int cpu_template_apply_msrs(const struct cpu_template *t, int vcpu_fd, struct err *e) MUST_USE;

/* Has an open /dev/kvm what the template demands? 0, or -ENOTSUP naming the first missing. */
int cpu_template_check_caps(const struct cpu_template *t, int kvm_fd, struct err *e) MUST_USE;

/* Does the template (which may be NULL) say to do without this capability? */
bool cpu_template_drops_cap(const struct cpu_template *t, int cap);

/* "T2S"; "None" for CPU_TEMPLATE_NONE. */
const char *cpu_template_name_text(enum cpu_template_name name);

/* Fills *ret with a named template. -EINVAL with *e for None and V1N1, which have none. */
int cpu_template_get_named(
	enum cpu_template_name name, struct cpu_template *ret, struct err *e) MUST_USE;

/*
 * Is the CPU that this runs on one that the named template was made for? 0, or -ENOTSUP with *e
 * naming vendor or model.
 */
int cpu_template_check_host(enum cpu_template_name name, struct err *e) MUST_USE;

/* The same for a CPU given by its leaves 0 and 1. Pure. */
int cpu_template_check_cpu(enum cpu_template_name name, const struct kvm_cpuid_entry2 *leaf0,
	uint32_t signature, struct err *e) MUST_USE;
