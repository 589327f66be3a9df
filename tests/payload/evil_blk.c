/* SPDX-License-Identifier: Apache-2.0 */
/* Chains that are good virtio but no block request. */
#include "rt/virtio.h"

static struct blk_header header;
static uint8_t status, buf[SECTOR];

static void go(struct vq *q)
{
	vq_push(q, 0);
	vq_kick(q);
}

static void readable_after_writable(struct vq *q, uint64_t arg)
{
	(void)arg;
	header = (struct blk_header){BLK_IN, 0, 0};
	vq_set(q, 0, &header, sizeof(header), VD_NEXT, 1);
	vq_set(q, 1, buf, sizeof(buf), VD_NEXT | VD_WRITE, 2);
	vq_set(q, 2, &status, 1, 0, 0);
	go(q);
}

static void only_header(struct vq *q, uint64_t len)
{
	header = (struct blk_header){BLK_IN, 0, 0};
	vq_set(q, 0, &header, (uint32_t)len, 0, 0);
	go(q);
}

static void short_header(struct vq *q, uint64_t len)
{
	header = (struct blk_header){BLK_IN, 0, 0};
	vq_set(q, 0, &header, (uint32_t)len, VD_NEXT, 1);
	vq_set(q, 1, &status, 1, VD_WRITE, 0);
	go(q);
}

static void only_writable(struct vq *q, uint64_t arg)
{
	(void)arg;
	vq_set(q, 0, buf, sizeof(buf), VD_WRITE, 0);
	go(q);
}

/* The status byte is the last writable one, wherever the driver cut its buffers. */
static void status_behind_data(struct vq *q, uint64_t arg)
{
	static uint8_t both[SECTOR + 1];
	struct vq_used_elem e;

	(void)arg;
	header = (struct blk_header){BLK_IN, 0, 2};
	memset(both, 0xee, sizeof(both));
	vq_set(q, 0, &header, 9, VD_NEXT, 1);
	vq_set(q, 1, (uint8_t *)&header + 9, sizeof(header) - 9, VD_NEXT, 2);
	vq_set(q, 2, both, sizeof(both), VD_WRITE, 0);
	go(q);
	EXPECT(vq_pop(q, &e), "no answer to status and data in one descriptor");
	EXPECT_EQ(both[SECTOR], BLK_OK, "status at the end of the data descriptor");
	for (unsigned i = 0; i < SECTOR; i++)
		EXPECT(both[i] == blk_pattern(2 * SECTOR + i), "byte %u is wrong", i);
}

int payload_main(const struct payload_boot *boot)
{
	(void)boot;
	odd_case("status behind the data", status_behind_data, 0);
	evil_case("readable after writable", readable_after_writable, 0);
	odd_case("header and nothing else", only_header, sizeof(header));
	odd_case("half a header and nothing else", only_header, 8);
	odd_case("header of 15 bytes", short_header, 15);
	odd_case("header of no bytes", short_header, 0);
	odd_case("no header", only_writable, 0);
	return 0;
}
