/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How this host's KVM runs guest code, found out by running some: a VM of a few pages that counts
 * in kernel mode, counts in user mode, and executes instructions that a 64-bit kernel cannot do
 * without but that KVM's instruction emulator has lacked. Names of modules and CPU flags can
 * mislead (a nested or page-table KVM has its own); what runs, runs.
 */
#pragma once

#include "vmm/base/err.h"

enum kvm_probe_kind {
	KVM_PROBE_HARDWARE,   /* kernel and user mode are native */
	KVM_PROBE_PAGE_TABLE, /* only user mode is: kernel mode goes through the emulator */
	KVM_PROBE_EMULATED,   /* neither is */
};

struct kvm_probe {
	enum kvm_probe_kind kind;
	uint64_t kernel_ips; /* instructions per second at CPL 0 */
	uint64_t user_ips;   /* at CPL 3 */
	const char *missing; /* first instruction that does not work at CPL 0, or NULL */
};

/*
 * Runs the probe on an open /dev/kvm; takes 10 to 100 ms. 0, or -errno and *e if no VM can be made
 * or it cannot run at all. Main thread; uses SIGALRM and ITIMER_REAL while it runs.
 */
int kvm_probe_run(int kvm_fd, struct kvm_probe *ret, struct err *e) MUST_USE;

/* Can a 64-bit Linux kernel that knows nothing of this host boot, and at a bearable speed? */
bool kvm_probe_boots_stock_kernels(const struct kvm_probe *p);
