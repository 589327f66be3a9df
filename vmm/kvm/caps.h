/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What mayfly needs of KVM: one table of capabilities, required and optional, each with its
 * purpose and what to do when it is missing. The monitor checks it at start; `mayfly doctor`
 * prints it.
 */
#pragma once

#include "vmm/base/err.h"

struct cpu_template;

struct kvm_cap {
	int cap;          /* KVM_CAP_* */
	const char *name; /* "KVM_CAP_IRQFD" */
	int min;          /* smallest value of KVM_CHECK_EXTENSION that will do */
	bool required;
	const char *purpose; /* "device interrupts without an exit" */
	const char *remedy;  /* "needs Linux 4.4 or newer" */
};

extern const struct kvm_cap kvm_caps[];
extern const uint32_t kvm_caps_count;

/* Opens /dev/kvm. Its fd, or -errno with a message that says what to do about it. */
int kvm_caps_open(struct err *e);

/*
 * API version and every required capability of an open /dev/kvm, less those that the template t
 * (or NULL) does without, plus those that it demands. 0 or -ENOTSUP naming the first.
 */
int kvm_caps_check(int kvm_fd, const struct cpu_template *t, struct err *e) MUST_USE;
