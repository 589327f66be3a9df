/* SPDX-License-Identifier: Apache-2.0 */
/* Indices past what they index: avail.idx, ring heads, next fields. */
#include "rt/virtio.h"

static uint8_t buf[SECTOR];

static void jump(struct vq *q, uint64_t by)
{
	__atomic_store_n(&q->avail->idx, (uint16_t)(q->avail->idx + by), __ATOMIC_RELEASE);
	mb();
	vq_kick(q);
}

static void bad_head(struct vq *q, uint64_t head)
{
	vq_push(q, (uint16_t)head);
	vq_kick(q);
}

static void bad_next(struct vq *q, uint64_t next)
{
	vq_set(q, 0, buf, 16, VD_NEXT, (uint16_t)next);
	vq_push(q, 0);
	vq_kick(q);
}

int payload_main(const struct payload_boot *boot)
{
	(void)boot;
	evil_case("index one past the queue size", jump, 17);
	evil_case("index half way round", jump, 0x8000);
	evil_case("index one backwards", jump, 0xffff);
	evil_case("head equal to the queue size", bad_head, 16);
	evil_case("head 65535", bad_head, 0xffff);
	evil_case("next equal to the queue size", bad_next, 16);
	evil_case("next 65535", bad_next, 0xffff);
	return 0;
}
