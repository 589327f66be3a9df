/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMClock (UAPI specification 13, "VMClock"): a page that the guest may map into its programs. It
 * offers no clock of its own here (counter_id is invalid, the status unknown); what it tells is
 * that time has been disrupted and that the VM may be running twice, by two counters that programs
 * can watch without a system call. VMGenID tells the same to the kernel.
 */
#pragma once

#include "vmm/base/field.h"
#include "vmm/mem/gmem.h"
#include "vmm/svc/irq.h"

struct vmclock_state {
	uint64_t disruption_marker;
	uint64_t vm_generation_count;
	uint32_t seq_count; /* even, except while the page is being changed */
	uint32_t reserved;  /* zero */
};
extern const struct field_table vmclock_state_table;

struct vmclock {
	struct vmclock_state st;
	struct irq_line irq; /* owned */
};

/* Writes the page at LAYOUT_VMCLOCK. 0 or -errno. Main thread, before vCPUs. */
int vmclock_init(struct vmclock *c, struct gmem *m, struct err *e) MUST_USE;
void vmclock_fini(struct vmclock *c);

/* The VM was loaded from a snapshot or cloned: both counters change, and the guest is notified. */
int vmclock_disrupt(struct vmclock *c, struct gmem *m) MUST_USE;
