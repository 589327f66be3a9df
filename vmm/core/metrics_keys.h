/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The groups and keys of a metrics line: Firecracker's, all of them, because clients check lines
 * against a closed list. What no device has registered is printed as zero. Groups of our own are
 * page_only.
 */
#pragma once

#include "vmm/base/compiler.h"

#define METRICS_KEYS_MAX 32 /* in one group */

enum metrics_kind {
	METRICS_DELTA, /* a counter; printed as its growth since the last line that was written */
	METRICS_STORE, /* printed as it is */
	METRICS_AGG,   /* three words: min_us and max_us as they are, sum_us as its growth */
};

struct metrics_key {
	const char *name;
	uint8_t kind; /* enum metrics_kind */
};

struct metrics_group {
	const char *name;
	bool instances_only; /* no group of that name, only name_ID for each registered source */
	bool page_only;      /* on the Prometheus page, not in a line */
	uint32_t key_count;
	const struct metrics_key *keys;
};

extern const struct metrics_group metrics_groups[]; /* in the order of a line */
extern const uint32_t metrics_group_count;
