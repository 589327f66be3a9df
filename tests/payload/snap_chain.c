/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that a snapshot may interrupt anywhere: every CPU goes through pages of its own, checks that
 * each holds what it wrote there last, and writes anew into some. A page that a snapshot lost, or
 * took from another moment, is found in the next round. The first CPU also writes and reads back the
 * first drive, asks for entropy, and talks to the host by net and vsock, if they are there, and has its
 * timer wake it; it prints a line now and then. Ends at a byte 'q' on the serial port. payload.area: MiB for each CPU, at the top of RAM.
 */
#include "rt/talk.h"

#define VEC_TIMER   0x41
#define DIVIDE_BY_1 0xb
#define PERIOD      2000000 /* of the APIC timer, which KVM runs at 1 GHz */
#define LSR         (COM1 + 5)
#define LSR_DR      0x01
#define STRIDE      5u /* a page is written in every fifth round */
#define WORDS       (PAGE / sizeof(uint64_t))
#define CHUNK       (8 * SECTOR) /* written to the disk in a turn */
#define CHUNK_COUNT 128u         /* then it starts anew */

static struct worker {
	volatile uint64_t *pages;
	uint64_t page_count;
	uint64_t rounds; /* finished */
} workers[RT_CPU_MAX];
static uint32_t ending;

static uint64_t value_of(unsigned cpu, uint64_t page, uint64_t round)
{
	return (round + 1) * 0x9e3779b97f4a7c15ull + page * 0x10001 + cpu;
}

/* The latest round before this one that wrote the page, or none: then it is zero still. */
static bool last_write(uint64_t page, uint64_t round, uint64_t *ret)
{
	uint64_t back = (round + STRIDE - page % STRIDE) % STRIDE;

	if (back == 0)
		back = STRIDE;
	*ret = round - back;
	return round >= back;
}

static void work_page(unsigned cpu, struct worker *w, uint64_t page)
{
	volatile uint64_t *at = w->pages + page * WORDS;
	uint64_t before = 0, want = 0;

	if (last_write(page, w->rounds, &before))
		want = value_of(cpu, page, before);
	EXPECT(at[0] == want && at[WORDS / 2] == want && at[WORDS - 1] == want,
		"CPU %u, round %lu: page %lu has 0x%lx 0x%lx 0x%lx, not 0x%lx", cpu, w->rounds,
		page, at[0], at[WORDS / 2], at[WORDS - 1], want);
	if (page % STRIDE != w->rounds % STRIDE)
		return;
	want = value_of(cpu, page, w->rounds);
	at[0] = at[WORDS / 2] = at[WORDS - 1] = want;
}

static void work_round(unsigned cpu)
{
	struct worker *w = &workers[cpu];

	for (uint64_t page = 0; page < w->page_count; page++)
		work_page(cpu, w, page);
	__atomic_store_n(&w->rounds, w->rounds + 1, __ATOMIC_RELEASE);
}

static void work(unsigned cpu)
{
	while (!__atomic_load_n(&ending, __ATOMIC_ACQUIRE))
		work_round(cpu);
}

static void lay_out(unsigned cpus)
{
	uint64_t area = arg_u64("payload.area", 4) * MIB, top = ram_top();

	if (top > 4 * GIB)
		map_high(top - area * cpus, area * cpus);
	for (unsigned i = 0; i < cpus; i++) {
		workers[i].pages = (uint64_t *)(top - area * (i + 1));
		workers[i].page_count = area / PAGE;
	}
}

static uint64_t sector_of(uint64_t turn)
{
	return turn % CHUNK_COUNT * (CHUNK / SECTOR);
}

static void check_disk(struct vq *q, uint8_t *buf, uint64_t turn)
{
	memset(buf, 0, CHUNK);
	EXPECT_EQ(blk_request(q, BLK_IN, sector_of(turn), buf, CHUNK), BLK_OK, "read status");
	for (unsigned i = 0; i < CHUNK; i++)
		EXPECT(buf[i] == (uint8_t)(turn + i), "byte %u of sector %lu", i, sector_of(turn));
}

static void work_disk(struct vq *q, uint8_t *buf, uint64_t turn)
{
	for (unsigned i = 0; i < CHUNK; i++)
		buf[i] = (uint8_t)(turn + i);
	EXPECT_EQ(blk_request(q, BLK_OUT, sector_of(turn), buf, CHUNK), BLK_OK, "write status");
	check_disk(q, buf, turn);
}

static bool asked_to_end(void)
{
	return (inb(LSR) & LSR_DR) != 0 && inb(COM1) == 'q';
}

static void sleep_a_little(void)
{
	uint32_t before = irq_count(0, VEC_TIMER);

	apic_write(APIC_TIMER_ICR, PERIOD);
	while (irq_count(0, VEC_TIMER) == before)
		halt();
}

int payload_main(const struct payload_boot *boot)
{
	struct vdev *blk = vdev_find(VIRTIO_ID_BLK, 0), *rng = vdev_find(VIRTIO_ID_RNG, 0);
	uint8_t *buf = alloc(CHUNK, PAGE);
	unsigned cpus = smp_start_all();
	uint64_t turn;
	static struct talk_vsock vsock;
	static struct talk_net net;
	struct vq disk, entropy;

	(void)boot;
	talk_net_start(&net);
	talk_vsock_start(&vsock);
	if (blk)
		vdev_start(blk, &disk, 0, 64);
	if (rng)
		vdev_start(rng, &entropy, 0, 16);
	lay_out(cpus);
	apic_write(APIC_TIMER_DCR, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, VEC_TIMER);
	for (unsigned i = 1; i < cpus; i++)
		smp_run(i, work);
	for (turn = 0; !asked_to_end(); turn++) {
		work_round(0);
		if (blk)
			work_disk(&disk, buf, turn);
		if (rng)
			rng_check(&entropy);
		talk_net_turn(&net);
		talk_vsock_turn(&vsock);
		sleep_a_little();
		if (turn % 4 == 0)
			print("turn %lu frames %lu bytes %lu connections %lu\n", turn, net.back,
				vsock.bytes, vsock.connections);
	}
	__atomic_store_n(&ending, 1, __ATOMIC_RELEASE);
	for (unsigned i = 1; i < cpus; i++)
		smp_wait(i);
	for (uint64_t i = turn < CHUNK_COUNT ? 0 : turn - CHUNK_COUNT; blk && i < turn; i++)
		check_disk(&disk, buf, i);
	for (unsigned i = 0; i < cpus; i++)
		print("CPU %u: %lu rounds\n", i, workers[i].rounds);
	return 0;
}
