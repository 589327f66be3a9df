/* SPDX-License-Identifier: Apache-2.0 */
/* Block requests, good and bad. Opening files, direct I/O and host errors are in test_blk_file.c. */
#include "virtio/blk.h"

#include "tests/unit/lib/blk_rig.h"
#include "tests/unit/lib/cm.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define F_SEG_MAX      (1ull << 2)
#define F_RO           (1ull << 5)
#define F_BLK_SIZE     (1ull << 6)
#define F_FLUSH        (1ull << 9)
#define F_TOPOLOGY     (1ull << 10)
#define F_DISCARD      (1ull << 13)
#define F_WRITE_ZEROES (1ull << 14)
#define SIZE           (BLK_RIG_SECTORS * BLK_SECTOR_SIZE)

static struct blk_rig rig;
/* Each test runs with both engines: this is its initial state. */
static bool sync_engine, async_engine = true;

static int setup(void **state)
{
	bool async = *(bool *)*state;

	blk_rig_init(&rig, (struct blk_config){.writeback = true, .async = async}, SIZE);
	return 0;
}

static int setup_read_only(void **state)
{
	bool async = *(bool *)*state;

	blk_rig_init(&rig, (struct blk_config){.read_only = true, .async = async}, SIZE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	blk_rig_fini(&rig);
	return 0;
}

static const struct blk_counters *counters(void)
{
	return blk_counters_get(rig.dev);
}

static void assert_pattern(const unsigned char *data, uint64_t off, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (data[i] != blk_rig_pattern(off + i))
			fail_msg("byte %u is %#x", i, data[i]);
}

/* The file still is what blk_rig_init made it. */
static void assert_file_untouched(void)
{
	unsigned char buf[SIZE];
	struct stat st;

	assert_int_equal(fstat(rig.fd, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	assert_int_equal(pread(rig.fd, buf, SIZE, 0), SIZE);
	assert_pattern(buf, 0, SIZE);
}

static void a_read_delivers_the_sectors_asked_for(void **state)
{
	unsigned char *data;

	(void)state;
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 3, NULL, 1024, &data), BLK_OK);
	assert_pattern(data, 3 * 512, 1024);
	assert_int_equal(rig.used_len, 1025);
	assert_int_equal(counters()->read_bytes, 1024);
	assert_int_equal(counters()->read_count, 1);
}

static void a_write_lands_in_its_sectors_only(void **state)
{
	unsigned char data[1024], buf[SIZE];

	(void)state;
	memset(data, 0x5a, sizeof(data));
	assert_int_equal(blk_rig_request(&rig, BLK_OUT, 7, data, 1024, NULL), BLK_OK);
	assert_int_equal(rig.used_len, 1);

	assert_int_equal(pread(rig.fd, buf, SIZE, 0), SIZE);
	assert_pattern(buf, 0, 7 * 512);
	assert_memory_equal(buf + 7 * 512, data, 1024);
	assert_pattern(buf + 9 * 512, 9 * 512, SIZE - 9 * 512);
	assert_int_equal(counters()->write_bytes, 1024);
}

static void the_whole_disk_can_be_read_at_once(void **state)
{
	unsigned char *data;

	(void)state;
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 0, NULL, SIZE, &data), BLK_OK);
	assert_pattern(data, 0, SIZE);
}

static void requests_past_the_end_fail_and_touch_nothing(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
	} bad[] = {
		{BLK_RIG_SECTORS, 512},
		{BLK_RIG_SECTORS - 1, 1024},
		{0, SIZE + 512},
		{1ull << 55, 512},
		{(1ull << 55) - 1, 1024},
		{1ull << 54, 512},
		{UINT64_MAX, 512},
		{UINT64_MAX, 1024},
		{UINT64_MAX - 1, 1024},
	};
	unsigned char *data;

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		assert_int_equal(
			blk_rig_request(&rig, BLK_IN, bad[i].sector, NULL, bad[i].len, &data),
			BLK_IOERR);
		assert_int_equal(data[0], 0xee);
		assert_int_equal(rig.used_len, 0);
		assert_int_equal(
			blk_rig_request(&rig, BLK_OUT, bad[i].sector, NULL, bad[i].len, NULL),
			BLK_IOERR);
	}
	assert_int_equal(counters()->invalid_reqs_count, 2 * NELEM(bad));
	assert_file_untouched();
}

