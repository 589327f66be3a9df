/* SPDX-License-Identifier: Apache-2.0 */
/* Indirect descriptor tables (virtio 1.2 §2.7.5.3), good and evil. */
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

static int setup_plain(void **state)
{
	(void)state;
	start(SIZE, DRIVER_FEATURES_PLAIN);
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

static void pop_follows_an_indirect_table(void **state)
{
	uint64_t at = driver_alloc(&drv, 64, 16);
	const struct driver_buf bufs[] = {
		{at, 16, false}, {at + 16, 16, false}, {at + 32, 32, true}};

	(void)state;
	driver_chain_indirect(&drv, bufs, 3);

	assert_int_equal(pop(), 1);
	assert_int_equal(chain.rd_count, 2);
	assert_int_equal(chain.wr_bytes, 32);
	assert_int_equal(chain.seg[2].at.v, at + 32);
}

static void pop_takes_direct_descriptors_before_an_indirect_table(void **state)
{
	uint64_t table = driver_alloc(&drv, 16, 16);

	(void)state;
	driver_table_set(&drv, table, 0, (struct driver_desc){DRIVER_RAM_START, 4, DESC_WRITE, 0});
	driver_desc_set(&drv, 0, DRIVER_RAM_START, 8, DESC_NEXT, 1);
	driver_desc_set(&drv, 1, table, 16, DESC_INDIRECT, 0);
	driver_offer(&drv, 0);

	assert_int_equal(pop(), 1);
	assert_int_equal(chain.rd_bytes, 8);
	assert_int_equal(chain.wr_bytes, 4);
}

static void pop_takes_an_indirect_table_longer_than_the_queue(void **state)
{
	struct driver_buf bufs[VQ_SIZE_MAX];

	(void)state;
	for (unsigned i = 0; i < NELEM(bufs); i++)
		bufs[i] = (struct driver_buf){DRIVER_RAM_START, 1, true};
	driver_chain_indirect(&drv, bufs, NELEM(bufs));

	assert_int_equal(pop(), 1);
	assert_int_equal(chain.wr_count, VQ_SIZE_MAX);
}

static void pop_refuses_more_descriptors_than_any_queue_has(void **state)
{
	struct driver_buf bufs[VQ_SIZE_MAX + 1];

	(void)state;
	for (unsigned i = 0; i < NELEM(bufs); i++)
		bufs[i] = (struct driver_buf){DRIVER_RAM_START, 0, true};
	driver_chain_indirect(&drv, bufs, NELEM(bufs));

	assert_refused("too long");
}

static void pop_refuses_an_indirect_table_that_loops(void **state)
{
	uint64_t table = driver_alloc(&drv, 16, 16);

	(void)state;
	driver_table_set(&drv, table, 0, (struct driver_desc){DRIVER_RAM_START, 1, DESC_NEXT, 0});
	driver_desc_set(&drv, 0, table, 16, DESC_INDIRECT, 0);
	driver_offer(&drv, 0);

	assert_refused("loops");
}

static void pop_refuses_bad_indirect_descriptors(void **state)
{
	const struct {
		uint64_t at;
		uint32_t len;
		unsigned flags;
		const char *why;
	} bad[] = {
		{DRIVER_RAM_START, 0, 0, "multiple of 16"},
		{DRIVER_RAM_START, 15, 0, "multiple of 16"},
		{DRIVER_RAM_START, 17, 0, "multiple of 16"},
		{DRIVER_RAM_START, UINT32_MAX, 0, "multiple of 16"},
		{DRIVER_RAM_START, 16, DESC_NEXT, "successor"},
		{0, 16, 0, "outside guest memory"},
		{DRIVER_RAM_END, 16, 0, "outside guest memory"},
		{DRIVER_RAM_END - 16, 32, 0, "outside guest memory"},
		{UINT64_MAX - 15, 16, 0, "outside guest memory"},
		{UINT64_MAX - 15, 32, 0, "outside guest memory"},
		{DRIVER_RAM_START, UINT32_MAX - 15, 0, "outside guest memory"},
	};

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		driver_fini(&drv);
		start(SIZE, DRIVER_FEATURES);
		driver_desc_set(&drv, 0, bad[i].at, bad[i].len, DESC_INDIRECT | bad[i].flags, 1);
		driver_offer(&drv, 0);
		assert_refused(bad[i].why);
	}
}

static void pop_refuses_a_table_inside_a_table(void **state)
{
	uint64_t table = driver_alloc(&drv, 32, 16);

	(void)state;
	driver_table_set(&drv, table, 0, (struct driver_desc){table + 16, 16, DESC_INDIRECT, 0});
	driver_desc_set(&drv, 0, table, 16, DESC_INDIRECT, 0);
	driver_offer(&drv, 0);

	assert_refused("inside an indirect table");
}

static void pop_refuses_a_next_past_the_indirect_table(void **state)
{
	uint64_t table = driver_alloc(&drv, 64, 16);

	(void)state;
	driver_table_set(&drv, table, 0, (struct driver_desc){DRIVER_RAM_START, 1, DESC_NEXT, 2});
	driver_desc_set(&drv, 0, table, 32, DESC_INDIRECT, 0);
	driver_offer(&drv, 0);

	assert_refused("past the end");
}

static void pop_refuses_indirect_without_the_feature(void **state)
{
	const struct driver_buf buf = {DRIVER_RAM_START, 1, true};

	(void)state;
	driver_chain_indirect(&drv, &buf, 1);

	assert_refused("without the feature");
}

static void pop_ignores_the_write_flag_of_an_indirect_descriptor(void **state)
{
	uint64_t table = driver_alloc(&drv, 16, 16);

	(void)state;
	driver_table_set(&drv, table, 0, (struct driver_desc){DRIVER_RAM_START, 1, 0, 0});
	driver_desc_set(&drv, 0, table, 16, DESC_INDIRECT | DESC_WRITE, 0);
	driver_offer(&drv, 0);

	assert_int_equal(pop(), 1);
	assert_int_equal(chain.rd_count, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define P(f) cmocka_unit_test_setup_teardown(f, setup_plain, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pop_follows_an_indirect_table),
		T(pop_takes_direct_descriptors_before_an_indirect_table),
		T(pop_takes_an_indirect_table_longer_than_the_queue),
		T(pop_refuses_more_descriptors_than_any_queue_has),
		T(pop_refuses_an_indirect_table_that_loops),
		T(pop_refuses_bad_indirect_descriptors),
		T(pop_refuses_a_table_inside_a_table),
		T(pop_refuses_a_next_past_the_indirect_table),
		P(pop_refuses_indirect_without_the_feature),
		T(pop_ignores_the_write_flag_of_an_indirect_descriptor),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue_indirect", tests, NULL, NULL);
}
