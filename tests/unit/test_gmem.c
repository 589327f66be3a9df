/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory: layout, bounds, guards, dirty marks, and every way in which mapping can fail. */
#include "vmm/mem/gmem.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/fail.h"
#include "vmm/base/io.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct gmem mem;
static struct err e;

static int setup(void **state)
{
	(void)state;
	fail_reset();
	mem = (struct gmem){.fd = -1};
	e = (struct err){0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fail_reset();
	gmem_fini(&mem);
	return 0;
}

static void map(uint64_t size, enum gmem_pages pages, bool track_dirty)
{
	struct gmem_config c = {.size = size, .pages = pages, .track_dirty = track_dirty};

	assert_int_equal(gmem_init(&mem, &c, &e), 0);
}

/* True if the kernel could read a byte there. */
static bool accessible(const void *at)
{
	bool ok;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	ok = write(fds[1], at, 1) == 1;
	(void)close(fds[0]);
	(void)close(fds[1]);
	return ok;
}

static bool is_dirty(uint64_t page)
{
	return (mem.dirty[page / 64] >> (page % 64)) & 1;
}

static unsigned dirty_count(void)
{
	unsigned n = 0;

	for (uint64_t i = 0; i < mem.dirty_size / 8; i++)
		n += (unsigned)__builtin_popcountll(mem.dirty[i]);
	return n;
}

static void small_memory_is_one_region_from_zero(void **state)
{
	(void)state;
	map(128 * MIB, GMEM_PAGES_4K, false);

	assert_int_equal(mem.region_count, 1);
	assert_int_equal(mem.regions[0].start.v, 0);
	assert_int_equal(mem.regions[0].size, 128 * MIB);
	assert_null(mem.dirty);
}

static void exactly_three_gib_stays_below_the_hole(void **state)
{
	(void)state;
	map(3 * GIB, GMEM_PAGES_4K, false);

	assert_int_equal(mem.region_count, 1);
	assert_non_null(gmem_host_addr(gmem_window(&mem, GPA(3 * GIB - 1), 1)));
	assert_null(gmem_host_addr(gmem_window(&mem, GPA(3 * GIB), 1)));
}

static void a_page_above_three_gib_lands_at_four_gib(void **state)
{
	char byte = 0;

	(void)state;
	map(3 * GIB + GMEM_PAGE_SIZE, GMEM_PAGES_4K, false);

	assert_int_equal(mem.region_count, 2);
	assert_int_equal(mem.regions[1].start.v, 4 * GIB);
	assert_int_equal(gmem_write(&mem, GPA(4 * GIB + 7), "x", 1), 0);
	assert_int_equal(pread(mem.fd, &byte, 1, (off_t)(3 * GIB + 7)), 1);
	assert_int_equal(byte, 'x');
}

static void the_hole_is_not_memory(void **state)
{
	char buf[2];

	(void)state;
	map(4 * GIB, GMEM_PAGES_4K, false);

	assert_int_equal(gmem_read(&mem, GPA(3 * GIB), buf, 1), -EFAULT);
	assert_int_equal(gmem_read(&mem, GPA(3 * GIB - 1), buf, 2), -EFAULT);
	assert_int_equal(gmem_read(&mem, GPA(4 * GIB - 1), buf, 2), -EFAULT);
	assert_int_equal(gmem_read(&mem, GPA(5 * GIB - 1), buf, 2), -EFAULT);
	assert_int_equal(gmem_read(&mem, GPA(5 * GIB - 2), buf, 2), 0);
}

static void sixty_four_gib_can_be_mapped(void **state)
{
	uint64_t last = 65 * GIB - 8, value = 42, back = 0;

	(void)state;
	map(64 * GIB, GMEM_PAGES_4K, true);

	assert_int_equal(gmem_write(&mem, GPA(last), &value, 8), 0);
	assert_int_equal(gmem_read(&mem, GPA(last), &back, 8), 0);
	assert_int_equal(back, 42);
	assert_true(is_dirty(64 * GIB / GMEM_PAGE_SIZE - 1));
	assert_int_equal(dirty_count(), 1);
}

static void regions_are_two_mib_aligned_and_guarded(void **state)
{
	(void)state;
	map(3 * GIB + 4 * MIB + GMEM_PAGE_SIZE, GMEM_PAGES_4K, false);

	for (uint32_t i = 0; i < mem.region_count; i++) {
		char *host = gmem_host_addr(mem.regions[i].host);

		assert_true(IS_ALIGNED((uintptr_t)host, 2 * MIB));
		assert_true(accessible(host));
		assert_false(accessible(host - 1));
		assert_true(accessible(host + mem.regions[i].size - 1));
		assert_false(accessible(host + mem.regions[i].size));
	}
}

static void guest_memory_stays_out_of_core_dumps(void **state)
{
	char line[256], want[32];
	bool ours = false, found = false;
	FILE *f = fopen("/proc/self/smaps", "re");

	(void)state;
	map(8 * MIB, GMEM_PAGES_4K, false);
	(void)snprintf(want, sizeof(want), "%lx-", (unsigned long)mem.regions[0].host);

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strchr(line, '-') && strncmp(line, want, strlen(want)) == 0)
			ours = true;
		if (ours && strncmp(line, "VmFlags:", 8) == 0) {
			found = strstr(line, " dd") != NULL;
			break;
		}
	}
	(void)fclose(f);
	assert_true(found);
}