static void lengths_that_are_no_sectors_fail(void **state)
{
	const uint32_t bad[] = {1, 511, 513, 1023};

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		assert_int_equal(blk_rig_request(&rig, BLK_IN, 0, NULL, bad[i], NULL), BLK_IOERR);
		assert_int_equal(blk_rig_request(&rig, BLK_OUT, 0, NULL, bad[i], NULL), BLK_IOERR);
	}
	assert_file_untouched();
}

static void requests_of_no_data_succeed_within_the_disk(void **state)
{
	(void)state;
	assert_int_equal(blk_rig_request(&rig, BLK_IN, BLK_RIG_SECTORS, NULL, 0, NULL), BLK_OK);
	assert_int_equal(blk_rig_request(&rig, BLK_OUT, 0, NULL, 0, NULL), BLK_OK);
	assert_int_equal(
		blk_rig_request(&rig, BLK_IN, BLK_RIG_SECTORS + 1, NULL, 0, NULL), BLK_IOERR);
	assert_file_untouched();
}

static void the_last_sector_can_be_read_and_written(void **state)
{
	unsigned char *data;

	(void)state;
	assert_int_equal(
		blk_rig_request(&rig, BLK_IN, BLK_RIG_SECTORS - 1, NULL, 512, &data), BLK_OK);
	assert_pattern(data, SIZE - 512, 512);
	assert_int_equal(
		blk_rig_request(&rig, BLK_OUT, BLK_RIG_SECTORS - 1, NULL, 512, NULL), BLK_OK);
}

/* Status is the last writable byte, header the first sixteen readable, however they are cut. */
static void the_cuts_between_buffers_do_not_matter(void **state)
{
	uint64_t header, both;

	(void)state;
	header = blk_rig_header(&rig, BLK_IN, 5);
	both = driver_alloc(&rig.drv, 513, 1);
	assert_int_equal(blk_rig_send(&rig,
				 (struct driver_buf[]){{header, 1, false}, {header + 1, 14, false},
					 {header + 15, 1, false}, {both, 100, true},
					 {both + 100, 413, true}},
				 5),
		BLK_OK);
	assert_pattern(driver_at(&rig.drv, both), 5 * 512, 512);
	assert_int_equal(rig.used_len, 513);
}

static void header_and_data_of_a_write_can_share_a_buffer(void **state)
{
	uint64_t header = blk_rig_header(&rig, BLK_OUT, 5);
	uint64_t data = driver_alloc(&rig.drv, 512, 1);
	uint64_t status = driver_alloc(&rig.drv, 1, 1);
	unsigned char back[512];

	(void)state;
	assert_int_equal(data, header + 16);
	memset(driver_at(&rig.drv, data), 0x77, 512);
	assert_int_equal(
		blk_rig_send(&rig,
			(struct driver_buf[]){{header, 16 + 512, false}, {status, 1, true}}, 2),
		BLK_OK);
	assert_int_equal(pread(rig.fd, back, 512, 5 * 512), 512);
	assert_int_equal(back[0], 0x77);
	assert_int_equal(back[511], 0x77);
}

static void a_short_header_fails(void **state)
{
	uint64_t header = blk_rig_header(&rig, BLK_IN, 0);
	uint64_t status = driver_alloc(&rig.drv, 513, 1);

	(void)state;
	for (uint32_t len = 0; len < 16; len++)
		assert_int_equal(
			blk_rig_send(&rig,
				(struct driver_buf[]){{header, len, false}, {status, 513, true}},
				2),
			BLK_IOERR);
	assert_int_equal(counters()->invalid_reqs_count, 16);
}

static void a_request_without_a_status_byte_is_returned_empty(void **state)
{
	uint64_t header = blk_rig_header(&rig, BLK_OUT, 0);

	(void)state;
	assert_int_equal(
		blk_rig_send(&rig,
			(struct driver_buf[]){{header, 16, false}, {DRIVER_RAM_START, 512, false}},
			2),
		BLK_NOT_WRITTEN);
	assert_int_equal(rig.used_len, 0);
	assert_int_equal(counters()->invalid_reqs_count, 1);
	assert_file_untouched();
}

