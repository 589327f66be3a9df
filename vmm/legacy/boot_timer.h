/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firecracker's boot timer: a guest that has booted writes the byte 123 to one MMIO address, and
 * the monitor notes when.
 */
#pragma once

#include "vmm/svc/bus.h"

#define BOOT_TIMER_SIZE  0x1000u
#define BOOT_TIMER_MAGIC 123u

struct boot_timer {
	void (*booted)(void *ctx); /* any vCPU thread; may be called more than once */
	void *ctx;                 /* borrowed */
};

extern const struct bus_ops boot_timer_bus_ops; /* dev is a struct boot_timer */
