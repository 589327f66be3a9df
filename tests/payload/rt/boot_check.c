/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both boot protocols must hand over: a memory map without overlaps that holds the payload
 * and as much RAM as payload.mem says, a sound RSDP if there is one, the initrd with the sum that
 * payload.initrd_cksum says, a command line that ends where payload.last=1 is.
 */
#include "rt.h"

/* The sum that cksum(1) prints: POSIX, CRC-32 with the length appended. */
static uint32_t cksum(const uint8_t *p, uint64_t len)
{
	uint64_t tail = len;
	uint32_t crc = 0;

	for (uint64_t i = 0; i < len || tail != 0; i++) {
		uint8_t byte = i < len ? p[i] : (uint8_t)tail;

		if (i >= len)
			tail >>= 8;
		crc ^= (uint32_t)byte << 24;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ ((crc & 0x80000000) != 0 ? 0x04c11db7 : 0);
	}
	return ~crc;
}

static void check_map(const struct payload_boot *b)
{
	uint64_t ram = 0, image = (uint64_t)rt_image_start;
	bool image_in_ram = false;

	EXPECT(b->range_count != 0, "no memory map");
	for (unsigned i = 0; i < b->range_count; i++) {
		const struct mem_range *r = &b->range[i];

		EXPECT(r->start + r->len >= r->start, "range %u: 0x%lx + 0x%lx", i, r->start,
			r->len);
		for (unsigned j = 0; j < i; j++)
			EXPECT(r->start + r->len <= b->range[j].start ||
					r->start >= b->range[j].start + b->range[j].len,
				"memory ranges %u and %u overlap", i, j);
		if (r->type != E820_RAM)
			continue;
		ram += r->len;
		if (r->start <= image && (uint64_t)rt_image_end <= r->start + r->len)
			image_in_ram = true;
	}
	EXPECT(image_in_ram, "the payload is not in RAM by the memory map");
	if (arg_find("payload.mem", 0) != NULL) {
		uint64_t mem = arg_u64("payload.mem", 0);

		EXPECT(ram <= mem && ram >= mem - MIB, "%lu KiB of RAM, expected %lu", ram / KIB,
			mem / KIB);
	}
}

static void check_initrd(const struct payload_boot *b)
{
	if (arg_find("payload.initrd_cksum", 0) == NULL) {
		EXPECT_EQ(b->initrd_size, 0, "size of no initrd");
		return;
	}
	EXPECT_EQ(b->initrd_size, arg_u64("payload.initrd_size", 0), "size of the initrd");
	EXPECT_EQ(cksum((const uint8_t *)b->initrd, b->initrd_size),
		arg_u64("payload.initrd_cksum", 0), "sum of the initrd");
	EXPECT(b->initrd >= (uint64_t)rt_image_end ||
			b->initrd + b->initrd_size <= (uint64_t)rt_image_start,
		"the initrd lies on the kernel");
	EXPECT(b->initrd + b->initrd_size <= ram_low_top(), "the initrd lies past RAM");
}

void boot_check(const struct payload_boot *b)
{
	check_map(b);
	check_initrd(b);
	EXPECT(arg_find("payload.first", 0) != NULL, "the command line lacks its beginning");
	EXPECT(arg_find("payload.last", 0) != NULL, "the command line lacks its end");
	if (b->rsdp != 0)
		EXPECT(acpi_table("APIC") != NULL, "ACPI without MADT");
	else
		print("no ACPI\n");
}
