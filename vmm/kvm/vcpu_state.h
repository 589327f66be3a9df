/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything of one vCPU that must survive a snapshot, and its way in and out of KVM. The KVM
 * structs are a fixed ABI of fixed-width integers, so they serve as state structs themselves.
 *
 * Threads: the vCPU's own thread, or the main thread while the vCPU does not run.
 */
#pragma once

#include "vmm/base/field.h"
#include "vmm/kvm/cpuid.h"

#include <linux/kvm.h>

#define VCPU_XSAVE_SIZE_MAX 12288u /* 11008 with AMX; grows by a new field id */
#define VCPU_MSRS_MAX       256u

struct vcpu_msr {
	uint32_t index;
	uint32_t reserved; /* zero */
	uint64_t value;
};

struct vcpu_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_xcrs xcrs;
	struct kvm_lapic_state lapic;
	struct kvm_mp_state mp_state;
	uint32_t tsc_khz;
	uint32_t xsave_size; /* bytes of xsave that count */
	uint32_t msr_count;
	struct vcpu_msr msrs[VCPU_MSRS_MAX];
	uint8_t xsave[VCPU_XSAVE_SIZE_MAX];
};
extern const struct field_table vcpu_state_table;

/*
 * Reads the state of a vCPU that is not running, with every exit completed. msr_indices are what
 * KVM_GET_MSR_INDEX_LIST names; those KVM does not give for this vCPU are left out. -errno: *e.
 */
int vcpu_state_save(int vcpu_fd, uint32_t xsave_size, const uint32_t *msr_indices,
	uint32_t msr_count, struct vcpu_state *ret, struct err *e) MUST_USE;

/*
 * Puts the state into a fresh vCPU whose CPUID is set. The order follows from dependencies:
 * XCRs before XSAVE, sregs (APIC base) before LAPIC, LAPIC before the TSC deadline MSR, events
 * and MP state last.
 */
int vcpu_state_load(int vcpu_fd, struct vcpu_state *s, struct err *e) MUST_USE;
