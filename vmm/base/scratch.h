/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scratch memory that is needed once, at the start: a process that is one of a thousand should not keep
 * it. Any thread.
 */
#pragma once

#include <stddef.h>

#define SCRATCH_ALIGN 4096 /* of an object, so that its first page can be given back, too */

/*
 * Gives back the whole pages within an object of static storage that is zero at first (.bss): they read
 * as zeroes again, and take memory when they are next used. What is left of its first and last page
 * keeps its value, as others may share it. Not for objects with an initial value. Without an error: a
 * kernel that refuses leaves everything as it is. Source: madvise(2), MADV_DONTNEED.
 */
void scratch_drop(void *object, size_t size);
