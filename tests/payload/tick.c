/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts on the serial port, a line about every 10 ms, so that one can see from outside whether the
 * guest gets on. Ends after payload.count lines, or at a byte 'q' on the serial port.
 */
#include "rt/rt.h"

#define VEC_TIMER   0x41
#define DIVIDE_BY_1 0xb
#define PERIOD      10000000 /* of the APIC timer, which KVM runs at 1 GHz */
#define LSR         (COM1 + 5)
#define LSR_DR      0x01

static bool asked_to_end(void)
{
	return (inb(LSR) & LSR_DR) != 0 && inb(COM1) == 'q';
}

int payload_main(const struct payload_boot *boot)
{
	uint64_t count = arg_u64("payload.count", 0);

	(void)boot;
	apic_write(APIC_TIMER_DCR, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, VEC_TIMER);
	for (uint64_t i = 1; (count == 0 || i <= count) && !asked_to_end(); i++) {
		uint32_t before = irq_count(0, VEC_TIMER);

		apic_write(APIC_TIMER_ICR, PERIOD);
		while (irq_count(0, VEC_TIMER) == before)
			halt();
		print("tick %lu\n", i);
	}
	return 0;
}
