/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking chains from a split virtqueue, offered by good and by evil drivers. More of it is in
 * test_queue_indirect.c and test_queue_ring.c; test_queue_random.c compares with a plain model.
 */
#include "virtio/queue.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/driver.h"

#include <errno.h>
#include <stdlib.h>

#define SIZE 8u

static struct driver drv;
static struct vq q;
static struct chain chain;
static const char *why;

static void start(uint16_t size, uint64_t features)
{
	driver_init(&drv, size);
	vq_init(&q, &drv.mem, VQ_SIZE_MAX);
	q.st = driver_vq_state(&drv);
	assert_int_equal(vq_enable(&q, features), 0);
	why = NULL;
}

static int setup(void **state)
{
	(void)state;
	start(SIZE, DRIVER_FEATURES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	driver_fini(&drv);
	return 0;
}

static int pop(void)
{
	return vq_pop(&q, &chain, &why);
}

/* The queue refuses what is at its head, says so, and refuses it again. */
static void assert_refused(const char *reason)
{
	assert_int_equal(pop(), -EPROTO);
	assert_non_null(why);
	if (!strstr(why, reason))
		fail_msg("\"%s\" does not say \"%s\"", why, reason);
	assert_int_equal(pop(), -EPROTO);
}

static void pop_of_an_empty_queue_finds_nothing(void **state)
{
	(void)state;
	assert_int_equal(pop(), 0);
}

static void pop_of_a_disabled_queue_finds_nothing(void **state)
{
	(void)state;
	driver_desc_set(&drv, 0, DRIVER_RAM_START, 16, 0, 0);
	driver_offer(&drv, 0);
	vq_disable(&q);

	assert_int_equal(pop(), 0);
	assert_false(vq_need_irq(&q));
	assert_false(vq_kicks_on(&q));
	vq_kicks_off(&q);
	assert_int_equal(q.st.ready, 0);
}

static void pop_gives_readable_then_writable_segments(void **state)
{
	uint64_t at = driver_alloc(&drv, 0x100, 16);
	const struct driver_buf bufs[] = {
		{at, 16, false}, {at + 16, 4, false}, {at + 0x40, 32, true}, {at + 0x80, 1, true}};

	(void)state;
	driver_chain(&drv, bufs, 4);

	assert_int_equal(pop(), 1);
	assert_int_equal(chain.head, 0);
	assert_int_equal(chain.rd_count, 2);
	assert_int_equal(chain.wr_count, 2);
	assert_int_equal(chain.rd_bytes, 20);
	assert_int_equal(chain.wr_bytes, 33);
	assert_int_equal(chain.seg[1].at.v, at + 16);
	assert_ptr_equal(gmem_host_addr(chain.seg[2].host), driver_at(&drv, at + 0x40));
	assert_int_equal(chain.seg[3].len, 1);
	assert_int_equal(pop(), 0);
}

static void pop_takes_a_chain_as_long_as_the_queue(void **state)
{
	struct driver_buf bufs[SIZE];

	(void)state;
	for (unsigned i = 0; i < SIZE; i++)
		bufs[i] = (struct driver_buf){DRIVER_RAM_START + i, 1, true};
	driver_chain(&drv, bufs, SIZE);

	assert_int_equal(pop(), 1);
	assert_int_equal(chain.wr_count, SIZE);
}

static void pop_refuses_a_chain_that_loops(void **state)
{
	(void)state;
	driver_desc_set(&drv, 0, DRIVER_RAM_START, 1, DESC_NEXT, 1);
	driver_desc_set(&drv, 1, DRIVER_RAM_START, 1, DESC_NEXT, 0);
	driver_offer(&drv, 0);

	assert_refused("loops");
}

static void pop_refuses_a_descriptor_that_follows_itself(void **state)
{
	(void)state;
	driver_desc_set(&drv, 3, 0, 0, DESC_NEXT, 3); /* empty ones count, too */
	driver_offer(&drv, 3);

	assert_refused("loops");
}

static void pop_refuses_a_head_past_queue_size(void **state)
{
	(void)state;
	driver_offer(&drv, SIZE);

	assert_refused("past the end");
}

static void pop_refuses_the_largest_head(void **state)
{
	(void)state;
	driver_offer(&drv, UINT16_MAX);

	assert_refused("past the end");
}

static void pop_refuses_a_next_past_queue_size(void **state)
{
	(void)state;
	driver_desc_set(&drv, 0, DRIVER_RAM_START, 1, DESC_NEXT, SIZE);
	driver_offer(&drv, 0);

	assert_refused("past the end");
}

static void pop_ignores_next_without_its_flag(void **state)
{
	(void)state;
	driver_desc_set(&drv, 0, DRIVER_RAM_START, 1, 0, UINT16_MAX);
	driver_offer(&drv, 0);

	assert_int_equal(pop(), 1);
}

static void pop_takes_a_full_ring(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < SIZE; i++) {
		driver_desc_set(&drv, i, DRIVER_RAM_START, 1, 0, 0);
		driver_offer(&drv, i);
	}

	for (uint16_t i = 0; i < SIZE; i++) {
		assert_int_equal(pop(), 1);
		assert_int_equal(chain.head, i);
	}
	assert_int_equal(pop(), 0);
}

