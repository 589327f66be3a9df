/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports and MMIO: which device answers at an address. Two tables (one per space), filled on the
 * main thread before the vCPUs start and read without a lock by all of them afterwards. A device
 * that shares state between vCPU threads and the main thread locks inside its own callbacks.
 */
#pragma once

#include "vmm/base/err.h"

#define BUS_RANGES_MAX 48

/*
 * off is relative to the range; len is 1, 2, 4 or 8 and [off, off+len) lies inside the range.
 * data is what KVM_EXIT_IO / KVM_EXIT_MMIO carry: len bytes, little endian. read() must fill all
 * of data. Called on vCPU threads.
 */
struct bus_ops {
	void (*read)(void *dev, uint64_t off, void *data, uint32_t len);
	void (*write)(void *dev, uint64_t off, const void *data, uint32_t len);
};

struct bus_range {
	uint64_t start;
	uint64_t size;
	const struct bus_ops *ops;
	void *dev; /* borrowed */
};

struct bus {
	const char *name; /* "port" or "mmio", for messages */
	uint32_t range_count;
	struct bus_range ranges[BUS_RANGES_MAX]; /* ascending, disjoint */
};

void bus_init(struct bus *b, const char *name);

/* 0, -EEXIST on overlap, -ENOSPC when full, -EINVAL on a wrap. ops and dev are borrowed. */
int bus_add(struct bus *b, uint64_t start, uint64_t size, const struct bus_ops *ops, void *dev,
	struct err *e) MUST_USE;

/* True if a device answered; otherwise data is all ones, as on an empty bus. */
bool bus_read(const struct bus *b, uint64_t addr, void *data, uint32_t len);
bool bus_write(const struct bus *b, uint64_t addr, const void *data, uint32_t len);
