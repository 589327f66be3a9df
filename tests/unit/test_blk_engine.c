/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engines against a plain copy of the disk in memory: random requests, several under way at a
 * time, must leave both the same. And what only an asynchronous engine can get wrong.
 */
#include "virtio/blk_dev.h"

#include "tests/unit/lib/blk_rig.h"
#include "tests/unit/lib/cm.h"

#include <errno.h>
#include <liburing.h>
#include <stdio.h>

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE   (BLK_RIG_SECTORS * BLK_SECTOR_SIZE)
#define SLICES 8u /* requests of one round, each in its own eighth of the disk */
#define ROUNDS 400u

static struct blk_rig rig;
static unsigned char model[SIZE];
static uint64_t seed;

static struct blk_config sync_config = {.writeback = true};
static struct blk_config async_config = {.writeback = true, .async = true};
static struct blk_config direct_config = {.writeback = true, .async = true, .direct = true};

static int setup(void **state)
{
	const struct blk_config *c = *state;

	seed = 12345;
	blk_rig_init(&rig, *c, SIZE);
	for (uint64_t i = 0; i < SIZE; i++)
		model[i] = blk_rig_pattern(i);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	blk_rig_fini(&rig);
	return 0;
}

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((seed >> 33) % below);
}

struct op {
	uint32_t type;
	uint64_t sector;
	uint32_t sectors;
	unsigned char *data;
	unsigned char *status;
};

/* Header, data in one to four pieces, status; data of a write is random, and put into the model. */
static void send_transfer(struct op *o)
{
	uint32_t len = o->sectors * BLK_SECTOR_SIZE, done = 0;
	uint64_t data = driver_alloc(&rig.drv, len + 64, 1), status = driver_alloc(&rig.drv, 1, 1);
	struct driver_buf bufs[6] = {{blk_rig_header(&rig, o->type, o->sector), 16, false}};
	unsigned n = 1;

	o->data = driver_at(&rig.drv, data);
	o->status = driver_at(&rig.drv, status);
	*o->status = BLK_NOT_WRITTEN;
	for (uint32_t i = 0; i < len; i++)
		o->data[i] = o->type == BLK_OUT ? (unsigned char)draw(256) : 0xee;
	if (o->type == BLK_OUT)
		memcpy(model + o->sector * BLK_SECTOR_SIZE, o->data, len);
	while (done < len) {
		uint32_t piece = 1 + draw(len);

		piece = n == 4 ? len - done : MIN(len - done, piece);
		bufs[n++] = (struct driver_buf){data + done, piece, o->type == BLK_IN};
		done += piece;
	}
	bufs[n++] = (struct driver_buf){status, 1, true};
	(void)driver_chain(&rig.drv, bufs, n);
}

static void send_clear(struct op *o)
{
	const struct {
		uint64_t sector;
		uint32_t sectors, flags;
	} range = {o->sector, o->sectors, o->type == BLK_WRITE_ZEROES ? draw(2) : 0};
	uint64_t at = driver_alloc(&rig.drv, sizeof(range), 8),
		 status = driver_alloc(&rig.drv, 1, 1);

	memcpy(driver_at(&rig.drv, at), &range, sizeof(range));
	o->status = driver_at(&rig.drv, status);
	*o->status = BLK_NOT_WRITTEN;
	memset(model + o->sector * BLK_SECTOR_SIZE, 0, o->sectors * BLK_SECTOR_SIZE);
	(void)driver_chain(&rig.drv,
		(struct driver_buf[]){{blk_rig_header(&rig, o->type, 0), 16, false},
			{at, sizeof(range), false}, {status, 1, true}},
		3);
}

static void send_random(struct op *o, uint32_t slice)
{
	static const uint32_t types[] = {
		BLK_IN, BLK_IN, BLK_OUT, BLK_OUT, BLK_DISCARD, BLK_WRITE_ZEROES};
	const uint32_t per_slice = BLK_RIG_SECTORS / SLICES;

	o->type = types[draw(NELEM(types))];
	o->sectors = 1 + draw(per_slice);
	o->sector = slice * per_slice + draw(per_slice - o->sectors + 1);
	if (o->type == BLK_IN || o->type == BLK_OUT)
		send_transfer(o);
	else
		send_clear(o);
}

static void a_random_load_leaves_what_a_plain_copy_has(void **state)
{
	unsigned char back[SIZE];

	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t free = rig.drv.free;
		struct op ops[SLICES];
		struct driver_used u;

		for (uint32_t i = 0; i < SLICES; i++)
			send_random(&ops[i], i);
		virtio_dev_notify(rig.dev, 0);
		blk_rig_drain(&rig);
		for (uint32_t i = 0; i < SLICES; i++) {
			assert_true(driver_poll(&rig.drv, &u));
			if (*ops[i].status != BLK_OK)
				fail_msg("round %u: type %u, sector %llu, %u sectors: status %u",
					round, ops[i].type, (unsigned long long)ops[i].sector,
					ops[i].sectors, *ops[i].status);

			if (ops[i].type == BLK_IN)
				assert_memory_equal(ops[i].data,
					model + ops[i].sector * BLK_SECTOR_SIZE,
					ops[i].sectors * BLK_SECTOR_SIZE);
		}
		rig.drv.free = free;
	}
	assert_int_equal(blk_rig_request(&rig, BLK_FLUSH, 0, NULL, 0, NULL), BLK_OK);
	assert_int_equal(pread(rig.fd, back, SIZE, 0), SIZE);
	assert_memory_equal(back, model, SIZE);
}

static void the_engine_is_the_one_asked_for(void **state)
{
	const struct blk_config *c = *state;

	assert_string_equal(blk_engine_name(rig.dev), c->async ? "Async" : "Sync");
}

