/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes and tiny arithmetic helpers that every layer may use. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NELEM(a)         (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)        ((a) < (b) ? (a) : (b))
#define MAX(a, b)        ((a) > (b) ? (a) : (b))
#define ALIGN_UP(x, a)   (((x) + ((a)-1)) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define IS_ALIGNED(x, a) (((x) & ((a)-1)) == 0)
#define KIB              ((uint64_t)1 << 10)
#define MIB              ((uint64_t)1 << 20)
#define GIB              ((uint64_t)1 << 30)

#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define MUST_USE          __attribute__((warn_unused_result))

/*
 * Pointers into guest RAM. Under clang, dereferencing one is an error (noderef): whatever is
 * interpreted must be copied out first (gmem_read, gmem_load16_acq). Under gcc it is nothing.
 */
#if defined(__clang__)
#define __guest __attribute__((noderef))
#else
#define __guest
#endif

/* True if [off, off + len) lies within [0, size). Never wraps. */
static inline bool in_range(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

/*
 * Counters: plain 64-bit words with one writer at a time (the owner thread, or whoever holds the
 * owner's lock), read by any thread at any moment.
 */
/* NOLINTNEXTLINE(readability-non-const-parameter): clang-tidy takes __atomic_store_n for a read */
static inline void counter_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline uint64_t counter_get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}
