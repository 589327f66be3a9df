/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of a block device: opening, odd files, direct I/O, and calls that fail. */
#include "virtio/blk_file.h"

#include "tests/unit/lib/blk_rig.h"
#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/fail.h"
#include "vmm/base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE (BLK_RIG_SECTORS * BLK_SECTOR_SIZE)

static struct blk_rig rig;
static struct err e;

static int setup(void **state)
{
	(void)state;
	fail_reset();
	e = (struct err){0};
	blk_rig_init(&rig, (struct blk_config){.writeback = true}, SIZE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fail_reset();
	blk_rig_fini(&rig);
	return 0;
}

static const struct blk_counters *counters(void)
{
	return blk_counters_get(rig.dev);
}

/* A second device over c; NULL, with e set, if it cannot be. */
static struct virtio_dev *create(struct blk_config c)
{
	struct virtio_dev *d = NULL;
	int rc;

	c.drive_id = "data";
	rc = blk_create(&rig.drv.mem, &c, &d, &e);
	assert_int_equal(rc < 0, d == NULL);
	assert_int_equal(rc < 0 ? rc : 0, e.code);
	return d;
}

static uint64_t capacity(struct virtio_dev *d)
{
	uint64_t sectors;

	virtio_dev_config_read(d, 0, &sectors, sizeof(sectors));
	return sectors;
}

static void assert_pattern(const unsigned char *data, uint64_t off, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (data[i] != blk_rig_pattern(off + i))
			fail_msg("byte %u is %#x", i, data[i]);
}

static void a_missing_file_is_named_as_clients_expect(void **state)
{
	(void)state;
	assert_null(create((struct blk_config){.fd = -1, .path = "/nonexistent/disk"}));
	assert_string_equal(e.msg,
		"Error manipulating the backing file: No such file or directory (os error 2) "
		"/nonexistent/disk");
}

static void what_is_no_file_and_no_disk_is_refused(void **state)
{
	(void)state;
	assert_null(create((struct blk_config){.fd = -1, .path = "/", .read_only = true}));
	assert_int_equal(e.code, -ENOTBLK);
	e = (struct err){0};
	assert_null(create((struct blk_config){.fd = -1, .path = "/dev/null"}));
	assert_non_null(strstr(e.msg, "drive data"));
}

static void a_fifo_is_refused_without_waiting(void **state)
{
	char path[300];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s.fifo", rig.path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_null(create((struct blk_config){.fd = -1, .path = path, .read_only = true}));
	assert_int_equal(e.code, -ENOTBLK);
	(void)unlink(path);
}

static void a_passed_fd_is_taken_over(void **state)
{
	int fd = dup(rig.fd);
	struct virtio_dev *d = create((struct blk_config){.fd = fd});

	(void)state;
	assert_int_equal(capacity(d), BLK_RIG_SECTORS);
	d->ops->destroy(d);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void a_passed_fd_must_fit_the_configuration(void **state)
{
	int fd = open(rig.path, O_RDONLY | O_CLOEXEC);
	struct virtio_dev *d;

	(void)state;
	assert_null(create((struct blk_config){.fd = fd}));
	assert_int_equal(e.code, -EACCES);
	assert_true(fcntl(fd, F_GETFD) >= 0); /* still the caller's */
	e = (struct err){0};
	d = create((struct blk_config){.fd = fd, .read_only = true});
	assert_non_null(d);
	d->ops->destroy(d);
	assert_null(create((struct blk_config){.fd = fd}));
	assert_int_equal(e.code, -EBADF);
}

/* The path of some block device that we may read, and its size in sectors; false if there is none. */
static bool any_block_device(char *path, size_t path_size, uint64_t *ret_sectors)
{
	DIR *dir = opendir("/sys/class/block");
	struct dirent *d;
	bool found = false;

	while (dir && !found && (d = readdir(dir))) {
		char size_path[512], *text = NULL;
		size_t len;
		int fd;

		(void)snprintf(path, path_size, "/dev/%s", d->d_name);
		(void)snprintf(size_path, sizeof(size_path), "/sys/class/block/%s/size", d->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && io_read_file(size_path, 64, &text, &len, NULL) == 0) {
			*ret_sectors = strtoull(text, NULL, 10);
			found = *ret_sectors > 0;
		}
		if (fd >= 0)
			(void)close(fd);
		free(text);
	}
	if (dir)
		(void)closedir(dir);
	return found;
}

static void a_block_device_has_the_size_that_the_kernel_tells(void **state)
{
	struct virtio_dev *d;
	uint64_t sectors = 0;
	char path[300];

	(void)state;
	if (!any_block_device(path, sizeof(path), &sectors))
		skip();
	d = create((struct blk_config){.fd = -1, .path = path, .read_only = true});
	assert_non_null(d);
	assert_int_equal(capacity(d), sectors);
	d->ops->destroy(d);
}

static void the_tail_of_an_odd_file_is_not_exposed(void **state)
{
	struct virtio_dev *d;

	(void)state;
	assert_int_equal(ftruncate(rig.fd, 1023), 0);
	d = create((struct blk_config){.fd = -1, .path = rig.path});
	assert_int_equal(capacity(d), 1);
	d->ops->destroy(d);
}

static void an_empty_file_is_a_disk_of_no_sectors(void **state)
{
	struct virtio_dev *d;

	(void)state;
	assert_int_equal(ftruncate(rig.fd, 0), 0);
	d = create((struct blk_config){.fd = -1, .path = rig.path});
	assert_int_equal(capacity(d), 0);
	d->ops->destroy(d);
}

static void holes_of_a_sparse_file_read_as_zeroes_and_stay_holes(void **state)
{
	unsigned char *data;
	struct stat before, after;

	(void)state;
	blk_rig_fini(&rig);
	blk_rig_init(&rig, (struct blk_config){0}, 0);
	rig.dev->ops->destroy(rig.dev);
	assert_int_equal(ftruncate(rig.fd, (off_t)(8 * GIB)), 0);
	rig.dev = create((struct blk_config){.fd = -1, .path = rig.path});
	blk_rig_start(&rig, DRIVER_FEATURES);
	assert_int_equal(fstat(rig.fd, &before), 0);

	assert_int_equal(blk_rig_request(&rig, BLK_IN, (8 * GIB / 512) - 8, NULL, 4096, &data), 0);
	assert_int_equal(data[0] | data[4095], 0);
	assert_int_equal(fstat(rig.fd, &after), 0);
	assert_int_equal(before.st_blocks, after.st_blocks);
	assert_int_equal(blk_rig_request(&rig, BLK_OUT, (5 * GIB / 512), NULL, 4096, NULL), 0);
	assert_int_equal(fstat(rig.fd, &after), 0);
	assert_int_equal(after.st_size, 8 * GIB);
}

static void a_file_that_shrank_fails_reads_and_leaves_the_rest(void **state)
{
	unsigned char *data;

	(void)state;
	assert_int_equal(ftruncate(rig.fd, 1024), 0);
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 0, NULL, 2048, &data), BLK_IOERR);
	assert_int_equal(rig.used_len, 0);
	assert_int_equal(counters()->execute_fails, 1);
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 0, NULL, 1024, &data), BLK_OK);
}

