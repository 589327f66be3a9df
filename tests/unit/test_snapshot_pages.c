/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of pages and the memory file, for memory of each backing. */
#include "snapshot/pages.h"
#include "snapshot/uffd.h"
#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/fail.h"

#include <errno.h>
#include <string.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE  (8 * MIB)
#define PAGES (SIZE / GMEM_PAGE_SIZE)

static struct {
	struct gmem mem;
	struct page_set set;
	struct pages_written written;
	int file;
	unsigned char want[SIZE], got[SIZE];
} f;

static void start(const struct gmem_config *c)
{
	assert_int_equal(gmem_init(&f.mem, c, NULL), 0);
	assert_int_equal(page_set_init(&f.set, &f.mem, NULL), 0);
}

static int set_up(void **state)
{
	(void)state;
	fail_reset();
	memset(&f, 0, sizeof(f));
	f.mem.fd = -1;
	f.file = memfd_create("memory", MFD_CLOEXEC);
	return f.file >= 0 && ftruncate(f.file, SIZE) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	fail_reset();
	page_set_fini(&f.set);
	gmem_fini(&f.mem);
	(void)close(f.file);
	return 0;
}

static void put(uint64_t page, unsigned char value)
{
	memset(f.want + page * GMEM_PAGE_SIZE, value, GMEM_PAGE_SIZE);
	assert_int_equal(gmem_write(&f.mem, GPA(page * GMEM_PAGE_SIZE),
				 f.want + page * GMEM_PAGE_SIZE, GMEM_PAGE_SIZE),
		0);
}

static bool has(uint64_t page)
{
	return f.set.words[page / 64] >> (page % 64) & 1;
}

static uint64_t count(void)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < PAGES; i++)
		n += has(i);
	return n;
}

static void file_is_as_wanted(void)
{
	assert_int_equal(pread(f.file, f.got, SIZE, 0), (long)SIZE);
	assert_memory_equal(f.got, f.want, SIZE);
}

static void fresh(void)
{
	start(&(struct gmem_config){.size = SIZE, .track_dirty = true});
	put(0, 1);
	put(1, 2);
	put(700, 3);
	put(701, 0);
	put(PAGES - 1, 4);
}

static void memory_of_a_started_machine_is_written_without_its_zeroes(void **state)
{
	struct stat st;

	(void)state;
	fresh();
	assert_int_equal(pages_add_used(&f.set, &f.mem, NULL), 0);
	assert_int_equal(count(), 5);
	assert_int_equal(pages_write(&f.set, &f.mem, f.file, PAGES_FULL, &f.written, NULL), 0);
	assert_int_equal(f.written.pages, 4);
	assert_int_equal(f.written.zeroes, 1);
	file_is_as_wanted();
	assert_int_equal(fstat(f.file, &st), 0);
	assert_int_equal(st.st_blocks * 512, 4 * GMEM_PAGE_SIZE);
}

static void dirty_bitmap_is_a_set(void **state)
{
	(void)state;
	fresh();
	pages_add_dirty(&f.set, &f.mem);
	assert_int_equal(count(), 5);
	assert_true(has(0) && has(1) && has(700) && has(701) && has(PAGES - 1));
}

/* f.file has the pages 0, 1, 700 and the last; the memory is loaded from it. */
static void loaded(void)
{
	fresh();
	assert_int_equal(pages_add_used(&f.set, &f.mem, NULL), 0);
	assert_int_equal(pages_write(&f.set, &f.mem, f.file, PAGES_FULL, &f.written, NULL), 0);
	page_set_fini(&f.set);
	gmem_fini(&f.mem);
	start(&(struct gmem_config){
		.size = SIZE, .backing = GMEM_BACKING_FILE, .file_fd = dup(f.file)});
}

static void memory_of_a_file_is_private(void **state)
{
	(void)state;
	loaded();
	file_is_as_wanted();
	assert_int_equal(gmem_read(&f.mem, GPA(0), f.got, SIZE), 0);
	assert_memory_equal(f.got, f.want, SIZE);
	assert_int_equal(gmem_write(&f.mem, GPA(0), "x", 1), 0);
	file_is_as_wanted();
}

static void changed_pages_of_a_loaded_machine_are_its_own_ones(void **state)
{
	unsigned char byte;

	(void)state;
	loaded();
	put(5, 6);
	put(700, 0);
	assert_int_equal(
		gmem_read(&f.mem, GPA(1 * GMEM_PAGE_SIZE), &byte, 1), 0); /* not a change */
	assert_int_equal(pages_add_changed(&f.set, &f.mem, NULL), 0);
	assert_true(has(5) && has(700));
	assert_int_equal(count(), 2);
}

static void diff_is_merged_and_zeroes_are_written(void **state)
{
	(void)state;
	loaded();
	put(5, 6);
	put(700, 0);
	assert_int_equal(pages_add_changed(&f.set, &f.mem, NULL), 0);
	assert_int_equal(pages_write(&f.set, &f.mem, f.file, PAGES_MERGE, &f.written, NULL), 0);
	assert_int_equal(f.written.pages, 1);
	assert_int_equal(f.written.zeroes, 1);
	file_is_as_wanted();
}

