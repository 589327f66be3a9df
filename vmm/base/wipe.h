/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of secrets - metadata, tokens - that leaves nothing behind where it is given back. What lives on
 * the stack or within an object is wiped by explicit_bzero, which no compiler leaves out. Any thread.
 */
#pragma once

#include "vmm/base/compiler.h"

#include <stddef.h>

/* Frees p, a block of malloc's or NULL, overwritten. */
void wipe_free(void *p);

/* As realloc, of a block whose first used bytes count; the old place is overwritten. */
void *wipe_grow(void *p, size_t used, size_t size) MUST_USE;

static inline void cleanup_wipe(void *pp)
{
	wipe_free(*(void **)pp);
}

#define CLEANUP_WIPE __attribute__((cleanup(cleanup_wipe)))
