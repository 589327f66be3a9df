/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's virtio devices: making them, and wiring them to KVM. */
#pragma once

#include "vmm/core/machine.h"

/* All devices of the configuration, in the order of the bus. -errno with *e. */
int machine_init_virtio(struct machine *m, struct err *e) MUST_USE;

/* The interrupt and the kicks of one device. */
int machine_wire_virtio(struct machine *m, uint32_t index, struct err *e) MUST_USE;
