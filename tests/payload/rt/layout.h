/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that the assembly entry code and the C code of the runtime must agree on. */
#pragma once

#define RT_CPU_MAX 64

/* Selectors. The TSS of CPU n is at SEL_TSS + 16 * n. */
#define SEL_KCODE32 0x08
#define SEL_KCODE   0x10
#define SEL_KDATA   0x18
#define SEL_UDATA   0x23
#define SEL_UCODE   0x2b
#define SEL_TSS     0x30

/* All ports are open by a bitmap of zeros after the last TSS: some hosts do not honour IOPL 3. */
#define TSS_SIZE        104
#define TSS_BITMAP_SIZE (65536 / 8 + 1)

/* IOPL 3, interrupts off: what CPL 3 code starts with. */
#define RT_RFLAGS 0x3002

#define VEC_SPURIOUS 0xff

/* Offsets in struct percpu, one page, which ends in the CPU's CPL 0 stack. */
#define PC_X2APIC    0
#define PC_INDEX     4
#define PC_IRQ_COUNT 16
#define PC_SIZE      4096
#define PC_EXC_STACK 2048 /* an exception is reported on this much of the CPL 3 stack page */

/* Application processors start here: the SIPI vector is the page number. */
#define TRAMPOLINE  0x8000
#define SIPI_VECTOR (TRAMPOLINE >> 12)

#define BOOT_KIND_PVH     1
#define BOOT_KIND_LINUX64 2