static void pop_refuses_an_index_that_jumps_past_queue_size(void **state)
{
	(void)state;
	driver_idx_set(&drv, SIZE + 1);

	assert_refused("jumped");
}

static void pop_refuses_an_index_that_goes_back(void **state)
{
	(void)state;
	driver_idx_set(&drv, UINT16_MAX);

	assert_refused("jumped");
}

static void pop_refuses_readable_after_writable(void **state)
{
	const struct driver_buf bufs[] = {
		{DRIVER_RAM_START, 8, true}, {DRIVER_RAM_START, 8, false}};

	(void)state;
	driver_chain(&drv, bufs, 2);

	assert_refused("follows a writable");
}

static void pop_drops_empty_descriptors(void **state)
{
	const struct driver_buf bufs[] = {{0xdead0000, 0, false}, {DRIVER_RAM_START, 8, false},
		{UINT64_MAX, 0, true}, {DRIVER_RAM_START, 8, true}, {0, 0, true}};

	(void)state;
	driver_chain(&drv, bufs, 5);

	assert_int_equal(pop(), 1);
	assert_int_equal(chain.rd_count, 1);
	assert_int_equal(chain.wr_count, 1);
	assert_int_equal(chain.wr_bytes, 8);
}

static void pop_gives_a_chain_of_nothing(void **state)
{
	const struct driver_buf bufs[] = {{DRIVER_RAM_START, 0, true}};

	(void)state;
	driver_chain(&drv, bufs, 1);

	assert_int_equal(pop(), 1);
	assert_int_equal(chain.rd_count + chain.wr_count, 0);
	vq_push(&q, &chain, 0);
	assert_int_equal(driver_used_idx(&drv), 1);
}

static void pop_refuses_buffers_outside_memory(void **state)
{
	const struct driver_buf bad[] = {
		{0, 1, false},
		{DRIVER_RAM_START - 1, 1, true},
		{DRIVER_RAM_START - 1, 2, true},
		{DRIVER_RAM_END, 1, true},
		{DRIVER_RAM_END - 1, 2, false},
		{DRIVER_RAM_START, DRIVER_RAM_SIZE + 1, true},
		{DRIVER_RAM_START, UINT32_MAX, true},
		{UINT64_MAX - 1, 1, true},
	};

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		driver_fini(&drv);
		start(SIZE, DRIVER_FEATURES);
		driver_chain(&drv, &bad[i], 1);
		assert_refused("outside guest memory");
	}
}

static void pop_refuses_a_buffer_that_wraps(void **state)
{
	const struct driver_buf buf = {UINT64_MAX - 2, 4, true};

	(void)state;
	driver_chain(&drv, &buf, 1);

	assert_refused("wraps");
}

