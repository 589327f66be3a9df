/* SPDX-License-Identifier: Apache-2.0 */
/* Booting: the way from the configured kernel to the first instruction. */
#pragma once

#include "vmm/core/machine.h"

/*
 * Kernel, initrd, command line and ACPI tables into guest memory; CPUID, MSRs and registers into the
 * vCPUs. The devices are there, nothing runs. -errno with *e.
 */
int machine_boot(struct machine *m, struct err *e) MUST_USE;