static void unknown_types_are_unsupported(void **state)
{
	const uint32_t types[] = {2, 3, 5, 10, 14, 0x80000000, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < NELEM(types); i++)
		assert_int_equal(blk_rig_request(&rig, types[i], 0, NULL, 512, NULL), BLK_UNSUPP);
	assert_file_untouched();
}

static void get_id_gives_device_and_inode(void **state)
{
	unsigned char *data;
	char want[64];
	struct stat st;

	(void)state;
	assert_int_equal(fstat(rig.fd, &st), 0);
	(void)snprintf(want, sizeof(want), "%ju%ju%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_rdev,
		(uintmax_t)st.st_ino);
	assert_int_equal(blk_rig_request(&rig, BLK_GET_ID, 0, NULL, 20, &data), BLK_OK);
	assert_int_equal(strncmp((char *)data, want, 20), 0);
	assert_int_equal(rig.used_len, 21);
}

static void get_id_fills_at_most_twenty_bytes(void **state)
{
	unsigned char *data;

	(void)state;
	assert_int_equal(blk_rig_request(&rig, BLK_GET_ID, 0, NULL, 64, &data), BLK_OK);
	assert_int_equal(data[20], 0xee);
	assert_int_equal(rig.used_len, 20); /* the status lies behind a gap */
	assert_int_equal(blk_rig_request(&rig, BLK_GET_ID, 0, NULL, 5, &data), BLK_OK);
	assert_int_equal(data[5], 0xee);
	assert_int_equal(blk_rig_request(&rig, BLK_GET_ID, 0, NULL, 0, &data), BLK_OK);
}

static void flush_works_when_negotiated(void **state)
{
	(void)state;
	assert_int_equal(blk_rig_request(&rig, BLK_FLUSH, 0, NULL, 0, NULL), BLK_OK);
	assert_int_equal(counters()->flush_count, 1);
}

static void writes_go_through_when_the_driver_cannot_flush(void **state)
{
	(void)state;
	blk_rig_start(&rig, DRIVER_FEATURES);
	assert_int_equal(blk_rig_request(&rig, BLK_FLUSH, 0, NULL, 0, NULL), BLK_UNSUPP);
	assert_int_equal(blk_rig_request(&rig, BLK_OUT, 0, NULL, 512, NULL), BLK_OK);
	assert_int_equal(counters()->flush_count, 1);
}

static void a_read_only_drive_refuses_writes(void **state)
{
	unsigned char *data;

	(void)state;
	assert_true(rig.dev->features & F_RO);
	assert_false(rig.dev->features & F_FLUSH);
	assert_int_equal(blk_rig_request(&rig, BLK_OUT, 0, NULL, 512, NULL), BLK_IOERR);
	assert_int_equal(counters()->invalid_reqs_count, 1);
	assert_int_equal(counters()->execute_fails, 0); /* the host was not even asked */
	assert_int_equal(blk_rig_request(&rig, BLK_FLUSH, 0, NULL, 0, NULL), BLK_UNSUPP);
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 0, NULL, 512, &data), BLK_OK);
	assert_file_untouched();
}

static void configuration_space_tells_capacity_and_limits(void **state)
{
	uint64_t capacity;
	uint32_t seg_max, blk_size;

	(void)state;
	virtio_dev_config_read(rig.dev, 0, &capacity, 8);
	virtio_dev_config_read(rig.dev, 12, &seg_max, 4);
	virtio_dev_config_read(rig.dev, 20, &blk_size, 4);
	assert_int_equal(capacity, BLK_RIG_SECTORS);
	assert_int_equal(seg_max, VQ_SIZE_MAX - 2);
	assert_int_equal(blk_size, 512);
	assert_int_equal(rig.dev->features & 0xffff,
		F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | F_DISCARD | F_WRITE_ZEROES);
}

static void as_many_segments_as_offered_are_taken(void **state)
{
	struct driver_buf bufs[VQ_SIZE_MAX];
	uint64_t data, status;

	(void)state;
	bufs[0] = (struct driver_buf){blk_rig_header(&rig, BLK_IN, 0), 16, false};
	data = driver_alloc(&rig.drv, SIZE, 1);
	status = driver_alloc(&rig.drv, 1, 1);
	/* 253 pieces of 128 bytes and the rest in one make up the disk. */
	for (uint32_t i = 0; i < VQ_SIZE_MAX - 2; i++)
		bufs[1 + i] = (struct driver_buf){data + i * 128, 128, true};
	bufs[VQ_SIZE_MAX - 2].len = SIZE - (VQ_SIZE_MAX - 3) * 128;
	bufs[VQ_SIZE_MAX - 1] = (struct driver_buf){status, 1, true};
	*(unsigned char *)driver_at(&rig.drv, status) = BLK_NOT_WRITTEN;
	driver_chain_indirect(&rig.drv, bufs, VQ_SIZE_MAX);
	virtio_dev_notify(rig.dev, 0);

	assert_int_equal(*(unsigned char *)driver_at(&rig.drv, status), BLK_OK);
	assert_pattern(driver_at(&rig.drv, data), 0, SIZE);
}

