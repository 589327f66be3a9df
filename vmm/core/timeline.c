/* SPDX-License-Identifier: Apache-2.0 */
/* The timeline of a VM. See timeline.h. */
#include "vmm/core/timeline.h"

#include "vmm/base/clock.h"

#include <stdio.h>

static const char *const timeline_names[TIMELINE_MARK_COUNT] = {
	[TIMELINE_PROCESS_START] = "process_start",
	[TIMELINE_VM_CREATED] = "vm_created",
	[TIMELINE_FIRST_INSTRUCTION] = "first_instruction",
	[TIMELINE_KERNEL_ENTRY] = "kernel_entry",
	[TIMELINE_INIT] = "init",
	[TIMELINE_EXIT] = "exit",
};

void timeline_set(struct timeline *t, enum timeline_mark mark)
{
	uint64_t unset = 0;

	(void)__atomic_compare_exchange_n(&t->at_ns[mark], &unset, clock_mono_ns(), false,
		__ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void timeline_format(const struct timeline *t, char buf[TIMELINE_TEXT_SIZE])
{
	uint64_t start = __atomic_load_n(&t->at_ns[TIMELINE_PROCESS_START], __ATOMIC_RELAXED);
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < TIMELINE_MARK_COUNT; i++) {
		uint64_t at = __atomic_load_n(&t->at_ns[i], __ATOMIC_RELAXED);
		int n;

		if (at >= start && at != 0)
			n = snprintf(buf + used, TIMELINE_TEXT_SIZE - used, "%s%s=%llu",
				i ? " " : "", timeline_names[i],
				(unsigned long long)((at - start) / CLOCK_NS_PER_US));
		else
			n = snprintf(buf + used, TIMELINE_TEXT_SIZE - used, "%s%s=-", i ? " " : "",
				timeline_names[i]);
		used = MIN(used + (size_t)n, (size_t)TIMELINE_TEXT_SIZE - 1);
	}
}
