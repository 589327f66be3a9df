/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to a running block device: backing file, size, rate limit; and several queues. */
#include "virtio/blk_dev.h"

#include "tests/unit/lib/blk_rig.h"
#include "tests/unit/lib/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define SIZE (BLK_RIG_SECTORS * BLK_SECTOR_SIZE)

static struct blk_rig rig;
static char other[300];
static struct err e;
static struct blk_config sync_config = {.writeback = true};
static struct blk_config async_config = {.writeback = true, .async = true};

static int setup(void **state)
{
	const struct blk_config *c = *state;
	int fd;

	blk_rig_init(&rig, *c, SIZE);
	(void)snprintf(other, sizeof(other), "%s.other", rig.path);
	fd = open(other, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "another", 7, 512), 7);
	assert_int_equal(ftruncate(fd, 2 * SIZE), 0);
	(void)close(fd);
	e = (struct err){0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(other);
	blk_rig_fini(&rig);
	return 0;
}

static uint64_t capacity(void)
{
	uint64_t sectors;

	virtio_dev_config_read(rig.dev, 0, &sectors, sizeof(sectors));
	return sectors;
}

static void another_file_takes_the_place_of_the_first(void **state)
{
	uint32_t generation = rig.dev->config_generation;
	unsigned char *data, id[20];

	(void)state;
	memcpy(id, blk_of(rig.dev)->st.id, sizeof(id));
	assert_int_equal(blk_update_path(rig.dev, other, &e), 0);
	assert_int_equal(capacity(), 2 * BLK_RIG_SECTORS);
	assert_int_equal(rig.dev->config_generation, generation + 1);
	assert_int_equal(rig.drv.config_irqs, 1);
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 1, NULL, 512, &data), BLK_OK);
	assert_memory_equal(data, "another", 8);
	assert_int_equal(blk_rig_request(&rig, BLK_GET_ID, 0, NULL, 20, &data), BLK_OK);
	assert_memory_not_equal(data, id, sizeof(id));
	assert_int_equal(blk_counters_get(rig.dev)->update_count, 1);
}

static void an_update_that_fails_leaves_the_old_file(void **state)
{
	unsigned char *data;

	(void)state;
	assert_int_equal(blk_update_path(rig.dev, "/nonexistent/disk", &e), -ENOENT);
	assert_string_equal(e.msg,
		"Error manipulating the backing file: No such file or directory (os error 2) "
		"/nonexistent/disk");
	assert_int_equal(rig.drv.config_irqs, 0);
	assert_int_equal(blk_counters_get(rig.dev)->update_fails, 1);
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 3, NULL, 512, &data), BLK_OK);
	assert_int_equal(data[1], blk_rig_pattern(3 * 512 + 1));
}

static void a_file_of_the_same_size_is_no_news_to_the_driver(void **state)
{
	(void)state;
	assert_int_equal(blk_update_path(rig.dev, rig.path, &e), 0);
	assert_int_equal(rig.drv.config_irqs, 0);
}

static void what_is_in_flight_is_finished_on_the_old_file(void **state)
{
	uint64_t data = driver_alloc(&rig.drv, 512, 512), st = driver_alloc(&rig.drv, 1, 1);

	(void)state;
	(void)driver_chain(&rig.drv,
		(struct driver_buf[]){{blk_rig_header(&rig, BLK_IN, 1), 16, false},
			{data, 512, true}, {st, 1, true}},
		3);
	virtio_dev_notify(rig.dev, 0);
	assert_int_equal(blk_update_path(rig.dev, other, &e), 0);
	assert_int_equal(driver_used_idx(&rig.drv), 1);
	assert_int_equal(*(unsigned char *)driver_at(&rig.drv, data), blk_rig_pattern(512));
}

static void growth_and_shrinkage_reach_the_driver(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(rig.fd, 3 * SIZE), 0);
	assert_int_equal(blk_resize(rig.dev, &e), 0);
	assert_int_equal(capacity(), 3 * BLK_RIG_SECTORS);
	assert_int_equal(
		blk_rig_request(&rig, BLK_OUT, 3 * BLK_RIG_SECTORS - 1, NULL, 512, NULL), BLK_OK);
	assert_int_equal(ftruncate(rig.fd, 512), 0);
	assert_int_equal(blk_resize(rig.dev, &e), 0);
	assert_int_equal(rig.drv.config_irqs, 2);
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 1, NULL, 512, NULL), BLK_IOERR);
	assert_int_equal(blk_counters_get(rig.dev)->execute_fails, 0);
}

static void offer_read(void)
{
	uint64_t data = driver_alloc(&rig.drv, 512, 512), st = driver_alloc(&rig.drv, 1, 1);

	(void)driver_chain(&rig.drv,
		(struct driver_buf[]){{blk_rig_header(&rig, BLK_IN, 1), 16, false},
			{data, 512, true}, {st, 1, true}},
		3);
}