/* Offers n one-sector reads and lets the device look once. */
static void offer_reads(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct op o = {.type = BLK_IN, .sector = i % BLK_RIG_SECTORS, .sectors = 1};
		uint64_t at = driver_alloc(&rig.drv, 512, 512), st = driver_alloc(&rig.drv, 1, 1);

		(void)driver_chain(&rig.drv,
			(struct driver_buf[]){{blk_rig_header(&rig, o.type, o.sector), 16, false},
				{at, 512, true}, {st, 1, true}},
			3);
	}
	virtio_dev_notify(rig.dev, 0);
}

static void a_reset_forgets_what_is_in_flight_and_touches_memory_no_more(void **state)
{
	static unsigned char before[DRIVER_RAM_SIZE];

	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		offer_reads(32);
		virtio_dev_write_status(rig.dev, 0);
		memset(rig.drv.ram, 0xa5, DRIVER_RAM_SIZE);
		memcpy(before, rig.drv.ram, sizeof(before));
		assert_int_equal(blk_of(rig.dev)->in_flight, 0);
		(void)usleep(2000); /* longer than a disk takes */
		blk_poll(rig.dev);
		assert_memory_equal(rig.drv.ram, before, sizeof(before));
		blk_rig_start(&rig, rig.dev->features);
	}
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 0, NULL, 512, NULL), BLK_OK);
}

static void draining_answers_everything_with_few_interrupts(void **state)
{
	struct driver_used u;

	(void)state;
	offer_reads(40);
	blk_rig_drain(&rig);
	for (unsigned i = 0; i < 40; i++)
		assert_true(driver_poll(&rig.drv, &u));
	assert_int_equal(blk_of(rig.dev)->in_flight, 0);
	assert_true(rig.drv.queue_irqs >= 1 && rig.drv.queue_irqs <= 2);
}

/* An evil driver offers more than the queue holds by going round it without waiting. */
static void more_requests_than_the_pool_holds_are_taken_later(void **state)
{
	struct blk *b = blk_of(rig.dev);
	struct blk_req *all;
	uint32_t used;

	(void)state;
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 0, NULL, 512, NULL), BLK_OK);
	all = b->free;
	used = b->reqs_used;
	b->free = NULL;
	b->reqs_used = BLK_REQS_MAX;
	offer_reads(3);
	assert_int_equal(b->starved, 1);
	assert_int_equal(b->counters.io_engine_throttled_events, 1);
	assert_int_equal(driver_used_idx(&rig.drv), 1);
	b->free = all;
	b->reqs_used = used;
	blk_poll(rig.dev); /* as when a request is answered */
	assert_int_equal(rig.drv.kicks, 1);
	virtio_dev_notify(rig.dev, 0);
	blk_rig_drain(&rig);
	assert_int_equal(driver_used_idx(&rig.drv), 4);
}

static void a_file_that_shrank_is_an_io_error_and_nothing_else(void **state)
{
	unsigned char *data;

	(void)state;
	assert_int_equal(ftruncate(rig.fd, 4096), 0);
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 0, NULL, 8192, &data), BLK_IOERR);
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 16, NULL, 512, &data), BLK_IOERR);
	assert_int_equal(blk_counters_get(rig.dev)->execute_fails, 2);
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 0, NULL, 4096, &data), BLK_OK);
}

/* Puts an operation into the device's ring, past the engine; how it ended. */
static int ring_try(uint8_t op, uint8_t flags)
{
	struct io_uring *ring = blk_uring_ring(blk_of(rig.dev)->engine);
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe = NULL;
	int res;

	if (!sqe)
		return -EBUSY;
	io_uring_prep_rw(op, sqe, 0, NULL, 0, 0);
	io_uring_sqe_set_flags(sqe, flags);
	assert_true(io_uring_submit(ring) >= 0);
	assert_int_equal(io_uring_wait_cqe(ring, &cqe), 0);
	res = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

/* The kernel refuses what the ring was not made for, whatever is put into it. */

static void the_ring_takes_no_other_operation_and_no_other_file(void **state)
{
	(void)state;
	assert_int_equal(ring_try(IORING_OP_OPENAT, IOSQE_FIXED_FILE), -EACCES);
	assert_int_equal(ring_try(IORING_OP_SENDMSG, IOSQE_FIXED_FILE), -EACCES);
	assert_int_equal(ring_try(IORING_OP_FSYNC, 0), -EACCES);
	assert_int_equal(ring_try(IORING_OP_FSYNC, IOSQE_FIXED_FILE | IOSQE_IO_DRAIN), -EACCES);
	assert_int_equal(ring_try(IORING_OP_FSYNC, IOSQE_FIXED_FILE), 0);
}

#define ENGINE(f, c)                                                                               \
	{                                                                                          \
		.name = #f " (" #c ")", .test_func = f, .setup_func = setup,                       \
		.teardown_func = teardown, .initial_state = &(c)                                   \
	}
#define BOTH(f) ENGINE(f, sync_config), ENGINE(f, async_config)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(the_engine_is_the_one_asked_for),
		BOTH(a_random_load_leaves_what_a_plain_copy_has),
		ENGINE(a_random_load_leaves_what_a_plain_copy_has, direct_config),
		BOTH(a_reset_forgets_what_is_in_flight_and_touches_memory_no_more),
		ENGINE(a_reset_forgets_what_is_in_flight_and_touches_memory_no_more, direct_config),
		BOTH(draining_answers_everything_with_few_interrupts),
		BOTH(more_requests_than_the_pool_holds_are_taken_later),
		BOTH(a_file_that_shrank_is_an_io_error_and_nothing_else),
		ENGINE(the_ring_takes_no_other_operation_and_no_other_file, async_config),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("blk_engine", tests, NULL, NULL);
}