static void short_transfers_are_continued(void **state)
{
	const size_t cuts[] = {1, 511, 512, 513, 4095};
	unsigned char *data, back[4096];

	(void)state;
	for (size_t i = 0; i < NELEM(cuts); i++) {
		fail_short(FAIL_PREADV, 1, cuts[i]);
		assert_int_equal(blk_rig_request(&rig, BLK_IN, 1, NULL, 4096, &data), BLK_OK);
		assert_pattern(data, 512, 4096);

		memset(back, (int)(0x30 + i), sizeof(back));
		fail_short(FAIL_PWRITEV, 1, cuts[i]);
		assert_int_equal(blk_rig_request(&rig, BLK_OUT, 20, back, 4096, NULL), BLK_OK);
		memset(back, 0, sizeof(back));
		assert_int_equal(pread(rig.fd, back, 4096, 20 * 512), 4096);
		assert_int_equal(back[0], 0x30 + i);
		assert_int_equal(back[4095], 0x30 + i);
	}
	assert_int_equal(fail_seen(FAIL_PREADV), 2 * NELEM(cuts));
}

static void interrupted_calls_are_repeated(void **state)
{
	(void)state;
	fail_nth(FAIL_PREADV, 1, EINTR);
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 0, NULL, 512, NULL), BLK_OK);
	fail_nth(FAIL_PWRITEV, 1, EINTR);
	assert_int_equal(blk_rig_request(&rig, BLK_OUT, 0, NULL, 512, NULL), BLK_OK);
	fail_nth(FAIL_FDATASYNC, 1, EINTR);
	assert_int_equal(blk_rig_request(&rig, BLK_FLUSH, 0, NULL, 0, NULL), BLK_OK);
	assert_int_equal(counters()->execute_fails, 0);
}

