/* SPDX-License-Identifier: Apache-2.0 */
/* Ends by the keyboard controller's reset line, after harmless commands to the same controller. */
#include "rt/rt.h"

static void act(void)
{
	outb(0x64, 0xfe);
}

int payload_main(const struct payload_boot *boot)
{
	(void)boot;
	EXPECT_EQ(inb(0x64) & 2, 0, "input buffer full, before a command");
	outb(0x64, 0x20); /* read the command byte */
	(void)inb(0x60);
	outb(0x60, 0xfe); /* the reset command, but as data */
	EXPECT_EQ(inb(0x64) & 2, 0, "input buffer full, after a command");
	end_by(act);
}
