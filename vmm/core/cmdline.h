/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel command line: the user's boot_args, and behind them what the machine adds, as
 * Firecracker does: pci=off, the root device, one virtio_mmio.device= per device for kernels
 * without ACPI.
 */
#pragma once

#include "vmm/core/vm_config.h"

struct cmdline {
	char text[LAYOUT_CMDLINE_SIZE_MAX];
	size_t len;
};

/* virtio_count devices at their fixed places. 0, or -E2BIG naming boot-source.boot_args. */
int cmdline_build(struct cmdline *l, const struct vm_config *c, uint32_t virtio_count,
	struct err *e) MUST_USE;
