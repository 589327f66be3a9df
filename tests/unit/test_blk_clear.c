/* SPDX-License-Identifier: Apache-2.0 */
/* DISCARD and WRITE_ZEROES, on both engines, and on hosts that lack parts of fallocate. */
#include "virtio/blk_dev.h"

#include "tests/unit/lib/blk_rig.h"
#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTORS 2048u
#define SIZE    (SECTORS * BLK_SECTOR_SIZE)

struct range {
	uint64_t sector;
	uint32_t sectors, flags;
};

static struct blk_rig rig;
static struct blk_config sync_config = {.writeback = true};
static struct blk_config async_config = {.writeback = true, .async = true};
static struct blk_config read_only_config = {.read_only = true};

static int setup(void **state)
{
	const struct blk_config *c = *state;

	fail_reset();
	blk_rig_init(&rig, *c, SIZE);
	return 0;
}

/* On a file system that can punch holes but knows no zeroed ranges. */
static int setup_tmpfs(void **state)
{
	int rc;

	(void)setenv("TMPDIR", "/dev/shm", 1);
	rc = setup(state);
	(void)unsetenv("TMPDIR");
	return rc;
}

static int loop_fd = -1;

static int teardown(void **state)
{
	(void)state;
	fail_reset();
	blk_rig_fini(&rig);
	if (loop_fd >= 0)
		(void)close(loop_fd);
	loop_fd = -1;
	return 0;
}

/* The rig's file as a block device, which the last close takes apart. -1 if this host has none. */
static int attach_loop(char *path, size_t size)
{
	const struct loop_info64 info = {.lo_flags = LO_FLAGS_AUTOCLEAR};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), fd = -1;

	for (int tries = 0; control >= 0 && fd < 0 && tries < 10; tries++) {
		(void)snprintf(path, size, "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
		fd = open(path, O_RDWR | O_CLOEXEC);
		/* Somebody else may have been given the same one. */
		if (fd >= 0 && ioctl(fd, LOOP_SET_FD, rig.fd) < 0) {
			(void)close(fd);
			fd = -1;
		}
	}
	if (control >= 0)
		(void)close(control);
	if (fd >= 0)
		assert_int_equal(ioctl(fd, LOOP_SET_STATUS64, &info), 0);
	return fd;
}

/* The device moves from the file to a block device on the same file. */
static int setup_loop(void **state)
{
	struct err e = {0};
	char path[32];

	(void)setup(state);
	loop_fd = attach_loop(path, sizeof(path));
	if (loop_fd >= 0)
		assert_int_equal(blk_update_path(rig.dev, path, &e), 0);
	return 0;
}

static uint8_t clear(uint32_t type, const struct range *r, uint32_t bytes)
{
	unsigned char *data;

	return blk_rig_request(&rig, type, 0, r, bytes, &data);
}

static uint8_t clear_one(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	const struct range r = {sector, sectors, flags};

	return clear(type, &r, sizeof(r));
}

/* Sectors [from, to) of the file are zero, all others as they were made. */
static void assert_zero_only(uint64_t from, uint64_t to)
{
	static unsigned char buf[SIZE];

	assert_int_equal(pread(rig.fd, buf, SIZE, 0), SIZE);
	for (uint64_t i = 0; i < SIZE; i++) {
		bool zero = i >= from * BLK_SECTOR_SIZE && i < to * BLK_SECTOR_SIZE;

		if (buf[i] != (zero ? 0 : blk_rig_pattern(i)))
			fail_msg("byte %llu is %#x", (unsigned long long)i, buf[i]);
	}
}

