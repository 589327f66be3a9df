/* SPDX-License-Identifier: Apache-2.0 */
/* Ports and MMIO dispatch. See bus.h. */
#include "vmm/svc/bus.h"

#include <errno.h>
#include <string.h>

void bus_init(struct bus *b, const char *name)
{
	memset(b, 0, sizeof(*b));
	b->name = name;
}

int bus_add(struct bus *b, uint64_t start, uint64_t size, const struct bus_ops *ops, void *dev,
	struct err *e)
{
	uint32_t i = b->range_count;

	if (size == 0 || start + size < start)
		return err_set(e, -EINVAL, "%s range 0x%llx+0x%llx is empty or wraps", b->name,
			(unsigned long long)start, (unsigned long long)size);
	if (b->range_count == BUS_RANGES_MAX)
		return err_set(e, -ENOSPC, "no room for another %s range (%u at most)", b->name,
			BUS_RANGES_MAX);
	while (i > 0 && b->ranges[i - 1].start > start)
		i--;
	if ((i > 0 && b->ranges[i - 1].start + b->ranges[i - 1].size > start) ||
		(i < b->range_count && start + size > b->ranges[i].start))
		return err_set(e, -EEXIST, "%s range 0x%llx+0x%llx overlaps another device's",
			b->name, (unsigned long long)start, (unsigned long long)size);
	memmove(&b->ranges[i + 1], &b->ranges[i], (b->range_count - i) * sizeof(b->ranges[0]));
	b->ranges[i] = (struct bus_range){.start = start, .size = size, .ops = ops, .dev = dev};
	b->range_count++;
	return 0;
}

/* The range that holds all of [addr, addr+len), or NULL. */
static const struct bus_range *bus_find(const struct bus *b, uint64_t addr, uint32_t len)
{
	uint32_t lo = 0, hi = b->range_count;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const struct bus_range *r = &b->ranges[mid];

		if (addr < r->start)
			hi = mid;
		else if (addr - r->start >= r->size)
			lo = mid + 1;
		else
			return in_range(addr - r->start, len, r->size) ? r : NULL;
	}
	return NULL;
}

bool bus_read(const struct bus *b, uint64_t addr, void *data, uint32_t len)
{
	const struct bus_range *r = bus_find(b, addr, len);

	if (!r) {
		memset(data, 0xff, len);
		return false;
	}
	r->ops->read(r->dev, addr - r->start, data, len);
	return true;
}

bool bus_write(const struct bus *b, uint64_t addr, const void *data, uint32_t len)
{
	const struct bus_range *r = bus_find(b, addr, len);

	if (!r)
		return false;
	r->ops->write(r->dev, addr - r->start, data, len);
	return true;
}
