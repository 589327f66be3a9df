/* SPDX-License-Identifier: Apache-2.0 */
/* Entered by PVH: hvm_start_info and what hangs on it is sound. */
#include "rt/rt.h"

int payload_main(const struct payload_boot *boot)
{
	const uint32_t *si = (const uint32_t *)boot->raw;

	EXPECT_EQ(boot->kind, BOOT_KIND_PVH, "boot protocol");
	EXPECT_EQ(si[0], 0x336ec578, "magic");
	EXPECT(si[1] >= 1, "version %u has no memory map", si[1]);
	EXPECT_EQ(si[13], 0, "reserved word");
	boot_check(boot);
	return 0;
}