/* In a diff that is to be merged later, a hole is a page that has not changed. */
static void diff_of_its_own_has_its_zeroes(void **state)
{
	(void)state;
	loaded();
	put(5, 6);
	put(700, 0);
	assert_int_equal(pages_add_changed(&f.set, &f.mem, NULL), 0);
	(void)close(f.file);
	f.file = memfd_create("diff", MFD_CLOEXEC);
	assert_int_equal(ftruncate(f.file, SIZE), 0);
	assert_int_equal(pages_write(&f.set, &f.mem, f.file, PAGES_DIFF, &f.written, NULL), 0);
	assert_int_equal(lseek(f.file, 0, SEEK_DATA), 5 * (long)GMEM_PAGE_SIZE);
	assert_int_equal(
		lseek(f.file, 6 * (long)GMEM_PAGE_SIZE, SEEK_DATA), 700 * (long)GMEM_PAGE_SIZE);
	assert_int_equal(
		lseek(f.file, 700 * (long)GMEM_PAGE_SIZE, SEEK_HOLE), 701 * (long)GMEM_PAGE_SIZE);
}

static void full_one_of_a_loaded_machine_has_the_file_and_the_changes(void **state)
{
	(void)state;
	loaded();
	put(5, 6);
	put(700, 0);
	assert_int_equal(pages_add_used(&f.set, &f.mem, NULL), 0);
	(void)close(f.file);
	f.file = memfd_create("other", MFD_CLOEXEC);
	assert_int_equal(ftruncate(f.file, SIZE), 0);
	assert_int_equal(pages_write(&f.set, &f.mem, f.file, PAGES_FULL, &f.written, NULL), 0);
	file_is_as_wanted();
}

static void failed_write_is_said(void **state)
{
	struct err e;
	int fd = open("/dev/full", O_RDWR | O_CLOEXEC);

	(void)state;
	fresh();
	assert_int_equal(pages_add_used(&f.set, &f.mem, NULL), 0);
	assert_int_equal(pages_write(&f.set, &f.mem, fd, PAGES_FULL, &f.written, &e), -ENOSPC);
	assert_non_null(strstr(e.msg, "No space left on device"));
	(void)close(fd);
}

/* A clone waits for the whole piece that is being copied (docs/snapshot.md). */
static void bytes_go_in_pieces_of_64_kib(void **state)
{
	const uint64_t off = 5000, len = 200 * KIB;

	(void)state;
	for (uint64_t i = 0; i < len; i++)
		f.want[off + i] = (unsigned char)(i % 251 + 1);
	assert_int_equal(pages_write_bytes(f.file, f.want + off, len, off), 0);
	file_is_as_wanted();
	assert_int_equal(fail_seen(FAIL_PWRITE), 4); /* up to 64, 128, 192 KiB, and the rest */
}

static void short_and_interrupted_writes_are_continued(void **state)
{
	const uint64_t len = 100 * KIB;

	(void)state;
	memset(f.want, 7, len);
	fail_short(FAIL_PWRITE, 1, 1000);
	assert_int_equal(pages_write_bytes(f.file, f.want, len, 0), 0);
	file_is_as_wanted();
	memset(f.want, 8, len);
	fail_nth(FAIL_PWRITE, 1, EINTR);
	assert_int_equal(pages_write_bytes(f.file, f.want, len, 0), 0);
	file_is_as_wanted();
	fail_nth(FAIL_PWRITE, 2, EDQUOT);
	assert_int_equal(pages_write_bytes(f.file, f.want, len, 0), -EDQUOT);
	fail_short(FAIL_PWRITE, 1, 0);
	assert_int_equal(pages_write_bytes(f.file, f.want, len, 0), -EIO);
}

static void memory_file_of_another_size_is_refused(void **state)
{
	struct gmem_config c = {.size = SIZE, .backing = GMEM_BACKING_FILE, .file_fd = f.file};
	struct err e;

	(void)state;
	assert_int_equal(ftruncate(f.file, SIZE - 1), 0);
	assert_int_equal(gmem_init(&f.mem, &c, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "the memory file has 8388607 bytes"));
	assert_int_equal(fcntl(f.file, F_GETFD), FD_CLOEXEC); /* still the caller's */
	f.mem.fd = -1;
}

static void handler_is_told_where_memory_is(void **state)
{
	char text[UFFD_MESSAGE_SIZE], want[UFFD_MESSAGE_SIZE];
	size_t len;

	(void)state;
	start(&(struct gmem_config){.size = SIZE, .backing = GMEM_BACKING_ANON});
	len = uffd_message(&f.mem, text);
	(void)snprintf(want, sizeof(want),
		"[{\"base_host_virt_addr\":%llu,\"size\":8388608,\"offset\":0,\"page_size\":4096,"
		"\"page_size_kib\":4096}]",
		(unsigned long long)(uintptr_t)gmem_host_addr(f.mem.regions[0].host));
	assert_int_equal(len, strlen(want));
	assert_memory_equal(text, want, len);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(memory_of_a_started_machine_is_written_without_its_zeroes),
		TEST(dirty_bitmap_is_a_set),
		TEST(memory_of_a_file_is_private),
		TEST(changed_pages_of_a_loaded_machine_are_its_own_ones),
		TEST(diff_is_merged_and_zeroes_are_written),
		TEST(diff_of_its_own_has_its_zeroes),
		TEST(full_one_of_a_loaded_machine_has_the_file_and_the_changes),
		TEST(failed_write_is_said),
		TEST(bytes_go_in_pieces_of_64_kib),
		TEST(short_and_interrupted_writes_are_continued),
		TEST(memory_file_of_another_size_is_refused),
		TEST(handler_is_told_where_memory_is),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("snapshot_pages", tests, NULL, NULL);
}
