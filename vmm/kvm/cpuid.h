/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CPUID tells the guest: what KVM supports, minus what a microVM does not have (PMU, SGX,
 * turbo, WAITPKG), with topology and APIC ids of this VM instead of the host's. One package;
 * APIC id = vCPU index; with smt two threads share a core.
 */
#pragma once

#include "vmm/base/err.h"

#include <linux/kvm.h>

#define CPUID_ENTRIES_MAX 256

struct cpuid_table { /* laid out as struct kvm_cpuid2 with its entries */
	uint32_t nent;
	uint32_t padding;
	struct kvm_cpuid_entry2 entries[CPUID_ENTRIES_MAX];
};

struct cpuid_topology {
	uint32_t vcpu_count;
	bool smt;
	bool tsc_deadline; /* KVM_CAP_TSC_DEADLINE_TIMER is there */
	uint32_t tsc_khz;  /* of the vCPUs; 0: unknown */
};

/* KVM_GET_SUPPORTED_CPUID. -errno with *e. */
int cpuid_get_supported(int kvm_fd, struct cpuid_table *ret, struct err *e) MUST_USE;

/* Everything that is the same for all vCPUs. Pure: no system call but the CPUID instruction. */
void cpuid_normalise(struct cpuid_table *t, const struct cpuid_topology *topo);

/*
 * Does cpuid_normalise make this leaf itself, also where KVM has none? What a template says of it
 * is then without effect.
 */
bool cpuid_is_made(uint32_t leaf);

/* The APIC id of one vCPU, wherever CPUID shows it. Idempotent; pure. */
void cpuid_set_apic_id(struct cpuid_table *t, uint32_t apic_id);
