/* SPDX-License-Identifier: Apache-2.0 */
/* Overwriting what is freed. See wipe.h. */
#include "vmm/base/wipe.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* The allocator knows the size, so a block need not be given back by whoever has counted its bytes. */
void wipe_free(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

void *wipe_grow(void *p, size_t used, size_t size)
{
	void *bigger = malloc(size);

	if (!bigger)
		return NULL;
	if (used > 0)
		memcpy(bigger, p, used);
	wipe_free(p);
	return bigger;
}
