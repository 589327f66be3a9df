/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI sleep control, sleep status and reset registers of a hardware-reduced machine
 * (ACPI 6.4 §4.8.3.7, §4.8.3.6), one port each, and the power button.
 *
 * Threads: registers on vCPU threads, no state beyond one atomic call of `end`.
 */
#pragma once

#include "vmm/base/vm_end.h"
#include "vmm/svc/bus.h"

#define POWER_PORT_COUNT 3u

/* Tells the machine that the guest ended it. Any thread; returns, and the vCPU soon stops. */
typedef void (*vm_end_fn)(void *ctx, enum vm_end end);

struct power {
	vm_end_fn end;
	void *end_ctx; /* borrowed */
};

extern const struct bus_ops power_bus_ops; /* dev is a struct power */
