/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy device. */
#include "virtio/rng.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/driver.h"
#include "tests/unit/lib/fail.h"

#include <errno.h>

static struct driver drv;
static struct virtio_dev *dev;
static struct err e;

static int setup(void **state)
{
	(void)state;
	fail_reset();
	driver_init(&drv, 16);
	assert_int_equal(rng_create(&drv.mem, &(struct rng_config){0}, &dev, &e), 0);
	driver_start(&drv, dev, DRIVER_FEATURES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fail_reset();
	dev->ops->destroy(dev);
	driver_fini(&drv);
	return 0;
}

static const struct rng_counters *counters(void)
{
	return rng_counters_get(dev);
}

/* Offers the buffers, lets the device run, returns the length it told. */
static uint32_t ask(const struct driver_buf *bufs, unsigned count)
{
	struct driver_used u;

	driver_chain(&drv, bufs, count);
	virtio_dev_notify(dev, 0);
	assert_true(driver_poll(&drv, &u));
	return u.len;
}

static unsigned zeroes(uint64_t at, uint32_t len)
{
	const unsigned char *p = driver_at(&drv, at);
	unsigned n = 0;

	for (uint32_t i = 0; i < len; i++)
		n += p[i] == 0;
	return n;
}

static void buffers_are_filled_with_random_bytes(void **state)
{
	uint64_t a = driver_alloc(&drv, 4097, 1), b = driver_alloc(&drv, 4096, 1);

	(void)state;
	assert_int_equal(ask((struct driver_buf[]){{a, 4096, true}, {b, 4096, true}}, 2), 8192);
	assert_true(zeroes(a, 4096) < 100);
	assert_true(zeroes(b, 4096) < 100);
	assert_memory_not_equal(driver_at(&drv, a), driver_at(&drv, b), 4096);
	assert_int_equal(zeroes(a + 4096, 1), 1);
	assert_int_equal(counters()->entropy_bytes, 8192);
	assert_int_equal(counters()->entropy_event_count, 1);
}

static void a_request_gets_at_most_64_kib(void **state)
{
	uint64_t a = driver_alloc(&drv, RNG_REQUEST_SIZE_MAX + 64, 1);

	(void)state;
	assert_int_equal(
		ask((struct driver_buf[]){{a, 10, true}, {a + 10, RNG_REQUEST_SIZE_MAX, true}}, 2),
		RNG_REQUEST_SIZE_MAX);
	assert_int_equal(zeroes(a + RNG_REQUEST_SIZE_MAX, 64), 64);
}

static void readable_buffers_are_left_alone(void **state)
{
	uint64_t a = driver_alloc(&drv, 64, 1), b = driver_alloc(&drv, 64, 1);

	(void)state;
	assert_int_equal(ask((struct driver_buf[]){{a, 64, false}, {b, 64, true}}, 2), 64);
	assert_int_equal(zeroes(a, 64), 64);
}

static void a_request_with_no_room_is_returned_and_counted(void **state)
{
	(void)state;
	assert_int_equal(ask((struct driver_buf[]){{DRIVER_RAM_START, 64, false}}, 1), 0);
	assert_int_equal(ask((struct driver_buf[]){{DRIVER_RAM_START, 0, true}}, 1), 0);
	assert_int_equal(counters()->entropy_event_fails, 2);
}

static void short_and_interrupted_calls_are_continued(void **state)
{
	uint64_t a = driver_alloc(&drv, 1024, 1);

	(void)state;
	fail_short(FAIL_GETRANDOM, 1, 100);
	assert_int_equal(ask((struct driver_buf[]){{a, 1024, true}}, 1), 1024);
	fail_nth(FAIL_GETRANDOM, 1, EINTR);
	assert_int_equal(ask((struct driver_buf[]){{a, 1024, true}}, 1), 1024);
	assert_int_equal(counters()->host_rng_fails, 0);
}

static void a_host_without_randomness_yields_only_what_it_gave(void **state)
{
	uint64_t a = driver_alloc(&drv, 1024, 1);

	(void)state;
	fail_nth(FAIL_GETRANDOM, 1, EAGAIN);
	assert_int_equal(ask((struct driver_buf[]){{a, 512, true}, {a + 512, 512, true}}, 2), 0);
	assert_int_equal(zeroes(a, 1024), 1024);
	fail_nth(FAIL_GETRANDOM, 2, EAGAIN);
	assert_int_equal(ask((struct driver_buf[]){{a, 512, true}, {a + 512, 512, true}}, 2), 512);
	assert_int_equal(counters()->host_rng_fails, 2);
	assert_int_equal(counters()->entropy_bytes, 512);
}

static void creation_without_memory_fails_cleanly(void **state)
{
	struct virtio_dev *none = NULL;

	(void)state;
	fail_nth(FAIL_CALLOC, 1, ENOMEM);
	assert_int_equal(rng_create(&drv.mem, &(struct rng_config){0}, &none, &e), -ENOMEM);
	assert_null(none);
}

/* 100 bytes an hour: a request of 60 passes, the next waits in the queue until the limit is lifted. */
static void requests_wait_for_the_limiter_and_are_not_lost(void **state)
{
	const struct rate_limiter_config tight = {
		.has_bandwidth = true, .bandwidth = {100, 3600000, 0}};
	const struct rate_limiter_config off = {.has_bandwidth = true};
	uint64_t a = driver_alloc(&drv, 64, 1), b = driver_alloc(&drv, 64, 1);
	struct driver_used u;

	(void)state;
	rng_update_limiter(dev, &tight);
	assert_int_equal(ask((struct driver_buf[]){{a, 60, true}}, 1), 60);
	driver_chain(&drv, (struct driver_buf[]){{b, 60, true}}, 1);
	virtio_dev_notify(dev, 0);
	virtio_dev_notify(dev, 0);
	assert_false(driver_poll(&drv, &u));
	assert_int_equal(zeroes(b, 60), 60);
	assert_int_equal(counters()->entropy_rate_limiter_throttled, 1);

	rng_update_limiter(dev, &off);
	assert_int_equal(drv.kicks, 1);
	virtio_dev_notify(dev, 0);
	assert_true(driver_poll(&drv, &u));
	assert_int_equal(u.len, 60);
}

static void a_reset_lets_go_of_a_throttled_queue(void **state)
{
	const struct rate_limiter_config tight = {.has_ops = true, .ops = {1, 3600000, 0}};
	uint64_t a = driver_alloc(&drv, 64, 1);

	(void)state;
	rng_update_limiter(dev, &tight);
	assert_int_equal(ask((struct driver_buf[]){{a, 8, true}}, 1), 8);
	driver_chain(&drv, (struct driver_buf[]){{a, 8, true}}, 1);
	virtio_dev_notify(dev, 0);
	assert_int_equal(counters()->entropy_rate_limiter_throttled, 1);
	driver_start(&drv, dev, DRIVER_FEATURES);
	rng_update_limiter(dev, &(struct rate_limiter_config){.has_ops = true});
	assert_int_equal(drv.kicks, 0); /* nobody waits any more */
	assert_int_equal(ask((struct driver_buf[]){{DRIVER_RAM_END - 64, 8, true}}, 1), 8);
}

static void state_round_trips(void **state)
{
	const struct rate_limiter_config c = {.has_ops = true, .ops = {5, 3600000, 7}};
	struct rng_state saved;

	(void)state;
	assert_true(field_table_sound(dev->ops->state, &e));
	rng_update_limiter(dev, &c);
	assert_int_equal(ask((struct driver_buf[]){{DRIVER_RAM_END - 64, 8, true}}, 1), 8);
	saved = *(struct rng_state *)dev->state;
	assert_int_equal(saved.limiter.ops.burst_left, 6);
	rng_update_limiter(dev, &(struct rate_limiter_config){.has_ops = true});
	assert_int_equal(field_table_check(dev->ops->state, &saved, &e), 0);
	assert_int_equal(dev->ops->load(dev, &saved, &e), 0);
	assert_memory_equal(dev->state, &saved, sizeof(saved));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(buffers_are_filled_with_random_bytes),
		T(a_request_gets_at_most_64_kib),
		T(readable_buffers_are_left_alone),
		T(a_request_with_no_room_is_returned_and_counted),
		T(short_and_interrupted_calls_are_continued),
		T(a_host_without_randomness_yields_only_what_it_gave),
		T(creation_without_memory_fails_cleanly),
		T(requests_wait_for_the_limiter_and_are_not_lost),
		T(a_reset_lets_go_of_a_throttled_queue),
		T(state_round_trips),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
