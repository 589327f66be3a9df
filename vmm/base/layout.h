/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's address map: guest physical addresses, I/O ports and global system interrupts.
 * One place, because boot loaders, ACPI tables, devices and tests must agree. Documented for
 * users in docs/machine.md; the MMIO device window equals Firecracker's.
 */
#pragma once

#define LAYOUT_VCPUS_MAX 32u

/* Low memory, written by the boot loaders before the first instruction. */
#define LAYOUT_GDT              0x500ull
#define LAYOUT_PVH_START_INFO   0x6000ull
#define LAYOUT_ZERO_PAGE        0x7000ull
#define LAYOUT_BOOT_STACK       0x8ff0ull
#define LAYOUT_PML4             0x9000ull
#define LAYOUT_PDPT             0xa000ull
#define LAYOUT_PD               0xb000ull /* four pages: the first 4 GiB by 2 MiB pages */
#define LAYOUT_CMDLINE          0x20000ull
#define LAYOUT_CMDLINE_SIZE_MAX 2048u /* with its NUL */
#define LAYOUT_LOW_RAM_END      0x9fc00ull
#define LAYOUT_ACPI             0xe0000ull /* RSDP first, the other tables behind it */
#define LAYOUT_ACPI_SIZE        0x1e000ull
#define LAYOUT_VMCLOCK          0xfe000ull /* a page of its own: guests map it into programs */
#define LAYOUT_VMCLOCK_SIZE     0x1000ull
#define LAYOUT_VMGENID          0xff000ull /* 16 bytes, inside the reserved range */
#define LAYOUT_RESET_VECTOR     0xffff0ull /* real-mode code that resets the machine */
#define LAYOUT_HIGH_RAM         0x100000ull

/* The 32-bit hole. */
#define LAYOUT_BOOT_TIMER       0xc0000000ull /* one byte, 123 = booted */
#define LAYOUT_VIRTIO_MMIO      0xc0001000ull /* device n at + n * LAYOUT_VIRTIO_MMIO_SIZE */
#define LAYOUT_VIRTIO_MMIO_SIZE 0x1000ull
#define LAYOUT_IOAPIC           0xfec00000ull
#define LAYOUT_LAPIC            0xfee00000ull
#define LAYOUT_TSS              0xfffbd000ull /* three pages that KVM on Intel needs */
#define LAYOUT_IDENTITY_MAP     0xfffbc000ull /* one page, likewise */

/* Ports. */
#define LAYOUT_PORT_I8042_DATA  0x60
#define LAYOUT_PORT_I8042_CMD   0x64
#define LAYOUT_PORT_COM1        0x3f8
#define LAYOUT_PORT_PVPANIC     0x505
#define LAYOUT_PORT_ACPI_SLEEP  0x600 /* sleep control, sleep status, reset: one byte each */
#define LAYOUT_PORT_ACPI_STATUS 0x601
#define LAYOUT_PORT_ACPI_RESET  0x602
#define LAYOUT_ACPI_SLEEP_S5    5 /* SLP_TYP of \_S5: to the sleep control port */
#define LAYOUT_ACPI_RESET_VALUE 1 /* to the reset port */

/* Global system interrupts: pins of the one I/O APIC. All are edge-triggered, active high. */
#define LAYOUT_GSI_COUNT        24u
#define LAYOUT_GSI_I8042        1u
#define LAYOUT_GSI_POWER_BUTTON 3u
#define LAYOUT_GSI_COM1         4u
#define LAYOUT_GSI_VIRTIO       5u /* device n at + n */
#define LAYOUT_VIRTIO_COUNT_MAX 17u
#define LAYOUT_GSI_VMGENID      22u
#define LAYOUT_GSI_VMCLOCK      23u
