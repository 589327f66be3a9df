/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's CPUs as the guest sees them: which template, and setting it. */
#pragma once

#include "vmm/core/machine.h"

/*
 * Sets m->cpu_template from the configuration. -errno with *e if a named template is not for this
 * host. Comes before everything, since a template may change what is demanded of KVM.
 */
int machine_cpu_choose(struct machine *m, struct err *e) MUST_USE;

/* CPUID and MSRs of all vCPUs. */
int machine_cpu_setup(struct machine *m, struct err *e) MUST_USE;
