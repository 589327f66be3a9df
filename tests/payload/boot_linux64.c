/* SPDX-License-Identifier: Apache-2.0 */
/* Entered by the 64-bit Linux protocol: the zero page is sound. */
#include "rt/rt.h"

int payload_main(const struct payload_boot *boot)
{
	uint64_t zp = boot->raw;

	EXPECT_EQ(boot->kind, BOOT_KIND_LINUX64, "boot protocol");
	EXPECT_EQ(*(const uint16_t *)(zp + 0x1fe), 0xaa55, "boot flag");
	EXPECT_EQ(*(const uint32_t *)(zp + 0x202), 0x53726448, "header magic");
	EXPECT(*(const uint8_t *)(zp + 0x210) != 0, "no boot loader type");
	EXPECT_EQ(*(const uint8_t *)(zp + 0x1ef), 0, "sentinel");
	boot_check(boot);
	return 0;
}
