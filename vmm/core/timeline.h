/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a VM reached each stage of its life, for `mayfly run --timeline` and the bench. Each mark is
 * set once; marks may come from any thread.
 */
#pragma once

#include "vmm/base/compiler.h"

enum timeline_mark {
	TIMELINE_PROCESS_START,
	TIMELINE_VM_CREATED,        /* memory, vCPUs, devices and kernel image are in place */
	TIMELINE_FIRST_INSTRUCTION, /* the boot CPU is about to enter the guest */
	TIMELINE_KERNEL_ENTRY, /* the kernel proper runs: at once for ELF, at the first exit for bzImage */
	TIMELINE_INIT,         /* the guest wrote the boot timer */
	TIMELINE_EXIT,         /* the VM ended */
	TIMELINE_MARK_COUNT,
};

struct timeline {
	uint64_t at_ns[TIMELINE_MARK_COUNT]; /* CLOCK_MONOTONIC; 0: not reached */
};

/* Sets a mark to the present, unless it is set. */
void timeline_set(struct timeline *t, enum timeline_mark mark);

/* "process_start=0 vm_created=512 ... exit=-": microseconds since process start. */
#define TIMELINE_TEXT_SIZE 200
void timeline_format(const struct timeline *t, char buf[TIMELINE_TEXT_SIZE]);
