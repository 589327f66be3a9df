/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvpanic: one port on which a guest kernel says that it panicked (QEMU docs/specs/pvpanic). The
 * VM is not ended by it: what the guest does next (reboot, halt, dump) stays its own choice.
 */
#pragma once

#include "vmm/svc/bus.h"

struct pvpanic {
	void (*panicked)(void *ctx); /* any vCPU thread; may be called more than once */
	void *ctx;                   /* borrowed */
};

extern const struct bus_ops pvpanic_bus_ops; /* dev is a struct pvpanic */
