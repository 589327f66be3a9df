/* SPDX-License-Identifier: Apache-2.0 */
/* Reports a panic through the pvpanic port, then resets: the monitor must tell of the panic. */
#include "rt/rt.h"

#define PORT     0x505
#define PANICKED 1

int payload_main(const struct payload_boot *boot)
{
	(void)boot;
	EXPECT((inb(PORT) & PANICKED) != 0 && inb(PORT) != 0xff, "pvpanic offers 0x%x", inb(PORT));
	outb(PORT, PANICKED);
	return 0;
}
