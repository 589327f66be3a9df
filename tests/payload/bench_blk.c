/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load of bench/blk: 4 KiB random reads and writes, one and 32 at a time, and sequential ones of
 * 128 KiB, on the first block device.
 *
 *   payload.queues=N  of the device, to share the requests (1)
 *   payload.ms=N      length of each measurement, if the TSC runs at 3 GHz (1000)
 *   payload.strict=1  fails if at 32 requests there is an interrupt or a kick per request, or more
 *   payload.part=W    only that measurement
 */
#include "rt/load.h"

#define QUEUES  2u
#define DEPTH   32u
#define LEN_MAX (128 * KIB)

struct load {
	const char *name;
	uint32_t type, depth, len;
	bool random;
};

static const struct load loads[] = {
	{"randread_qd1", BLK_IN, 1, 4096, true},
	{"randread_qd32", BLK_IN, DEPTH, 4096, true},
	{"randwrite_qd1", BLK_OUT, 1, 4096, true},
	{"randwrite_qd32", BLK_OUT, DEPTH, 4096, true},
	{"seqread", BLK_IN, 8, LEN_MAX, false},
	{"seqwrite", BLK_OUT, 8, LEN_MAX, false},
};

static struct {
	struct blk_header header;
	uint64_t start;
	uint8_t status;
	uint8_t *buf;
} slots[DEPTH];

static struct load_queue queues[QUEUES];
static struct load_queue *const all_queues[QUEUES] = {&queues[0], &queues[1]};
static uint16_t queue_count;
static uint64_t sectors, random_state = 88172645463325252ull, next_at;

static uint64_t draw(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	return random_state ^= random_state << 17;
}

/* Descriptors of a slot are always the same three of its queue. */
static void submit(const struct load *l, unsigned slot)
{
	struct load_queue *lq = &queues[slot % queue_count];
	struct vq *q = &lq->q;
	uint16_t d = (uint16_t)(3 * (slot / queue_count));
	uint64_t blocks = sectors * SECTOR / l->len;
	uint64_t block = l->random ? draw() % blocks : next_at++ % blocks;

	slots[slot].header = (struct blk_header){l->type, 0, block * (l->len / SECTOR)};
	slots[slot].status = 0xff;
	vq_set(q, d, &slots[slot].header, sizeof(slots[slot].header), VD_NEXT, (uint16_t)(d + 1));
	vq_set(q, (uint16_t)(d + 1), slots[slot].buf, l->len,
		l->type == BLK_IN ? VD_NEXT | VD_WRITE : VD_NEXT, (uint16_t)(d + 2));
	vq_set(q, (uint16_t)(d + 2), &slots[slot].status, 1, VD_WRITE, 0);
	slots[slot].start = rdtsc();
	load_push(lq, d);
}

/* Takes what is answered; sends anew unless it is time to end. How many were answered. */
static unsigned serve(const struct load *l, unsigned n, bool more)
{
	struct vq_used_elem e;
	unsigned served = 0;

	while (load_pop(&queues[n], &e)) {
		unsigned slot = e.id / 3 * queue_count + n;

		EXPECT(e.id % 3 == 0 && slot < DEPTH && slots[slot].status == BLK_OK,
			"%s: request %u of queue %u failed", l->name, e.id, n);
		load_sample(rdtsc() - slots[slot].start);
		served++;
		if (more)
			submit(l, slot);
	}
	load_kick(&queues[n]);
	return served;
}

static void run(const struct load *l, uint64_t ticks)
{
	uint64_t start, ops = 0;
	unsigned flying = 0;

	load_begin(l->name);
	start = rdtsc();
	for (unsigned slot = 0; slot < l->depth; slot++, flying++)
		submit(l, slot);
	for (unsigned n = 0; n < queue_count; n++)
		load_kick(&queues[n]);
	while (flying > 0) {
		bool more = rdtsc() - start < ticks;
		unsigned served = 0;

		for (unsigned n = 0; n < queue_count; n++)
			served += serve(l, n, more);
		ops += served;
		if (!more)
			flying -= served;
		if (served == 0)
			load_sleep(all_queues, queue_count);
	}
	load_end(l->random ? "IOPS" : "MB/s", ops, ops * l->len, l->depth == DEPTH, all_queues,
		queue_count);
}

int payload_main(const struct payload_boot *boot)
{
	struct vdev *d = vdev_need(VIRTIO_ID_BLK, 0);
	uint64_t ticks = arg_u64("payload.ms", 1000) * 3000000;

	(void)boot;
	queue_count = (uint16_t)arg_u64("payload.queues", 1);
	EXPECT(queue_count >= 1 && queue_count <= QUEUES, "payload.queues is not 1 or 2");
	vdev_negotiate(d, VF_EVENT_IDX | VF_BLK_MQ | VF_BLK_FLUSH);
	for (uint16_t i = 0; i < queue_count; i++)
		vq_init(&queues[i].q, d, i, 128);
	vdev_driver_ok(d);
	sectors = blk_capacity(d);
	for (unsigned i = 0; i < DEPTH; i++)
		slots[i].buf = alloc(LEN_MAX, PAGE);
	load_init(d);
	for (unsigned i = 0; i < NELEM(loads); i++)
		if (!arg_find("payload.part", 0) || arg_is("payload.part", loads[i].name))
			run(&loads[i], ticks);
	return 0;
}
