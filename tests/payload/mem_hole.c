/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory around the hole below 4 GiB: what the map calls RAM keeps what is written, above 4 GiB
 * too, every page at its own place; the hole and what lies past the end are no RAM.
 */
#include "rt/rt.h"

#define STEP (2 * MIB)

static void each(void (*fn)(volatile uint64_t *p))
{
	for (unsigned i = 0; i < rt_boot.range_count; i++) {
		const struct mem_range *r = &rt_boot.range[i];
		uint64_t end = r->start + r->len;

		if (r->type != E820_RAM || r->start < 16 * MIB)
			continue;
		for (uint64_t a = r->start; a < end; a += STEP)
			fn((volatile uint64_t *)a);
		fn((volatile uint64_t *)(end - 8));
	}
}

static void put(volatile uint64_t *p)
{
	*p = ~(uint64_t)p;
}

static void get(volatile uint64_t *p)
{
	EXPECT(*p == ~(uint64_t)p, "memory at 0x%lx holds 0x%lx", (uint64_t)p, *p);
}

static void expect_no_ram(uint64_t addr)
{
	uint64_t v;

	mmio_write64(addr, 0x1234567812345678);
	v = mmio_read64(addr);
	EXPECT(v == 0 || v == ~0ull, "0x%lx is no RAM but holds 0x%lx", addr, v);
}

int payload_main(const struct payload_boot *boot)
{
	static const uint64_t holes[] = {0xd0000000, 0xe0000000, 0xfeb80000, 0xfed00000};
	uint64_t high = 0;

	for (unsigned i = 0; i < boot->range_count; i++) {
		const struct mem_range *r = &boot->range[i];

		if (r->type != E820_RAM)
			continue;
		EXPECT(r->start >= 4 * GIB || r->start + r->len <= 3 * GIB,
			"RAM at 0x%lx reaches into the hole", r->start);
		if (r->start >= 4 * GIB) {
			EXPECT(high != 0 || r->start == 4 * GIB, "high RAM starts at 0x%lx",
				r->start);
			map_high(r->start, r->len);
			high += r->len;
		}
	}
	EXPECT_EQ(high, arg_u64("payload.high", high), "RAM above 4 GiB");
	print("%lu MiB above 4 GiB\n", high / MIB);
	each(put);
	each(get);
	for (unsigned i = 0; i < NELEM(holes); i++)
		expect_no_ram(holes[i]);
	if (ram_low_top() < 3 * GIB)
		expect_no_ram(ram_low_top());
	map_high(high == 0 ? 4 * GIB : ram_top(), STEP);
	expect_no_ram(high == 0 ? 4 * GIB : ram_top());
	each(get);
	return 0;
}
