/* SPDX-License-Identifier: Apache-2.0 */
/* The base helpers: errors, whole-buffer I/O, clocks, scope-bound resources, CHECK. */
#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/err.h"
#include "vmm/base/io.h"
#include "vmm/base/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

static void error_holds_code_and_message(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(err_set(&e, -EINVAL, "%s: %d", "key", 7), -EINVAL);
	assert_int_equal(e.code, -EINVAL);
	assert_string_equal(e.msg, "key: 7");
	assert_int_equal(err_set(NULL, -EIO, "nobody"), -EIO);
}

static void error_of_the_system_is_spelled_as_clients_expect(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(err_set_os(&e, -ENOENT, "open %s", "x"), -ENOENT);
	assert_string_equal(e.msg, "open x: No such file or directory (os error 2)");
	assert_int_equal(err_set_os(&e, -99999, "odd"), -99999);
	assert_string_equal(e.msg, "odd: unknown error (os error 99999)");
	assert_int_equal(err_set_os(NULL, -EPERM, "nobody"), -EPERM);
}

static void context_goes_in_front(void **state)
{
	struct err e = {0};

	(void)state;
	(void)err_set(&e, -EINVAL, "cause");
	assert_int_equal(err_wrap(&e, "inner %d", 1), -EINVAL);
	assert_int_equal(err_wrap(&e, "outer"), -EINVAL);
	assert_string_equal(e.msg, "outer: inner 1: cause");
}

static void long_messages_are_cut_and_terminated(void **state)
{
	char text[2 * sizeof(((struct err *)0)->msg)];
	struct err e;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	(void)err_set(&e, -EINVAL, "%s", text);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	(void)err_set_os(&e, -EIO, "%s", text);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	assert_int_equal(err_wrap(&e, "%s", text), -EIO);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
}

static void check_writes_one_line_and_aborts(void **state)
{
	char text[256] = "";
	int fds[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		(void)signal(SIGABRT, SIG_DFL);
		(void)dup2(fds[1], STDERR_FILENO);
		CHECK(fds[0] == -7);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	(void)close(fds[0]);
	(void)close(fds[1]);

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(text, "CHECK(fds[0] == -7) failed at tests/unit/test_base.c:"));
}

static void scope_closes_what_was_not_handed_over(void **state)
{
	int kept, seen, taken;

	(void)state;
	{
		CLEANUP_FD
		int a = open("/dev/null", O_RDONLY | O_CLOEXEC);
		CLEANUP_FD
		int b = open("/dev/null", O_RDONLY | O_CLOEXEC);
		CLEANUP_FREE
		char *text = NULL;
		CLEANUP_FCLOSE FILE *f = fopen("/dev/null", "r");
		CLEANUP_FCLOSE FILE *none = NULL;

		assert_true(a >= 0 && b >= 0 && f && !none);
		assert_int_equal(asprintf(&text, "freed"), 5);
		seen = a;
		taken = b;
		kept = fd_take(&b);
		assert_int_equal(b, -1);
	}
	assert_int_equal(fcntl(seen, F_GETFD), -1);
	assert_int_equal(kept, taken);
	assert_int_equal(fcntl(kept, F_GETFD), FD_CLOEXEC);
	fd_close(&kept);
	assert_int_equal(kept, -1);
	fd_close(&kept);
	assert_int_equal(fcntl(taken, F_GETFD), -1);
}

/* A file of len bytes of 'x'; the caller unlinks path. */
static void make_file(char path[], size_t len)
{
	static char text[10000];
	CLEANUP_FD
	int fd = mkstemp(path);

	assert_true(fd >= 0 && len <= sizeof(text));
	memset(text, 'x', len);
	assert_int_equal(io_write_full(fd, text, len), 0);
}

static void read_file_takes_up_to_its_limit(void **state)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 9999, 10000};
	char *text;
	size_t len;
	struct err e;

	(void)state;
	for (size_t i = 0; i < NELEM(sizes); i++) {
		char path[] = "/tmp/mayfly-base-XXXXXX";

		make_file(path, sizes[i]);
		assert_int_equal(io_read_file(path, 10000, &text, &len, &e), 0);
		assert_int_equal(len, sizes[i]);
		assert_int_equal(strlen(text), len);
		free(text);
		if (sizes[i] > 0) {
			assert_int_equal(io_read_file(path, sizes[i] - 1, &text, &len, &e), -EFBIG);
			assert_non_null(strstr(e.msg, path));
		}
		(void)unlink(path);
	}
}