static void transparent_huge_pages_are_asked_for(void **state)
{
	(void)state;
	map(8 * MIB, GMEM_PAGES_TRANSPARENT, false);

	assert_int_equal(fail_seen(FAIL_MADVISE), 3);
}

static void a_kernel_without_transparent_pages_is_no_error(void **state)
{
	struct gmem_config c = {.size = 8 * MIB, .pages = GMEM_PAGES_TRANSPARENT};

	(void)state;
	fail_nth(FAIL_MADVISE, 3, EINVAL);

	assert_int_equal(gmem_init(&mem, &c, &e), 0);
}

static void impossible_sizes_are_refused_by_name(void **state)
{
	const struct gmem_config bad[] = {
		{.size = 0},
		{.size = GMEM_SIZE_MAX + MIB},
		{.size = UINT64_MAX},
		{.size = 4097},
		{.size = 3 * MIB, .pages = GMEM_PAGES_2M},
	};

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		e = (struct err){0};
		assert_int_equal(gmem_init(&mem, &bad[i], &e), -EINVAL);
		assert_non_null(strstr(e.msg, "Cannot create mmap region"));
		assert_int_equal(mem.region_count, 0);
		assert_int_equal(mem.fd, -1);
	}
}

static void a_short_pool_of_huge_pages_fails_at_start_with_the_remedy(void **state)
{
	struct gmem_config c = {.size = GMEM_SIZE_MAX, .pages = GMEM_PAGES_2M};

	(void)state;
	assert_true(gmem_init(&mem, &c, &e) < 0);

	assert_non_null(strstr(e.msg, "Cannot create mmap region"));
	assert_non_null(strstr(e.msg, "vm.nr_hugepages"));
}

/* Free huge pages of 2 MiB, 0 if that cannot be told. */
static unsigned long huge_pages_free(void)
{
	static const char path[] = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
	unsigned long n = 0;
	char *text = NULL;
	size_t len;

	if (io_read_file(path, 64, &text, &len, NULL) == 0)
		n = strtoul(text, NULL, 10);
	free(text);
	return n;
}

static void huge_pages_back_the_memory_when_the_pool_has_them(void **state)
{
	unsigned long before = huge_pages_free();

	(void)state;
	if (before < 2)
		skip();
	map(4 * MIB, GMEM_PAGES_2M, false);
	assert_int_equal(gmem_write(&mem, GPA(2 * MIB - 1), "ab", 2), 0);

	assert_int_equal(huge_pages_free(), before - 2);
}

/* Fails the nth call of one kind for every n until it succeeds; nothing may leak or stay set. */
static void fail_each(enum fail_call call, unsigned want_failures)
{
	struct gmem_config c = {.size = 4 * GIB, .track_dirty = true};
	int lowest = dup(0), again;
	unsigned n;

	(void)close(lowest);
	for (n = 1;; n++) {
		int rc;

		fail_reset();
		fail_nth(call, n, ENOMEM);
		rc = gmem_init(&mem, &c, &e);
		if (rc == 0)
			break;
		assert_int_equal(rc, -ENOMEM);
		assert_int_equal(e.code, -ENOMEM);
		assert_null(mem.reserved);
		assert_null(mem.dirty);
		assert_int_equal(mem.fd, -1);
		again = dup(0);
		(void)close(again);
		assert_int_equal(again, lowest);
	}
	assert_int_equal(n - 1, want_failures);
}

