/* SPDX-License-Identifier: Apache-2.0 */
/* The body of the DSDT, behind its table header. */
#pragma once

#include "vmm/boot/aml.h"

/* Appends the devices of vmm/base/layout.h, with virtio devices 0 .. virtio_count - 1. */
void dsdt_write(struct aml *a, uint32_t virtio_count);