static void host_errors_reach_the_guest_as_ioerr(void **state)
{
	(void)state;
	fail_nth(FAIL_PREADV, 1, EIO);
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 0, NULL, 512, NULL), BLK_IOERR);
	fail_nth(FAIL_PWRITEV, 1, ENOSPC);
	assert_int_equal(blk_rig_request(&rig, BLK_OUT, 0, NULL, 512, NULL), BLK_IOERR);
	fail_nth(FAIL_FDATASYNC, 1, EIO);
	assert_int_equal(blk_rig_request(&rig, BLK_FLUSH, 0, NULL, 0, NULL), BLK_IOERR);
	assert_int_equal(counters()->execute_fails, 3);
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 0, NULL, 512, NULL), BLK_OK);
}

static void an_error_half_way_fails_the_request_and_marks_what_was_read(void **state)
{
	uint64_t bits[DRIVER_RAM_SIZE / GMEM_PAGE_SIZE / 64] = {0};
	unsigned char *data;
	uint64_t page;

	(void)state;
	rig.drv.mem.dirty = bits;
	fail_short(FAIL_PREADV, 1, 4096);
	fail_nth(FAIL_PREAD, 1, EIO); /* not used: only preadv is */
	assert_int_equal(ftruncate(rig.fd, 4096), 0);
	assert_int_equal(blk_rig_request(&rig, BLK_IN, 0, NULL, 8192, &data), BLK_IOERR);
	rig.drv.mem.dirty = NULL;

	assert_int_equal(rig.used_len, 0);
	page = (uint64_t)(data - rig.drv.ram) / GMEM_PAGE_SIZE;
	assert_true(bits[page / 64] >> (page % 64) & 1);
}

static void creation_without_memory_fails_cleanly(void **state)
{
	(void)state;
	fail_nth(FAIL_CALLOC, 1, ENOMEM);
	assert_null(create((struct blk_config){.fd = -1, .path = rig.path}));
	assert_int_equal(e.code, -ENOMEM);
}

/* The same device again by direct I/O; false if this file system has none. */
static bool go_direct(void)
{
	struct virtio_dev *d = create(
		(struct blk_config){.fd = -1, .path = rig.path, .writeback = true, .direct = true});

	if (!d)
		return false;
	rig.dev->ops->destroy(rig.dev);
	rig.dev = d;
	blk_rig_start(&rig, d->features);
	return true;
}

/* Reads and writes 8 KiB whose data buffers start at that offset in a page and are cut there. */
static void direct_round_trip(uint32_t skew, uint32_t first)
{
	uint64_t header, data, status;
	unsigned char back[8192];

	rig.drv.free = ALIGN_UP(rig.drv.free, GMEM_PAGE_SIZE);
	header = blk_rig_header(&rig, BLK_IN, 8);
	data = driver_alloc(&rig.drv, 4 * GMEM_PAGE_SIZE, GMEM_PAGE_SIZE) + skew;
	status = driver_alloc(&rig.drv, 1, 1);
	assert_int_equal(blk_rig_send(&rig,
				 (struct driver_buf[]){{header, 16, false}, {data, first, true},
					 {data + first, 8192 - first, true}, {status, 1, true}},
				 4),
		BLK_OK);
	assert_pattern(driver_at(&rig.drv, data), 4096, 8192);

	header = blk_rig_header(&rig, BLK_OUT, 24);
	assert_int_equal(blk_rig_send(&rig,
				 (struct driver_buf[]){{header, 16, false}, {data, first, false},
					 {data + first, 8192 - first, false}, {status, 1, true}},
				 4),
		BLK_OK);
	assert_int_equal(pread(rig.fd, back, 8192, 24 * 512), 8192);
	assert_pattern(back, 4096, 8192);
	rig.drv.free = DRIVER_RAM_START + 0x8000;
}