static void read_file_reads_what_has_no_size_and_names_what_fails(void **state)
{
	char *text;
	size_t len;
	struct err e;

	(void)state;
	assert_int_equal(io_read_file("/proc/self/status", 65536, &text, &len, &e), 0);
	assert_true(len > 100);
	free(text);
	assert_int_equal(io_read_file("/dev/zero", 65536, &text, &len, &e), -EFBIG);
	assert_int_equal(io_read_file("/nonexistent", 16, &text, &len, &e), -ENOENT);
	assert_string_equal(
		e.msg, "cannot open /nonexistent: No such file or directory (os error 2)");
	assert_int_equal(io_read_file("/tmp", 16, &text, &len, &e), -EISDIR);
	assert_non_null(strstr(e.msg, "cannot read /tmp"));
	assert_int_equal(io_read_image("/tmp", 16, &text, &len, &e), -EINVAL);
	assert_int_equal(io_read_image("/dev/zero", 16, &text, &len, &e), -EINVAL);
	assert_int_equal(io_read_image("/nonexistent", 16, &text, &len, &e), -ENOENT);
}

static void pread_is_whole_or_an_error(void **state)
{
	char path[] = "/tmp/mayfly-base-XXXXXX", buf[16];

	(void)state;
	make_file(path, 10);
	{
		CLEANUP_FD
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		assert_int_equal(io_pread_full(fd, buf, 10, 0), 0);
		assert_int_equal(io_pread_full(fd, buf, 1, 9), 0);
		assert_int_equal(io_pread_full(fd, buf, 0, 99), 0);
		assert_int_equal(io_pread_full(fd, buf, 11, 0), -EIO);
		assert_int_equal(io_pread_full(fd, buf, 1, 10), -EIO);
	}
	assert_int_equal(io_pread_full(-1, buf, 1, 0), -EBADF);
	(void)unlink(path);
}

#define PIPE_BYTES MIB

static void *drain(void *arg)
{
	static char buf[3001];
	const int *fd = arg;
	size_t total = 0;
	ssize_t n;

	while ((n = read(*fd, buf, sizeof(buf))) > 0)
		total += (size_t)n;
	return total == PIPE_BYTES ? arg : NULL;
}

static void write_goes_on_after_short_writes(void **state)
{
	static char data[PIPE_BYTES];
	pthread_t reader;
	void *whole;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(pthread_create(&reader, NULL, drain, &fds[0]), 0);
	assert_int_equal(io_write_full(fds[1], data, sizeof(data)), 0);
	(void)close(fds[1]);
	assert_int_equal(pthread_join(reader, &whole), 0);
	assert_non_null(whole);
	(void)close(fds[0]);
	assert_int_equal(io_write_full(-1, "x", 1), -EBADF);
}

/* Stands in front of the C library's, so that clocks show the time that a test sets. */
static bool clock_faked;
static struct timespec clock_fake;

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): glibc's are reserved names
int clock_gettime(clockid_t id, struct timespec *ts)
{
	if (!clock_faked)
		return (int)syscall(SYS_clock_gettime, id, ts);
	*ts = clock_fake;
	return 0;
}

static void clocks_count_in_nanoseconds(void **state)
{
	(void)state;
	clock_fake = (struct timespec){.tv_sec = 5000000000, .tv_nsec = 7};
	clock_faked = true;
	assert_true(clock_mono_ns() == 5000000000000000007);
	assert_true(clock_real_ns() == 5000000000000000007);
	assert_true(clock_process_cpu_ns() == 5000000000000000007);
	clock_faked = false;
}

