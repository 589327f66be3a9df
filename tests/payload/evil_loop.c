/* SPDX-License-Identifier: Apache-2.0 */
/* Chains that never end: the device must give up on them, not follow them for ever. */
#include "rt/virtio.h"

static uint8_t buf[SECTOR];

static void go(struct vq *q, uint16_t head)
{
	vq_push(q, head);
	vq_kick(q);
}

static void self_loop(struct vq *q, uint64_t arg)
{
	(void)arg;
	vq_set(q, 3, buf, 16, VD_NEXT, 3);
	go(q, 3);
}

static void long_loop(struct vq *q, uint64_t arg)
{
	(void)arg;
	for (uint16_t i = 0; i < q->size; i++)
		vq_set(q, i, buf, 16, VD_NEXT, (uint16_t)((i + 1) % q->size));
	go(q, 0);
}

/* The parts of zero length carry nothing, so a limit on bytes alone would not help. */
static void empty_loop(struct vq *q, uint64_t arg)
{
	(void)arg;
	vq_set(q, 0, buf, 0, VD_NEXT, 1);
	vq_set(q, 1, buf, 0, VD_NEXT, 0);
	go(q, 0);
}

static void indirect_loop(struct vq *q, uint64_t arg)
{
	static struct vq_desc table[2];

	(void)arg;
	table[0] = (struct vq_desc){(uint64_t)buf, 16, VD_NEXT, 1};
	table[1] = (struct vq_desc){(uint64_t)buf, 16, VD_NEXT, 0};
	vq_set(q, 5, table, sizeof(table), VD_INDIRECT, 0);
	go(q, 5);
}

int payload_main(const struct payload_boot *boot)
{
	(void)boot;
	evil_case("descriptor that names itself", self_loop, 0);
	evil_case("loop through the whole table", long_loop, 0);
	evil_case("loop of empty descriptors", empty_loop, 0);
	evil_case("loop in an indirect table", indirect_loop, 0);
	return 0;
}
