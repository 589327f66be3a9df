/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers that are not guest RAM, as any of the three parts of a block request. The device must
 * not touch what it maps there itself, nor wrap, nor serve the part that is RAM.
 */
#include "rt/virtio.h"

static struct blk_header header;
static uint8_t status, buf[SECTOR];

/* The request is a good read but for its `part`, which lies at `addr`. */
static void place(struct vq *q, unsigned part, uint64_t addr, uint32_t len)
{
	header = (struct blk_header){BLK_IN, 0, 0};
	vq_set(q, 0, &header, sizeof(header), VD_NEXT, 1);
	vq_set(q, 1, buf, sizeof(buf), VD_NEXT | VD_WRITE, 2);
	vq_set(q, 2, &status, 1, VD_WRITE, 0);
	q->desc[part].addr = addr;
	q->desc[part].len = len;
	vq_push(q, 0);
	vq_kick(q);
}

static void header_at(struct vq *q, uint64_t addr)
{
	place(q, 0, addr, sizeof(header));
}

static void data_at(struct vq *q, uint64_t addr)
{
	place(q, 1, addr, 2 * SECTOR);
}

static void status_at(struct vq *q, uint64_t addr)
{
	place(q, 2, addr, 1);
}

static void data_of_4g(struct vq *q, uint64_t arg)
{
	(void)arg;
	place(q, 1, (uint64_t)buf, 0xffffffff);
}

static void write_from(struct vq *q, uint64_t addr)
{
	header = (struct blk_header){BLK_OUT, 0, 40};
	vq_set(q, 0, &header, sizeof(header), VD_NEXT, 1);
	vq_set(q, 1, (void *)addr, SECTOR, VD_NEXT, 2);
	vq_set(q, 2, &status, 1, VD_WRITE, 0);
	vq_push(q, 0);
	vq_kick(q);
}

int payload_main(const struct payload_boot *boot)
{
	const struct {
		const char *name;
		uint64_t addr;
	} bad[] = {
		{"far outside memory", 0x7fff00000000},
		{"just past RAM", ram_top()},
		{"across the end of RAM", ram_top() - 8},
		{"in the device hole", 0xd0000000},
		{"on the device itself", vdev_need(VIRTIO_ID_BLK, 0)->base},
		{"on the local APIC", 0xfee00000},
		{"at the last byte", ~0ull},
		{"wrapping", 0ull - 8},
		{"with the sign bit", 1ull << 63},
	};

	(void)boot;
	for (unsigned i = 0; i < NELEM(bad); i++) {
		print("%s:\n", bad[i].name);
		evil_case("header", header_at, bad[i].addr);
		evil_case("data read into it", data_at, bad[i].addr);
		evil_case("data written from it", write_from, bad[i].addr);
		if (bad[i].addr != ram_top() - 8)
			evil_case("status", status_at, bad[i].addr);
	}
	evil_case("data of 4 GiB", data_of_4g, 0);
	return 0;
}