/* Two operations an hour: the third request stays in the queue, whole, until the limit is lifted. */
static void requests_wait_for_the_limiter_and_are_not_lost(void **state)
{
	const struct rate_limiter_config tight = {.has_ops = true, .ops = {2, 3600000, 0}};
	const struct rate_limiter_config off = {.has_ops = true};
	struct blk *b = blk_of(rig.dev);

	(void)state;
	blk_update_limiter(rig.dev, &tight);
	for (int i = 0; i < 4; i++)
		offer_read();
	virtio_dev_notify(rig.dev, 0);
	blk_rig_drain(&rig);
	assert_int_equal(driver_used_idx(&rig.drv), 2);
	assert_true(b->timer.armed);
	assert_int_equal(b->counters.rate_limiter_throttled_events, 1);
	virtio_dev_notify(rig.dev, 0); /* a kick changes nothing */
	assert_int_equal(driver_used_idx(&rig.drv), 2);

	blk_update_limiter(rig.dev, &off);
	assert_false(b->timer.armed);
	assert_int_equal(rig.drv.kicks, 1);
	virtio_dev_notify(rig.dev, 0);
	blk_rig_drain(&rig);
	assert_int_equal(driver_used_idx(&rig.drv), 4);
}

static void bytes_are_charged_for_data_and_for_zeroes(void **state)
{
	const struct rate_limiter_config c = {
		.has_bandwidth = true, .bandwidth = {100000, 3600000000, 0}};
	const struct {
		uint64_t sector;
		uint32_t sectors, flags;
	} range = {0, 8, 0};
	struct blk *b = blk_of(rig.dev);

	(void)state;
	blk_update_limiter(rig.dev, &c);
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 0, NULL, 1024, NULL), BLK_OK);
	assert_int_equal(b->st.limiter.bandwidth.tokens, 98976);
	assert_int_equal(blk_rig_request(&rig, BLK_OUT, 0, NULL, 512, NULL), BLK_OK);
	assert_int_equal(
		blk_rig_request(&rig, BLK_WRITE_ZEROES, 0, &range, sizeof(range), NULL), BLK_OK);
	assert_int_equal(b->st.limiter.bandwidth.tokens, 98976 - 512 - 4096);
	assert_int_equal(blk_rig_request(&rig, BLK_FLUSH, 0, NULL, 0, NULL), BLK_OK);
	assert_int_equal(
		blk_rig_request(&rig, BLK_DISCARD, 0, &range, sizeof(range), NULL), BLK_OK);
	assert_int_equal(b->st.limiter.bandwidth.tokens, 98976 - 512 - 4096);
}

static void a_reset_lets_go_of_a_throttled_queue(void **state)
{
	const struct rate_limiter_config tight = {.has_ops = true, .ops = {1, 3600000, 0}};

	(void)state;
	blk_update_limiter(rig.dev, &tight);
	offer_read();
	offer_read();
	virtio_dev_notify(rig.dev, 0);
	blk_rig_drain(&rig);
	assert_int_equal(blk_of(rig.dev)->throttled, 1);
	virtio_dev_write_status(rig.dev, 0);
	assert_int_equal(blk_of(rig.dev)->throttled, 0);
	blk_of(rig.dev)->timer.fn(blk_of(rig.dev)); /* it fires all the same */
	assert_false(rig.dev->activated);
}

static void as_many_queues_as_asked_for_are_offered(void **state)
{
	struct blk_config c = *(struct blk_config *)*state;
	uint16_t num_queues;

	blk_rig_fini(&rig);
	c.queues = 4;
	blk_rig_init(&rig, c, SIZE);
	virtio_dev_config_read(rig.dev, 34, &num_queues, sizeof(num_queues));
	assert_int_equal(num_queues, 4);
	assert_int_equal(rig.dev->queue_count, 4);
	assert_true(rig.dev->features >> BLK_F_MQ & 1);
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 0, NULL, 512, NULL), BLK_OK);
	virtio_dev_notify(rig.dev, 3); /* never set up by this driver */
	virtio_dev_notify(rig.dev, 4);
	assert_int_equal(rig.dev->status & VIRTIO_STATUS_NEEDS_RESET, 0);
}

static void topology_tells_pages(void **state)
{
	uint8_t exp;
	uint16_t min_io;

	(void)state;
	virtio_dev_config_read(rig.dev, 24, &exp, 1);
	virtio_dev_config_read(rig.dev, 26, &min_io, 2);
	assert_int_equal(exp, 3);
	assert_int_equal(min_io, 8);
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
		BOTH(another_file_takes_the_place_of_the_first),
		BOTH(an_update_that_fails_leaves_the_old_file),
		BOTH(a_file_of_the_same_size_is_no_news_to_the_driver),
		BOTH(what_is_in_flight_is_finished_on_the_old_file),
		BOTH(growth_and_shrinkage_reach_the_driver),
		BOTH(requests_wait_for_the_limiter_and_are_not_lost),
		BOTH(bytes_are_charged_for_data_and_for_zeroes),
		BOTH(a_reset_lets_go_of_a_throttled_queue),
		BOTH(as_many_queues_as_asked_for_are_offered),
		ENGINE(topology_tells_pages, sync_config),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("blk_update", tests, NULL, NULL);
}
