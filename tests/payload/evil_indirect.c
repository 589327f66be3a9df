/* SPDX-License-Identifier: Apache-2.0 */
/* Indirect descriptors that virtio 1.2 §2.7.5.3.1 forbids, or that lie about their table. */
#include "rt/virtio.h"

#define ENTRY sizeof(struct vq_desc)

static uint8_t buf[SECTOR];
static struct vq_desc table[4] __attribute__((aligned(4096)));

static void go(struct vq *q)
{
	vq_push(q, 0);
	vq_kick(q);
}

static void nested(struct vq *q, uint64_t arg)
{
	static struct vq_desc inner[1];

	(void)arg;
	inner[0] = (struct vq_desc){(uint64_t)buf, 16, 0, 0};
	table[0] = (struct vq_desc){(uint64_t)inner, ENTRY, VD_INDIRECT, 0};
	vq_set(q, 0, table, ENTRY, VD_INDIRECT, 0);
	go(q);
}

static void length(struct vq *q, uint64_t len)
{
	table[0] = (struct vq_desc){(uint64_t)buf, 16, 0, 0};
	vq_set(q, 0, table, (uint32_t)len, VD_INDIRECT, 0);
	go(q);
}

static void with_next(struct vq *q, uint64_t arg)
{
	(void)arg;
	table[0] = (struct vq_desc){(uint64_t)buf, 16, 0, 0};
	vq_set(q, 0, table, ENTRY, VD_INDIRECT | VD_NEXT, 1);
	vq_set(q, 1, buf, 16, VD_WRITE, 0);
	go(q);
}

static void next_past_table(struct vq *q, uint64_t next)
{
	table[0] = (struct vq_desc){(uint64_t)buf, 16, VD_NEXT, (uint16_t)next};
	vq_set(q, 0, table, ENTRY, VD_INDIRECT, 0);
	go(q);
}

static void table_at(struct vq *q, uint64_t addr)
{
	vq_set(q, 0, (void *)addr, 4 * ENTRY, VD_INDIRECT, 0);
	go(q);
}

int payload_main(const struct payload_boot *boot)
{
	(void)boot;
	evil_case("table in a table", nested, 0);
	evil_case("table of zero length", length, 0);
	evil_case("table of half an entry", length, 8);
	evil_case("table of an entry and a byte", length, 17);
	evil_case("table with a successor", with_next, 0);
	evil_case("next equal to the table's size", next_past_table, 1);
	evil_case("next far past the table", next_past_table, 0xffff);
	evil_case("table outside memory", table_at, 0x7fff00000000);
	evil_case("table across the end of RAM", table_at, ram_top() - ENTRY);
	evil_case("table that wraps", table_at, 0ull - ENTRY);
	return 0;
}
