/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes vCPUs of a VM look as they do: CPUID and MSRs, from what KVM supports, an optional
 * template, and what every guest gets. One way for the machine and for `mayfly cpu`, so that the
 * command shows what a guest sees.
 *
 * Threads: main thread, before the vCPUs run.
 */
#pragma once

#include "vmm/kvm/cpu_template.h"

struct cpu_setup {
	const struct cpu_template *template; /* borrowed; or NULL */
	uint32_t vcpu_count;
	bool smt;
};

/*
 * Sets CPUID and MSRs of the vCPUs, whose fds are vcpu_fds[0 .. vcpu_count - 1] and whose APIC
 * ids are their indices. *table is what KVM supports (cpuid_get_supported), and what the last vCPU
 * was given afterwards. -errno with *e.
 */
int cpu_setup_apply(const struct cpu_setup *s, struct cpuid_table *table, const int *vcpu_fds,
	struct err *e) MUST_USE;
