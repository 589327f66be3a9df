/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a guest that was started on one CPU can go on on this one. What counts is what the guest
 * was told by CPUID: every feature in it must be one that KVM supports here. The vendor must be
 * the same, because guests choose code by it. Main thread.
 */
#pragma once

#include "snapshot/image.h"

/* Fills in what says which CPU and kernel this is: vendor, signature, brand, mark. */
void cpu_check_identify(struct snapshot_info *ret);

/*
 * 0, or -ENOTSUP with the names of bits that are missing here. Does nothing slow if the marks say
 * that this is the same CPU under the same kernel. Opens nothing: kvm_fd is /dev/kvm.
 */
int cpu_check(const struct snapshot_info *info, const struct cpuid_table *guest, int kvm_fd,
	struct err *e) MUST_USE;

/* The same of two tables, for tests. */
int cpu_check_bits(
	const struct cpuid_table *guest, const struct cpuid_table *host, struct err *e) MUST_USE;