static void every_failing_mmap_is_reported_and_undone(void **state)
{
	(void)state;
	fail_each(FAIL_MMAP, 4); /* reservation, two regions, dirty bitmap */
	assert_non_null(strstr(e.msg, "Cannot create mmap region"));
}

static void every_failing_madvise_is_reported_and_undone(void **state)
{
	(void)state;
	fail_each(FAIL_MADVISE, 3);
}

static void a_failing_memory_file_is_reported_and_undone(void **state)
{
	(void)state;
	fail_each(FAIL_MEMFD_CREATE, 1);
	gmem_fini(&mem);
	fail_each(FAIL_FTRUNCATE, 1);
}

static void fini_accepts_zeroed_storage_and_closes_no_fd(void **state)
{
	struct gmem zero = {0};

	(void)state;
	gmem_fini(&zero);
	gmem_fini(&zero);

	assert_true(fcntl(0, F_GETFD) >= 0);
	assert_int_equal(zero.fd, -1);
}

static void the_memory_file_does_not_survive_exec(void **state)
{
	(void)state;
	map(MIB, GMEM_PAGES_4K, false);

	assert_true(fcntl(mem.fd, F_GETFD) & FD_CLOEXEC);
}

/* Two borrowed regions that touch at 0x3000, and nothing else. */
static unsigned char *touching(void)
{
	unsigned char *host = calloc(1, 0x3000);

	gmem_init_borrowed(&mem, GPA(0x1000), host, 0x2000);
	mem.regions[1] = (struct gmem_region){.start = GPA(0x3000),
		.size = 0x1000,
		.file_offset = 0x2000,
		.host = (unsigned char __guest *)host + 0x2000};
	mem.region_count = 2;
	mem.size = 0x3000;
	return host;
}

static void copies_cross_regions_that_touch(void **state)
{
	unsigned char *host = touching();
	char back[6] = "";

	(void)state;
	assert_int_equal(gmem_write(&mem, GPA(0x2ffd), "abcdef", 6), 0);
	assert_int_equal(gmem_read(&mem, GPA(0x2ffd), back, 6), 0);
	assert_memory_equal(back, "abcdef", 6);
	assert_memory_equal(host + 0x1ffd, "abcdef", 6);
	assert_int_equal(gmem_zero(&mem, GPA(0x2ffe), 2), 0);
	assert_memory_equal(host + 0x1ffd, "a\0\0def", 6);
	free(host);
}

static void a_copy_that_does_not_fit_changes_nothing(void **state)
{
	unsigned char *host = touching();

	(void)state;
	assert_int_equal(gmem_write(&mem, GPA(0x3ffe), "abc", 3), -EFAULT);
	assert_int_equal(gmem_zero(&mem, GPA(0x1000), 0x3001), -EFAULT);
	assert_int_equal(host[0x2ffe], 0);
	assert_int_equal(gmem_write(&mem, GPA(0xfff), "abc", 3), -EFAULT);
	assert_int_equal(host[0], 0);
	free(host);
}

static void lengths_and_addresses_that_wrap_are_refused(void **state)
{
	unsigned char *host = touching();
	char buf[8];

	(void)state;
	assert_int_equal(gmem_read(&mem, GPA(UINT64_MAX), buf, 8), -EFAULT);
	assert_int_equal(gmem_read(&mem, GPA(0x1000), buf, UINT64_MAX), -EFAULT);
	assert_int_equal(gmem_read(&mem, GPA(0x1001), buf, UINT64_MAX - 0x1000), -EFAULT);
	assert_null(gmem_host_addr(gmem_window(&mem, GPA(0x1000), UINT64_MAX)));
	assert_null(gmem_host_addr(gmem_window(&mem, GPA(UINT64_MAX - 1), 4)));
	free(host);
}

