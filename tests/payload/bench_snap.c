/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest of bench/snapshot: fills memory, says "ready", and waits, without an exit, until its machine is
 * another, which VMGenID tells. Then it says 'M' as its first act, writes to so many pages, says 'A'
 * (the answer) and sleeps for ever.
 *
 *   payload.fill=N   MiB that are written before "ready", from 16 MiB on (0)
 *   payload.pages=N  pages that a clone writes before its answer (0), spread over what was filled
 *   payload.watch=N  address of VMGenID (0xff000). 0: there is none; 'M' is said without end
 *   payload.churn=1  instead of waiting: writes all of the filled pages again and again
 */
#include "rt/rt.h"

#define AREA       (16 * MIB)
#define HOLE_START (3 * GIB)
#define HOLE_SIZE  GIB
#define GEN_ID     0xff000

static volatile uint64_t *page_at(uint64_t n)
{
	uint64_t at = AREA + n * PAGE;

	return (volatile uint64_t *)(at < HOLE_START ? at : at + HOLE_SIZE);
}

static void write_all(uint64_t pages, uint64_t value)
{
	for (uint64_t i = 0; i < pages; i++)
		*page_at(i) = value + i;
}

static void write_some(uint64_t pages, uint64_t filled)
{
	uint64_t step = filled / pages;

	for (uint64_t i = 0; i < pages; i++)
		*page_at(i * step) += 1;
}

/* at: not 0 */
static void wait_for_another_machine(uint64_t at)
{
	const volatile uint64_t *id = (const volatile uint64_t *)at;
	uint64_t low = id[0], high = id[1];

	while (id[0] == low && id[1] == high)
		cpu_relax();
}

__attribute__((noreturn)) static void say_without_end(void)
{
	for (;;)
		outb(COM1, 'M');
}

int payload_main(const struct payload_boot *boot)
{
	uint64_t filled = arg_u64("payload.fill", 0) * MIB / PAGE;
	uint64_t pages = arg_u64("payload.pages", 0), watch = arg_u64("payload.watch", GEN_ID);

	(void)boot;
	EXPECT(pages <= filled, "payload.pages is %lu, %lu are filled", pages, filled);
	if (AREA + filled * PAGE > HOLE_START)
		map_high(HOLE_START + HOLE_SIZE, AREA + filled * PAGE - HOLE_START);
	write_all(filled, 1);
	print("ready\n");
	for (uint64_t turn = 2; arg_u64("payload.churn", 0) != 0; turn++)
		write_all(filled, turn);
	if (watch == 0)
		say_without_end();
	wait_for_another_machine(watch);
	outb(COM1, 'M');
	if (pages > 0)
		write_some(pages, filled);
	outb(COM1, 'A');
	for (;;)
		halt();
}
