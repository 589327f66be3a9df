/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_GET_SUPPORTED_CPUID on a thread of its own, beside the rest of the set-up. The call executes
 * CPUID some eighty times; on a host that is itself a VM each of them traps, and the call alone is then
 * a third of a start.
 *
 * Threads: all functions are the main thread's. The thread is joined before any filter goes on.
 */
#pragma once

#include "vmm/kvm/cpuid.h"

#include <pthread.h>

struct cpuid_fetch {
	int kvm_fd; /* borrowed until the join */
	pthread_t thread;
	bool started;
	int rc;                   /* of the thread; valid after the join */
	struct cpuid_table table; /* likewise */
};

/* *f stays in place until the join. Cannot fail: without a thread the join makes the call. */
void cpuid_fetch_start(struct cpuid_fetch *f, int kvm_fd);

/* f->table is there after it. -errno with *e. */
int cpuid_fetch_join(struct cpuid_fetch *f, struct err *e) MUST_USE;

/* For failures between the two. Accepts a zeroed *f. */
void cpuid_fetch_fini(struct cpuid_fetch *f);