static void a_copy_of_nothing_succeeds_anywhere(void **state)
{
	unsigned char *host = touching();

	(void)state;
	assert_int_equal(gmem_read(&mem, GPA(0), NULL, 0), 0);
	assert_int_equal(gmem_read(&mem, GPA(UINT64_MAX), NULL, 0), 0);
	free(host);
}

static void a_window_lies_in_one_region_and_is_not_empty(void **state)
{
	unsigned char *host = touching();
	uint64_t got = 0;

	(void)state;
	assert_ptr_equal(gmem_host_addr(gmem_window(&mem, GPA(0x2fff), 1)), host + 0x1fff);
	assert_null(gmem_host_addr(gmem_window(&mem, GPA(0x2fff), 2)));
	assert_null(gmem_host_addr(gmem_window(&mem, GPA(0x2fff), 0)));
	assert_non_null(gmem_host_addr(gmem_window(&mem, GPA(0x3000), 0x1000)));
	assert_null(gmem_host_addr(gmem_window(&mem, GPA(0x4000), 1)));
	assert_non_null(gmem_host_addr(gmem_window_part(&mem, GPA(0x2fff), 9, &got)));
	assert_int_equal(got, 1);
	free(host);
}

static void ring_words_are_aligned_and_inside_memory(void **state)
{
	unsigned char *host = touching();
	uint16_t v = 0;

	(void)state;
	assert_int_equal(gmem_store16_rel(&mem, GPA(0x3ffe), 0xbeef), 0);
	assert_int_equal(gmem_load16_acq(&mem, GPA(0x3ffe), &v), 0);
	assert_int_equal(v, 0xbeef);
	assert_int_equal(gmem_load16_acq(&mem, GPA(0x3fff), &v), -EFAULT);
	assert_int_equal(gmem_load16_acq(&mem, GPA(0x4000), &v), -EFAULT);
	assert_int_equal(gmem_store16_rel(&mem, GPA(0x1001), 0), -EFAULT);
	assert_int_equal(v, 0xbeef);
	free(host);
}

static void writes_mark_exactly_their_pages(void **state)
{
	(void)state;
	map(MIB, GMEM_PAGES_4K, true);
	assert_int_equal(dirty_count(), 0);

	assert_int_equal(gmem_write(&mem, GPA(0x1fff), "ab", 2), 0);
	assert_int_equal(dirty_count(), 2);
	assert_true(is_dirty(1) && is_dirty(2));
	assert_int_equal(gmem_store16_rel(&mem, GPA(0xfffe), 1), 0);
	assert_true(is_dirty(15));
	assert_int_equal(gmem_zero(&mem, GPA(0x40000), 0x2000), 0);
	assert_true(is_dirty(64) && is_dirty(65));
	assert_int_equal(dirty_count(), 5);
}

static void reads_and_refused_writes_mark_nothing(void **state)
{
	char buf[2];

	(void)state;
	map(MIB, GMEM_PAGES_4K, true);
	assert_int_equal(gmem_read(&mem, GPA(0), buf, 2), 0);
	assert_int_equal(gmem_write(&mem, GPA(MIB - 1), buf, 2), -EFAULT);

	assert_int_equal(dirty_count(), 0);
}

static void dirty_pages_count_by_file_offset(void **state)
{
	(void)state;
	map(3 * GIB + MIB, GMEM_PAGES_4K, true);
	gmem_mark_dirty(&mem, GPA(4 * GIB + 5 * GMEM_PAGE_SIZE), 1);

	assert_true(is_dirty(3 * GIB / GMEM_PAGE_SIZE + 5));
	assert_int_equal(dirty_count(), 1);
}

static void marking_is_clipped_to_memory(void **state)
{
	(void)state;
	map(3 * GIB + MIB, GMEM_PAGES_4K, true);
	gmem_mark_dirty(
		&mem, GPA(3 * GIB - 1), GIB + 2); /* last page below, first above the hole */
	gmem_mark_dirty(&mem, GPA(4 * GIB + MIB), UINT64_MAX);
	gmem_mark_dirty(&mem, GPA(UINT64_MAX), UINT64_MAX);
	gmem_mark_dirty(&mem, GPA(0x5000), 0);

	assert_int_equal(dirty_count(), 2);
	assert_true(is_dirty(3 * GIB / GMEM_PAGE_SIZE - 1));
	assert_true(is_dirty(3 * GIB / GMEM_PAGE_SIZE));
}

