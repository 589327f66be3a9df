/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bzImage of any bytes: its two magic numbers are put in place, so that none of the time goes
 * into files that are none.
 */
#include "tests/fuzz/boot_target.h"

#define IMAGE_MAX     8192u
#define BOOT_FLAG_OFF 0x1feu
#define MAGIC_OFF     0x202u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct boot_target target;
	uint8_t image[IMAGE_MAX];

	if (size < MAGIC_OFF + 4 || size > sizeof(image))
		return -1;
	memcpy(image, data, size);
	memcpy(image + BOOT_FLAG_OFF, "\x55\xaa", 2);
	memcpy(image + MAGIC_OFF, "HdrS", 4);
	boot_target_run(&target, image, size);
	return 0;
}