static void direct_io_takes_aligned_and_unaligned_buffers(void **state)
{
	(void)state;
	if (!go_direct())
		skip();
	direct_round_trip(0, 4096);
	assert_true(fail_seen(FAIL_PREADV) == 1); /* aligned: straight into guest memory */
	direct_round_trip(0, 1);
	direct_round_trip(1, 4096);
	direct_round_trip(17, 511);
}

static void direct_io_goes_through_more_than_one_bounce_buffer(void **state)
{
	static unsigned char back[3 * BLK_BOUNCE_SIZE];
	uint64_t header, data, status;

	(void)state;
	blk_rig_fini(&rig);
	blk_rig_init(&rig, (struct blk_config){0}, 4 * BLK_BOUNCE_SIZE);
	if (!go_direct())
		skip();
	header = blk_rig_header(&rig, BLK_IN, 8);
	status = driver_alloc(&rig.drv, 1, 1);
	data = driver_alloc(&rig.drv, sizeof(back), GMEM_PAGE_SIZE) + 3;
	assert_int_equal(blk_rig_send(&rig,
				 (struct driver_buf[]){{header, 16, false},
					 {data, sizeof(back), true}, {status, 1, true}},
				 3),
		BLK_OK);
	memcpy(back, driver_at(&rig.drv, data), sizeof(back));
	assert_pattern(back, 4096, sizeof(back));
	assert_int_equal(rig.used_len, sizeof(back) + 1);
}

static void direct_io_failures_at_set_up_are_reported(void **state)
{
	(void)state;
	if (!go_direct())
		skip();
	fail_nth(FAIL_POSIX_MEMALIGN, 1, ENOMEM);
	assert_null(create((struct blk_config){.fd = -1, .path = rig.path, .direct = true}));
	assert_int_equal(e.code, -ENOMEM);
	e = (struct err){0};
	fail_nth(FAIL_PREAD, 1, EIO);
	assert_null(create((struct blk_config){.fd = -1, .path = rig.path, .direct = true}));
	assert_int_equal(e.code, -EIO);
}

static void direct_io_finds_the_block_size_by_trying(void **state)
{
	uint32_t blk_size;
	struct virtio_dev *d;

	(void)state;
	if (!go_direct())
		skip();
	fail_nth(FAIL_PREAD, 1, EINVAL); /* 512 is refused, 1024 is taken */
	d = create((struct blk_config){.fd = -1, .path = rig.path, .direct = true});
	assert_non_null(d);
	virtio_dev_config_read(d, 20, &blk_size, 4);
	assert_int_equal(blk_size, 1024);
	d->ops->destroy(d);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_missing_file_is_named_as_clients_expect),
		T(what_is_no_file_and_no_disk_is_refused),
		T(a_fifo_is_refused_without_waiting),
		T(a_passed_fd_is_taken_over),
		T(a_passed_fd_must_fit_the_configuration),
		T(a_block_device_has_the_size_that_the_kernel_tells),
		T(the_tail_of_an_odd_file_is_not_exposed),
		T(an_empty_file_is_a_disk_of_no_sectors),
		T(holes_of_a_sparse_file_read_as_zeroes_and_stay_holes),
		T(a_file_that_shrank_fails_reads_and_leaves_the_rest),
		T(short_transfers_are_continued),
		T(interrupted_calls_are_repeated),
		T(host_errors_reach_the_guest_as_ioerr),
		T(an_error_half_way_fails_the_request_and_marks_what_was_read),
		T(creation_without_memory_fails_cleanly),
		T(direct_io_takes_aligned_and_unaligned_buffers),
		T(direct_io_goes_through_more_than_one_bounce_buffer),
		T(direct_io_failures_at_set_up_are_reported),
		T(direct_io_finds_the_block_size_by_trying),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("blk_file", tests, NULL, NULL);
}