static blkcnt_t blocks(void)
{
	struct stat st;

	assert_int_equal(fsync(rig.fd), 0);
	assert_int_equal(fstat(rig.fd, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	return st.st_blocks;
}

static void a_discard_gives_the_space_back(void **state)
{
	blkcnt_t before = blocks();

	(void)state;
	assert_int_equal(clear_one(BLK_DISCARD, 64, 1024, 0), BLK_OK);
	assert_zero_only(64, 64 + 1024);
	assert_true(blocks() + 1024 <= before);
	assert_int_equal(rig.used_len, 1);
}

static void zeroes_read_back_and_stay_allocated_unless_unmapped(void **state)
{
	blkcnt_t before = blocks();

	(void)state;
	assert_int_equal(clear_one(BLK_WRITE_ZEROES, 63, 1025, 0), BLK_OK);
	assert_zero_only(63, 63 + 1025);
	assert_true(blocks() >= before);
	assert_int_equal(clear_one(BLK_WRITE_ZEROES, 63, 1026, 1), BLK_OK);
	assert_zero_only(63, 63 + 1026);
	assert_true(blocks() < before);
}

static void several_ranges_are_discarded_by_one_request(void **state)
{
	struct range r[BLK_DISCARD_RANGES_MAX];
	blkcnt_t before = blocks();

	(void)state;
	for (uint32_t i = 0; i < NELEM(r); i++)
		r[i] = (struct range){64 + i * 8, 8, 0};
	assert_int_equal(clear(BLK_DISCARD, r, sizeof(r)), BLK_OK);
	assert_zero_only(64, 64 + NELEM(r) * 8);
	assert_true(blocks() < before);
}

static void a_bad_range_spoils_the_whole_request(void **state)
{
	const struct range r[2] = {{0, 8, 0}, {SECTORS - 7, 8, 0}};

	(void)state;
	assert_int_equal(clear(BLK_DISCARD, r, sizeof(r)), BLK_IOERR);
	assert_zero_only(0, 0);
	assert_int_equal(blk_counters_get(rig.dev)->invalid_reqs_count, 1);
}

static void bad_requests_touch_nothing(void **state)
{
	static const struct {
		uint32_t type;
		struct range r;
		uint8_t want;
	} rows[] = {
		{BLK_DISCARD, {SECTORS, 1, 0}, BLK_IOERR},
		{BLK_DISCARD, {UINT64_MAX, 2, 0}, BLK_IOERR},
		{BLK_DISCARD, {1ull << 55, 1, 0}, BLK_IOERR},
		{BLK_DISCARD, {0, BLK_DISCARD_SECTORS_MAX + 1, 0}, BLK_IOERR},
		{BLK_DISCARD, {0, 8, 1}, BLK_UNSUPP}, /* a discard always unmaps */
		{BLK_DISCARD, {0, 8, 2}, BLK_UNSUPP},
		{BLK_WRITE_ZEROES, {SECTORS - 1, 2, 0}, BLK_IOERR},
		{BLK_WRITE_ZEROES, {0, BLK_WRITE_ZEROES_SECTORS_MAX + 1, 0}, BLK_IOERR},
		{BLK_WRITE_ZEROES, {0, 8, 2}, BLK_UNSUPP},
		{BLK_WRITE_ZEROES, {0, 8, 0x80000001}, BLK_UNSUPP},
		{BLK_WRITE_ZEROES, {8, 0, 0}, BLK_OK}, /* nothing asked, nothing done */
		{BLK_DISCARD, {SECTORS, 0, 0}, BLK_OK},
	};

	(void)state;
	for (size_t i = 0; i < NELEM(rows); i++)
		if (clear(rows[i].type, &rows[i].r, sizeof(rows[i].r)) != rows[i].want)
			fail_msg("row %zu", i);
	assert_zero_only(0, 0);
}

static void the_data_must_be_whole_ranges_and_not_too_many(void **state)
{
	static const struct range r[BLK_DISCARD_RANGES_MAX + 1];
	static const uint32_t bad[] = {0, 1, 15, 17, 31, sizeof(r)};

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++)
		assert_int_equal(clear(BLK_DISCARD, r, bad[i]), BLK_IOERR);
	assert_int_equal(clear(BLK_WRITE_ZEROES, r, 2 * sizeof(r[0])), BLK_IOERR);
}

static void what_was_not_negotiated_is_unsupported(void **state)
{
	(void)state;
	blk_rig_start(&rig, DRIVER_FEATURES);
	assert_int_equal(clear_one(BLK_DISCARD, 0, 8, 0), BLK_UNSUPP);
	assert_int_equal(clear_one(BLK_WRITE_ZEROES, 0, 8, 0), BLK_UNSUPP);
	assert_zero_only(0, 0);
}

static void a_read_only_drive_does_not_offer_it(void **state)
{
	uint32_t max;

	(void)state;
	assert_int_equal(clear_one(BLK_DISCARD, 0, 8, 0), BLK_UNSUPP);
	assert_int_equal(clear_one(BLK_WRITE_ZEROES, 0, 8, 0), BLK_UNSUPP);
	virtio_dev_config_read(rig.dev, 36, &max, sizeof(max));
	assert_int_equal(max, 0);
	assert_zero_only(0, 0);
}

static void without_fallocate_zeroes_are_written_and_discards_refused(void **state)
{
	(void)state;
	fail_nth(FAIL_FALLOCATE, 1, EOPNOTSUPP);
	assert_int_equal(clear_one(BLK_WRITE_ZEROES, 64, 300, 0), BLK_OK);
	assert_zero_only(64, 364);
	fail_nth(FAIL_FALLOCATE, 1, EOPNOTSUPP); /* no holes, but zeroed ranges */
	assert_int_equal(clear_one(BLK_WRITE_ZEROES, 64, 301, 1), BLK_OK);
	assert_zero_only(64, 365);
	fail_nth(FAIL_FALLOCATE, 1, EOPNOTSUPP);
	assert_int_equal(clear_one(BLK_DISCARD, 0, 8, 0), BLK_UNSUPP);
	assert_zero_only(64, 365);
}

static void host_errors_reach_the_guest(void **state)
{
	(void)state;
	fail_nth(FAIL_FALLOCATE, 1, EINTR);
	assert_int_equal(clear_one(BLK_DISCARD, 64, 8, 0), BLK_OK);
	fail_nth(FAIL_FALLOCATE, 1, EIO);
	assert_int_equal(clear_one(BLK_DISCARD, 0, 8, 0), BLK_IOERR);
	fail_nth(FAIL_FALLOCATE, 1, ENOSPC);
	assert_int_equal(clear_one(BLK_WRITE_ZEROES, 0, 8, 0), BLK_IOERR);
	assert_int_equal(blk_counters_get(rig.dev)->execute_fails, 2);
	assert_zero_only(64, 72);
}

static void zeroes_are_flushed_when_the_driver_cannot(void **state)
{
	(void)state;
	blk_rig_start(&rig, DRIVER_FEATURES | 1ull << BLK_F_WRITE_ZEROES);
	assert_int_equal(clear_one(BLK_WRITE_ZEROES, 0, 8, 0), BLK_OK);
	assert_int_equal(blk_counters_get(rig.dev)->flush_count, 1);
}

static void a_block_device_is_discarded_and_zeroed(void **state)
{
	blkcnt_t before = blocks();

	(void)state;
	if (loop_fd < 0)
		skip();
	assert_int_equal(clear_one(BLK_DISCARD, 64, 1024, 0), BLK_OK);
	assert_zero_only(64, 64 + 1024);
	assert_true(blocks() + 1024 <= before);
	assert_int_equal(clear_one(BLK_WRITE_ZEROES, 64 + 1024, 512, 0), BLK_OK);
	assert_zero_only(64, 64 + 1024 + 512);
	before = blocks();
	assert_int_equal(clear_one(BLK_WRITE_ZEROES, 64 + 1536, 256, 1), BLK_OK);
	assert_zero_only(64, 64 + 1536 + 256);
	assert_true(blocks() + 256 <= before);
	assert_int_equal(blk_counters_get(rig.dev)->execute_fails, 0);
}

#define WITH(f, setup_, c)                                                                         \
	{                                                                                          \
		.name = #f " (" #setup_ ", " #c ")", .test_func = f, .setup_func = setup_,         \
		.teardown_func = teardown, .initial_state = &(c)                                   \
	}
#define BOTH(f) WITH(f, setup, sync_config), WITH(f, setup, async_config)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_discard_gives_the_space_back),
		BOTH(zeroes_read_back_and_stay_allocated_unless_unmapped),
		WITH(zeroes_read_back_and_stay_allocated_unless_unmapped, setup_tmpfs, sync_config),
		WITH(zeroes_read_back_and_stay_allocated_unless_unmapped, setup_tmpfs,
			async_config),
		BOTH(several_ranges_are_discarded_by_one_request),
		BOTH(a_bad_range_spoils_the_whole_request),
		BOTH(bad_requests_touch_nothing),
		BOTH(the_data_must_be_whole_ranges_and_not_too_many),
		BOTH(what_was_not_negotiated_is_unsupported),
		WITH(a_read_only_drive_does_not_offer_it, setup, read_only_config),
		WITH(without_fallocate_zeroes_are_written_and_discards_refused, setup, sync_config),
		WITH(host_errors_reach_the_guest, setup, sync_config),
		BOTH(zeroes_are_flushed_when_the_driver_cannot),
		WITH(a_block_device_is_discarded_and_zeroed, setup_loop, sync_config),
		WITH(a_block_device_is_discarded_and_zeroed, setup_loop, async_config),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("blk_clear", tests, NULL, NULL);
}