static void mapped_memory_starts_as_zeroes(void **state)
{
	unsigned char buf[4096], zero[4096] = {0};

	(void)state;
	map(MIB, GMEM_PAGES_4K, false);
	assert_int_equal(gmem_read(&mem, GPA(MIB - 4096), buf, sizeof(buf)), 0);

	assert_memory_equal(buf, zero, sizeof(buf));
}

static unsigned char in_file(uint64_t off)
{
	unsigned char c = 0;

	assert_int_equal(pread(mem.fd, &c, 1, (off_t)off), 1);
	return c;
}

static void put(gpa_t at, unsigned char c)
{
	assert_int_equal(gmem_write(&mem, at, &c, 1), 0);
}

static void a_freeze_that_fails_leaves_memory_shared(void **state)
{
	(void)state;
	map(4 * GIB, GMEM_PAGES_4K, false);
	put(GPA(0), 1);
	fail_nth(FAIL_MMAP, 2, ENOMEM);

	assert_int_equal(gmem_freeze_base(&mem, &e), -ENOMEM);

	put(GPA(0), 2);
	put(GPA(4 * GIB), 3);
	assert_int_equal(in_file(0), 2);
	assert_int_equal(in_file(3 * GIB), 3);
	assert_int_equal(mem.backing, GMEM_BACKING_MEMFD);
}

static void a_frozen_base_keeps_what_it_had(void **state)
{
	unsigned char c = 0;

	(void)state;
	map(4 * GIB, GMEM_PAGES_4K, false);
	put(GPA(0), 1);
	gmem_unmap_pages(&mem);

	assert_int_equal(gmem_freeze_base(&mem, &e), 0);
	assert_int_equal(gmem_seal(mem.fd, &e), 0);
	put(GPA(0), 2);

	assert_int_equal(in_file(0), 1);
	assert_int_equal(gmem_read(&mem, GPA(0), &c, 1), 0);
	assert_int_equal(c, 2);
	assert_int_equal(pwrite(mem.fd, &c, 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(gmem_seal(mem.fd, &e), 0); /* again is no error */
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(small_memory_is_one_region_from_zero),
		T(exactly_three_gib_stays_below_the_hole),
		T(a_page_above_three_gib_lands_at_four_gib),
		T(the_hole_is_not_memory),
		T(sixty_four_gib_can_be_mapped),
		T(regions_are_two_mib_aligned_and_guarded),
		T(guest_memory_stays_out_of_core_dumps),
		T(transparent_huge_pages_are_asked_for),
		T(a_kernel_without_transparent_pages_is_no_error),
		T(impossible_sizes_are_refused_by_name),
		T(a_short_pool_of_huge_pages_fails_at_start_with_the_remedy),
		T(huge_pages_back_the_memory_when_the_pool_has_them),
		T(every_failing_mmap_is_reported_and_undone),
		T(every_failing_madvise_is_reported_and_undone),
		T(a_failing_memory_file_is_reported_and_undone),
		T(fini_accepts_zeroed_storage_and_closes_no_fd),
		T(the_memory_file_does_not_survive_exec),
		T(copies_cross_regions_that_touch),
		T(a_copy_that_does_not_fit_changes_nothing),
		T(lengths_and_addresses_that_wrap_are_refused),
		T(a_copy_of_nothing_succeeds_anywhere),
		T(a_window_lies_in_one_region_and_is_not_empty),
		T(ring_words_are_aligned_and_inside_memory),
		T(writes_mark_exactly_their_pages),
		T(reads_and_refused_writes_mark_nothing),
		T(dirty_pages_count_by_file_offset),
		T(marking_is_clipped_to_memory),
		T(mapped_memory_starts_as_zeroes),
		T(a_freeze_that_fails_leaves_memory_shared),
		T(a_frozen_base_keeps_what_it_had),
	};

	log_configure(&(const struct log_config){.id = "test", .fd = STDERR_FILENO});
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("gmem", tests, NULL, NULL);
}
