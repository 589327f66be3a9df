/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel file of any bytes; the corpus makes it an ELF file. */
#include "tests/fuzz/boot_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct boot_target target;

	boot_target_run(&target, data, size);
	return 0;
}