static void pop_takes_buffers_up_to_the_last_byte(void **state)
{
	const struct driver_buf bufs[] = {
		{DRIVER_RAM_END - 1, 1, false}, {DRIVER_RAM_START, DRIVER_RAM_SIZE, true}};

	(void)state;
	driver_chain(&drv, bufs, 2);

	assert_int_equal(pop(), 1);
	assert_int_equal(chain.wr_bytes, DRIVER_RAM_SIZE);
}

/* The upper half of the driver's memory becomes a region of its own that touches the first. */
static void split_memory(void)
{
	struct gmem_region *r = drv.mem.regions;

	r[1] = r[0];
	r[1].start.v += DRIVER_RAM_SIZE / 2;
	r[1].size = r[0].size = DRIVER_RAM_SIZE / 2;
	r[1].host += DRIVER_RAM_SIZE / 2;
	r[1].file_offset = DRIVER_RAM_SIZE / 2;
	drv.mem.region_count = 2;
}

static void pop_splits_a_buffer_across_touching_regions(void **state)
{
	const uint64_t seam = DRIVER_RAM_START + DRIVER_RAM_SIZE / 2;
	const struct driver_buf buf = {seam - 3, 8, true};
	char back[8];

	(void)state;
	split_memory();
	driver_chain(&drv, &buf, 1);

	assert_int_equal(pop(), 1);
	assert_int_equal(chain.wr_count, 2);
	assert_int_equal(chain.seg[0].len, 3);
	assert_int_equal(chain.seg[1].at.v, seam);
	assert_int_equal(chain_write(&chain, 0, "abcdefgh", 8), 0);
	memcpy(back, driver_at(&drv, seam - 3), 8);
	assert_memory_equal(back, "abcdefgh", 8);
}

static void pop_bounds_the_pieces_of_a_split_chain(void **state)
{
	struct driver_buf bufs[VQ_SIZE_MAX];

	(void)state;
	driver_fini(&drv);
	start(VQ_SIZE_MAX, DRIVER_FEATURES);
	split_memory();
	for (unsigned i = 0; i < NELEM(bufs); i++)
		bufs[i] = (struct driver_buf){DRIVER_RAM_START, DRIVER_RAM_SIZE, true};
	driver_chain(&drv, bufs, NELEM(bufs));

	assert_refused("too many pieces");
}

static void pop_bounds_the_bytes_of_a_chain(void **state)
{
	struct gmem_region *r = drv.mem.regions;
	struct driver_buf bufs[4];

	(void)state;
	r->size = 2 * GIB; /* never touched */
	for (unsigned i = 0; i < NELEM(bufs); i++)
		bufs[i] = (struct driver_buf){DRIVER_RAM_START, 1u << 30, true};
	bufs[3].len--;
	driver_chain(&drv, bufs, 4);
	assert_int_equal(pop(), 1);
	assert_int_equal(chain.wr_bytes, UINT32_MAX);

	bufs[3].len++;
	driver_chain(&drv, bufs, 4);
	assert_refused("4 GiB");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pop_of_an_empty_queue_finds_nothing),
		T(pop_of_a_disabled_queue_finds_nothing),
		T(pop_gives_readable_then_writable_segments),
		T(pop_takes_a_chain_as_long_as_the_queue),
		T(pop_refuses_a_chain_that_loops),
		T(pop_refuses_a_descriptor_that_follows_itself),
		T(pop_refuses_a_head_past_queue_size),
		T(pop_refuses_the_largest_head),
		T(pop_refuses_a_next_past_queue_size),
		T(pop_ignores_next_without_its_flag),
		T(pop_takes_a_full_ring),
		T(pop_refuses_an_index_that_jumps_past_queue_size),
		T(pop_refuses_an_index_that_goes_back),
		T(pop_refuses_readable_after_writable),
		T(pop_drops_empty_descriptors),
		T(pop_gives_a_chain_of_nothing),
		T(pop_refuses_buffers_outside_memory),
		T(pop_refuses_a_buffer_that_wraps),
		T(pop_takes_buffers_up_to_the_last_byte),
		T(pop_splits_a_buffer_across_touching_regions),
		T(pop_bounds_the_pieces_of_a_split_chain),
		T(pop_bounds_the_bytes_of_a_chain),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
