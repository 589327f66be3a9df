/* SPDX-License-Identifier: Apache-2.0 */
/* See scratch.h. */
#include "vmm/base/scratch.h"

#include <stdint.h>
#include <sys/mman.h>

void scratch_drop(void *object, size_t size)
{
	/* #syscalls:main madvise:2=MADV_DONTNEED */
	const size_t page = SCRATCH_ALIGN;
	size_t skip = -(uintptr_t)object & (page - 1);

	if (size < skip || size - skip < page)
		return;
	(void)madvise((char *)object + skip, (size - skip) & ~(page - 1), MADV_DONTNEED);
}