static void stamp_agrees_with_the_c_library_on_every_day(void **state)
{
	char ours[CLOCK_STAMP_SIZE], theirs[CLOCK_STAMP_SIZE];
	struct tm tm;

	(void)state;
	clock_faked = true;
	/* 1970 to 2242, at a time of day that moves on. */
	for (time_t t = 0; t < (time_t)100000 * 86400; t += 86413) {
		clock_fake = (struct timespec){.tv_sec = t, .tv_nsec = t % 1000000000};
		clock_stamp_utc(ours);
		assert_non_null(gmtime_r(&t, &tm));
		assert_true(strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%S.", &tm) == 20);
		assert_memory_equal(ours, theirs, 20);
		assert_int_equal(strlen(ours), 29);
		assert_int_equal(strtol(ours + 20, NULL, 10), clock_fake.tv_nsec);
	}
	clock_faked = false;
}

static void ranges_never_wrap(void **state)
{
	(void)state;
	assert_true(in_range(0, 0, 0));
	assert_true(in_range(4, 4, 8));
	assert_true(in_range(8, 0, 8));
	assert_false(in_range(8, 1, 8));
	assert_false(in_range(5, 4, 8));
	assert_false(in_range(UINT64_MAX, 1, 8));
	assert_false(in_range(1, UINT64_MAX, 8));
	assert_true(in_range(0, UINT64_MAX, UINT64_MAX));
}

/* Whole pages only, whatever the object's beginning and end; neighbours in its first and last page stay. */
static void scratch_is_given_back_by_whole_pages(void **state)
{
	static _Alignas(SCRATCH_ALIGN) unsigned char room[4 * SCRATCH_ALIGN];
	static const struct {
		size_t at, size, first, end; /* dropped: from first to end */
	} cases[] = {
		{0, sizeof(room), 0, sizeof(room)},
		{0, SCRATCH_ALIGN, 0, SCRATCH_ALIGN},
		{0, SCRATCH_ALIGN - 1, 0, 0},
		{0, 2 * SCRATCH_ALIGN - 1, 0, SCRATCH_ALIGN},
		{1, 2 * SCRATCH_ALIGN, SCRATCH_ALIGN, 2 * SCRATCH_ALIGN},
		{1, 2 * SCRATCH_ALIGN - 2, 0, 0},
		{SCRATCH_ALIGN - 1, 1 + SCRATCH_ALIGN, SCRATCH_ALIGN, 2 * SCRATCH_ALIGN},
		{1, 1, 0, 0},
		{SCRATCH_ALIGN, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(room, 7, sizeof(room));
		scratch_drop(room + cases[i].at, cases[i].size);
		for (size_t k = 0; k < sizeof(room); k++)
			assert_int_equal(room[k], k >= cases[i].first && k < cases[i].end ? 0 : 7);
	}
}

/* Private memory of the pages that an object has. */
static size_t resident_pages(const unsigned char *at, size_t pages)
{
	uint64_t entries[8];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t count = 0, size = pages * sizeof(entries[0]);

	assert_true(fd >= 0 && pages <= sizeof(entries) / sizeof(entries[0]));
	assert_true(pread(fd, entries, size,
			    (off_t)((uintptr_t)at / SCRATCH_ALIGN * sizeof(entries[0]))) ==
		    (ssize_t)size);
	(void)close(fd);
	for (size_t i = 0; i < pages; i++)
		count += entries[i] >> 63;
	return count;
}

static void scratch_takes_no_memory_then(void **state)
{
	static _Alignas(SCRATCH_ALIGN) unsigned char room[3 * SCRATCH_ALIGN];

	(void)state;
	memset(room, 7, sizeof(room));
	assert_int_equal(resident_pages(room, 3), 3);
	scratch_drop(room, sizeof(room));
	assert_int_equal(resident_pages(room, 3), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_holds_code_and_message),
		cmocka_unit_test(error_of_the_system_is_spelled_as_clients_expect),
		cmocka_unit_test(context_goes_in_front),
		cmocka_unit_test(long_messages_are_cut_and_terminated),
		cmocka_unit_test(check_writes_one_line_and_aborts),
		cmocka_unit_test(scope_closes_what_was_not_handed_over),
		cmocka_unit_test(read_file_takes_up_to_its_limit),
		cmocka_unit_test(read_file_reads_what_has_no_size_and_names_what_fails),
		cmocka_unit_test(pread_is_whole_or_an_error),
		cmocka_unit_test(write_goes_on_after_short_writes),
		cmocka_unit_test(clocks_count_in_nanoseconds),
		cmocka_unit_test(stamp_agrees_with_the_c_library_on_every_day),
		cmocka_unit_test(ranges_never_wrap),
		cmocka_unit_test(scratch_is_given_back_by_whole_pages),
		cmocka_unit_test(scratch_takes_no_memory_then),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
