/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI 6.x, hardware-reduced: RSDP, XSDT, FADT (sleep and reset registers), MADT, DSDT. The DSDT
 * describes COM1, the keyboard controller, every virtio-mmio device (LNRO0005), the power button
 * and VMGenID with their generic event device (ACPI0013), and pvpanic (QEMU0001). Addresses
 * and interrupts are those of vmm/base/layout.h.
 */
#pragma once

#include "vmm/base/err.h"
#include "vmm/mem/gmem.h"

struct acpi_config {
	uint32_t vcpu_count; /* APIC ids are apic_ids[0 .. vcpu_count) */
	const uint32_t *apic_ids;
	/* Device n is at LAYOUT_VIRTIO_MMIO + n * size and on GSI LAYOUT_GSI_VIRTIO + n. */
	uint32_t virtio_count;
};

/* Writes all tables at LAYOUT_ACPI. *ret_rsdp is the RSDP's address. Main thread, before vCPUs. */
int acpi_build(
	struct gmem *m, const struct acpi_config *c, gpa_t *ret_rsdp, struct err *e) MUST_USE;
