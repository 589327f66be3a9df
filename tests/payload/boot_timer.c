/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the monitor that the guest is up, by the magic byte; other bytes must mean nothing. */
#include "rt/rt.h"

#define BOOT_TIMER 0xc0000000

int payload_main(const struct payload_boot *boot)
{
	(void)boot;
	mmio_write8(BOOT_TIMER, 1);
	mmio_write32(BOOT_TIMER, 123);
	mmio_write8(BOOT_TIMER + 1, 123);
	mmio_write8(BOOT_TIMER, 123);
	(void)mmio_read8(BOOT_TIMER);
	return 0;
}