static void a_notify_without_requests_is_counted(void **state)
{
	(void)state;
	virtio_dev_notify(rig.dev, 0);
	assert_int_equal(counters()->queue_event_count, 1);
	assert_int_equal(counters()->no_avail_buffer, 1);
}

static void state_round_trips_and_binds_to_the_disk(void **state)
{
	struct blk_state saved = *(struct blk_state *)rig.dev->state;
	struct err e = {0};

	(void)state;
	assert_true(field_table_sound(rig.dev->ops->state, &e));
	assert_int_equal(field_table_check(rig.dev->ops->state, &saved, &e), 0);
	assert_int_equal(rig.dev->ops->load(rig.dev, &saved, &e), 0);
	saved.sector_count++;
	assert_int_equal(rig.dev->ops->load(rig.dev, &saved, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "rootfs"));
	saved.reserved[3] = 1;
	assert_int_equal(field_table_check(rig.dev->ops->state, &saved, &e), -EINVAL);
	saved.reserved[3] = 0;
	saved.sector_count = UINT64_MAX / 512 + 1;
	assert_int_equal(field_table_check(rig.dev->ops->state, &saved, &e), -EINVAL);
}

/* Reads in the cached path, writes by iovecs: every byte that reached guest memory is marked. */
static void a_read_marks_its_pages_dirty(void **state)
{
	uint64_t bits[DRIVER_RAM_SIZE / GMEM_PAGE_SIZE / 64] = {0};
	unsigned char *data;
	uint64_t page;

	(void)state;
	rig.drv.mem.dirty = bits;
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 0, NULL, 8192, &data), BLK_OK);
	rig.drv.mem.dirty = NULL;
	page = (uint64_t)(data - rig.drv.ram) / GMEM_PAGE_SIZE;
	for (uint64_t i = page; i < page + 3; i++) /* two of data, then the status */
		assert_true(bits[i / 64] >> (i % 64) & 1);
	assert_false(bits[(page + 3) / 64] >> ((page + 3) % 64) & 1);
}

#define ENGINE(f, setup_, label, which)                                                            \
	{                                                                                          \
		.name = #f label, .test_func = f, .setup_func = setup_, .teardown_func = teardown, \
		.initial_state = &which                                                            \
	}
#define BOTH(f, setup_)                                                                            \
	ENGINE(f, setup_, " (Sync)", sync_engine), ENGINE(f, setup_, " (Async)", async_engine)
#define T(f) BOTH(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_read_delivers_the_sectors_asked_for),
		T(a_write_lands_in_its_sectors_only),
		T(the_whole_disk_can_be_read_at_once),
		T(requests_past_the_end_fail_and_touch_nothing),
		T(lengths_that_are_no_sectors_fail),
		T(requests_of_no_data_succeed_within_the_disk),
		T(the_last_sector_can_be_read_and_written),
		T(the_cuts_between_buffers_do_not_matter),
		T(header_and_data_of_a_write_can_share_a_buffer),
		T(a_short_header_fails),
		T(a_request_without_a_status_byte_is_returned_empty),
		T(unknown_types_are_unsupported),
		T(get_id_gives_device_and_inode),
		T(get_id_fills_at_most_twenty_bytes),
		T(flush_works_when_negotiated),
		T(writes_go_through_when_the_driver_cannot_flush),
		BOTH(a_read_only_drive_refuses_writes, setup_read_only),
		T(configuration_space_tells_capacity_and_limits),
		T(as_many_segments_as_offered_are_taken),
		T(a_notify_without_requests_is_counted),
		T(state_round_trips_and_binds_to_the_disk),
		T(a_read_marks_its_pages_dirty),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("blk", tests, NULL, NULL);
}
