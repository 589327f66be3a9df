/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long something took, over and over: least, most and sum in microseconds, as Firecracker's
 * *_agg metrics have them, and a histogram whose buckets double. One writer at a time (the owner
 * thread, or whoever holds the owner's lock), read by any thread at any moment.
 */
#pragma once

#include "vmm/base/clock.h"
#include "vmm/base/compiler.h"

#define LATENCY_FIRST_SHIFT 7  /* bucket i holds what took at most 2^(7 + i) ns: 128 ns first */
#define LATENCY_BUCKETS     29 /* 17 s is the last bound; the last bucket has none */

struct latency {
	uint64_t min_us, max_us, sum_us; /* in this order: the three words of a METRICS_AGG */
	uint64_t sum_ns;
	uint64_t bucket[LATENCY_BUCKETS];
};

static inline unsigned latency_bucket(uint64_t ns)
{
	uint64_t v = ns ? (ns - 1) >> LATENCY_FIRST_SHIFT : 0;
	unsigned i = v ? 64u - (unsigned)__builtin_clzll(v) : 0;

	return MIN(i, LATENCY_BUCKETS - 1u);
}

static inline void latency_add(struct latency *l, uint64_t ns)
{
	uint64_t us = ns / CLOCK_NS_PER_US;
	uint64_t sum_ns = counter_get(&l->sum_ns);

	if (us < counter_get(&l->min_us) || sum_ns == 0)
		__atomic_store_n(&l->min_us, us, __ATOMIC_RELAXED);
	if (us > counter_get(&l->max_us))
		__atomic_store_n(&l->max_us, us, __ATOMIC_RELAXED);
	sum_ns += ns;
	__atomic_store_n(&l->sum_ns, sum_ns, __ATOMIC_RELAXED);
	/* From the nanoseconds: most exits take less than a microsecond. */
	__atomic_store_n(&l->sum_us, sum_ns / CLOCK_NS_PER_US, __ATOMIC_RELAXED);
	counter_add(&l->bucket[latency_bucket(ns)], 1);
}
