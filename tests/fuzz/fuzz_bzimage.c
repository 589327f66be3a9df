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
	static const uint8_t boot_flag[] = {0x55, 0xaa}, magic[] = {'H', 'd', 'r', 'S'};
	uint8_t image[IMAGE_MAX];

	if (size < MAGIC_OFF + sizeof(magic) || size > sizeof(image))
		return -1;
	memcpy(image, data, size);
	memcpy(image + BOOT_FLAG_OFF, boot_flag, sizeof(boot_flag));
	memcpy(image + MAGIC_OFF, magic, sizeof(magic));
	boot_target_run(&target, image, size);
	return 0;
}
