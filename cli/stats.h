/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of `mayfly stats`: counters of a VM, and what of them one interval saw. */
#pragma once

#include "cli/runtime.h"

/* Since the start of the VM, but for memory. */
enum stats_column {
	STATS_CPU_MS,
	STATS_RSS_KIB,
	STATS_EXITS,
	STATS_BLOCK_READ,
	STATS_BLOCK_WRITE,
	STATS_NET_RX,
	STATS_NET_TX,
	STATS_COLUMNS,
};

struct stats_sample {
	uint64_t at_ns;
	uint64_t value[STATS_COLUMNS];
};

/* 0, or -errno with *e if the VM has ended or does not answer. */
int stats_take(const struct runtime_vm *vm, struct stats_sample *ret, struct err *e) MUST_USE;

/* The sum of all samples of a family in a page of Prometheus's text format. */
uint64_t stats_page_sum(const char *page, const char *family);
