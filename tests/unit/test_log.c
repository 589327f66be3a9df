/* SPDX-License-Identifier: Apache-2.0 */
/* The log: the form of a line, its filters and limits, and the targets that clients hand over. */
#include "vmm/base/log.h"

#include "vmm/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define STAMP_LEN 29

static int pipe_fds[2];
static struct log_config config;
static char seen[65536];

static int setup(void **state)
{
	(void)state;
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	config = (struct log_config){.id = "vm1", .fd = pipe_fds[1], .level = LOG_INFO};
	log_configure(&config);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	config.fd = STDOUT_FILENO;
	log_configure(&config);
	return close(pipe_fds[0]) | close(pipe_fds[1]);
}

/* What was logged since the last call. */
static const char *logged(void)
{
	ssize_t n = read(pipe_fds[0], seen, sizeof(seen) - 1);

	seen[n > 0 ? n : 0] = '\0';
	return seen;
}

static uint32_t count_lines(const char *text)
{
	uint32_t count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

static void line_is_stamp_id_thread_and_message(void **state)
{
	char before[CLOCK_STAMP_SIZE];

	(void)state;
	clock_stamp_utc(before);
	log_info("hello %d", 5);
	assert_string_equal(logged() + STAMP_LEN, " [vm1:main] hello 5\n");
	assert_memory_equal(seen, before, 16);
}

static void level_and_origin_are_shown_on_request(void **state)
{
	char expected[128];

	(void)state;
	config.show_level = true;
	log_configure(&config);
	log_warn("w");
	assert_string_equal(logged() + STAMP_LEN, " [vm1:main:WARN] w\n");
	config.show_origin = true;
	log_configure(&config);
	log_error("x");
	(void)snprintf(
		expected, sizeof(expected), " [vm1:main:ERROR:%s:%d] x\n", __FILE__, __LINE__ - 2);
	assert_string_equal(logged() + STAMP_LEN, expected);
}

static void lines_above_the_level_are_left_out(void **state)
{
	(void)state;
	for (enum log_level level = LOG_OFF; level <= LOG_TRACE; level++) {
		config.level = level;
		log_configure(&config);
		log_error("a");
		log_warn("b");
		log_info("c");
		log_debug("d");
		LOG_AT(LOG_TRACE, "e");
		assert_int_equal(count_lines(logged()), level);
	}
}

static void module_is_a_prefix_of_the_source_path(void **state)
{
	(void)state;
	config.module = "tests/unit";
	log_configure(&config);
	log_info("a");
	assert_int_equal(count_lines(logged()), 1);
	config.module = "vmm/";
	log_configure(&config);
	log_info("a");
	assert_int_equal(count_lines(logged()), 0);
}

static void control_characters_cannot_forge_lines(void **state)
{
	(void)state;
	log_info("a\nb\x1b[2J\tc\x7f.");
	assert_string_equal(logged() + STAMP_LEN, " [vm1:main] a b [2J c .\n");
}

static void long_message_is_cut_to_one_line(void **state)
{
	static char text[2 * LOG_LINE_MAX];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	log_info("%s", text);
	assert_in_range(strlen(logged()), LOG_LINE_MAX - 100, LOG_LINE_MAX);
	assert_int_equal(count_lines(seen), 1);
	assert_int_equal(seen[strlen(seen) - 1], '\n');
}

static void *name_and_log(void *arg)
{
	log_thread_name("a name longer than fifteen");
	log_info("t");
	return arg;
}

static void thread_has_a_name_of_its_own(void **state)
{
	pthread_t t;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, name_and_log, NULL), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	log_info("m");
	assert_non_null(strstr(logged(), " [vm1:a name longer t] t\n"));
	assert_non_null(strstr(seen, " [vm1:main] m\n"));
}

static void guest_lines_are_limited_per_call_site(void **state)
{
	uint64_t before = log_limited_count();

	(void)state;
	for (int i = 0; i < 25; i++) {
		log_guest(LOG_WARN, "one %d", i);
		log_guest(LOG_WARN, "other");
	}
	assert_int_equal(count_lines(logged()), 20);
	assert_non_null(strstr(seen, "one 9\n"));
	assert_null(strstr(seen, "one 10\n"));
	assert_true(log_limited_count() - before == 30);
}

static void limit_of_a_site_ends_with_its_window(void **state)
{
	struct log_site site = {0};

	(void)state;
	for (int i = 0; i < 11; i++)
		log_line(LOG_INFO, &site, "f", 1, "x");
	assert_int_equal(count_lines(logged()), 10);
	site.window_start_ns -= 5 * CLOCK_NS_PER_S;
	log_line(LOG_INFO, &site, "f", 1, "x");
	assert_int_equal(count_lines(logged()), 2);
	assert_non_null(strstr(seen, "] 1 messages like the next were suppressed"));
	site.window_start_ns -= 5 * CLOCK_NS_PER_S;
	log_line(LOG_INFO, &site, "f", 1, "x");
	assert_int_equal(count_lines(logged()), 1);
}

static void lines_that_a_full_fifo_refuses_are_counted(void **state)
{
	uint64_t before = log_missed_count();
	ssize_t n;

	(void)state;
	do
		n = write(pipe_fds[1], seen, sizeof(seen));
	while (n > 0);
	log_info("lost");
	assert_true(log_missed_count() - before == 1);
}

static void levels_have_names_in_any_case(void **state)
{
	static const char *const names[] = {"OFF", "error", "Warning", "iNFO", "Debug", "TRACE"};
	enum log_level level;

	(void)state;
	for (enum log_level i = LOG_OFF; i <= LOG_TRACE; i++) {
		assert_int_equal(log_level_parse(names[i], &level), 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(log_level_parse("warn", &level), 0);
	assert_int_equal(level, LOG_WARN);
	assert_int_equal(log_level_parse("", &level), -EINVAL);
	assert_int_equal(log_level_parse("Infos", &level), -EINVAL);
}

static void target_is_made_if_missing_and_kept_if_not(void **state)
{
	char dir[] = "/tmp/mayfly-log-XXXXXX", path[64], text[8] = "";
	struct stat st;
	struct err e;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/log", dir);
	fd = log_open_target(path, "log_path", &e);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "abcdef", 6), 6);
	(void)close(fd);
	fd = log_open_target(path, "log_path", &e);
	assert_int_equal(write(fd, "XY", 2), 2);
	assert_int_equal(pread(fd, text, 7, 0), 6);
	(void)close(fd);

	assert_string_equal(text, "XYcdef");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0700, 0600);
	(void)unlink(path);
	(void)rmdir(dir);
	assert_int_equal(log_open_target(path, "log_path", &e), -ENOENT);
	assert_non_null(strstr(e.msg, "log_path: cannot open /tmp/mayfly-log-"));
}

static void fifo_without_a_reader_does_not_block(void **state)
{
	char dir[] = "/tmp/mayfly-log-XXXXXX", path[64];
	struct err e;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = log_open_target(path, "log_path", &e);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(write(fd, "x", 1), 1);
	(void)close(fd);
	(void)unlink(path);
	(void)rmdir(dir);
}

static const char *json_member(json_t *line, const char *key)
{
	return json_string_value(json_object_get(line, key));
}

/* The one line that was logged, which must be a JSON object. */
static json_t *logged_json(void)
{
	json_t *line = json_loads(logged(), JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(line) || count_lines(seen) != 1)
		fail_msg("not one JSON object: %s", seen);
	return line;
}

static void json_line_has_everything_by_name(void **state)
{
	json_t *line;

	(void)state;
	config.json = true;
	log_configure(&config);
	log_warn("drive \"%s\": a\\b", "x\n\x01");
	line = logged_json();
	assert_string_equal(json_member(line, "message"), "drive \"x\n\x01\": a\\b");
	assert_string_equal(json_member(line, "id"), "vm1");
	assert_string_equal(json_member(line, "thread"), "main");
	assert_string_equal(json_member(line, "level"), "WARN");
	assert_string_equal(json_member(line, "file"), __FILE__);
	assert_int_equal(json_integer_value(json_object_get(line, "line")), __LINE__ - 7);
	assert_int_equal(strlen(json_member(line, "timestamp")), STAMP_LEN + 1);
	assert_int_equal(json_object_size(line), 7);
	json_decref(line);
}

static void json_line_is_valid_whatever_the_message(void **state)
{
	static const char *const texts[] = {"\xff", "a\xc3", "\xc3\xa9", "\xe2\x82", "\xed\xa0\x80",
		"\xf0\x9f\x98\x80", "\xc0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\x80"};
	static char text[LOG_LINE_MAX];

	(void)state;
	config.json = true;
	log_configure(&config);
	for (size_t i = 0; i < NELEM(texts); i++) {
		log_info("%s", texts[i]);
		json_decref(logged_json());
	}
	/* Every length up to the cut, with characters of one to six bytes at the end. */
	for (size_t len = LOG_LINE_MAX - 200; len < sizeof(text); len++) {
		memset(text, 'x', len);
		(void)snprintf(text + len - 8, 9, "\n\xc3\xa9\"\xff\xe2\x82\xac");
		log_info("%s", text);
		json_decref(logged_json());
		assert_true(strlen(seen) <= LOG_LINE_MAX);
	}
}

static void change_keeps_what_it_does_not_name(void **state)
{
	char dir[] = "/tmp/mayfly-log-XXXXXX", path[64];
	struct log_change c = {.has_level = true, .level = LOG_ERROR, .module = "tests/"};
	const struct log_config *now;
	struct err e;
	int first_fd;

	(void)state;
	config.show_level = true;
	log_configure(&config);
	assert_int_equal(log_change(&c, &e), 0);
	log_warn("no");
	log_error("yes");
	assert_string_equal(logged() + STAMP_LEN, " [vm1:main:ERROR] yes\n");

	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/log", dir);
	assert_int_equal(log_change(&(struct log_change){.path = path}, &e), 0);
	now = log_config_get();
	first_fd = now->fd;
	assert_string_equal(now->module, "tests/");
	assert_int_equal(now->level, LOG_ERROR);
	assert_int_equal(log_change(&(struct log_change){.path = path, .module = ""}, &e), 0);
	assert_null(log_config_get()->module);
	assert_int_equal(fcntl(first_fd, F_GETFD), -1);
	(void)unlink(path);
	(void)rmdir(dir);
}

static void change_that_fails_changes_nothing(void **state)
{
	static char module[1024];
	struct log_config before = *log_config_get();
	struct log_change c = {.has_level = true, .level = LOG_ERROR, .path = "/nonexistent/x"};
	struct err e;

	(void)state;
	assert_int_equal(log_change(&c, &e), -ENOENT);
	assert_memory_equal(log_config_get(), &before, sizeof(before));
	memset(module, 'x', sizeof(module) - 1);
	c = (struct log_change){.has_level = true, .level = LOG_ERROR, .module = module};
	assert_int_equal(log_change(&c, &e), -EINVAL);
	assert_memory_equal(log_config_get(), &before, sizeof(before));
}

/* A file that may not grow past 100 bytes takes part of the second line. */
static void log_to_short_file(int fd)
{
	const struct rlimit small = {100, RLIM_INFINITY}, large = {RLIM_INFINITY, RLIM_INFINITY};
	uint64_t before = log_missed_count();

	(void)signal(SIGXFSZ, SIG_IGN);
	config.fd = fd;
	log_configure(&config);
	(void)setrlimit(RLIMIT_FSIZE, &small);
	log_info("first line, of 70 bytes: xxxxxx");
	log_info("second line, which is cut xxxxxxxxxxxxxxxxxxxxxxxxxx");
	(void)setrlimit(RLIMIT_FSIZE, &large);
	log_info("third");
	_exit(log_missed_count() - before == 1 ? 0 : 1);
}

static void line_after_a_cut_one_starts_on_its_own(void **state)
{
	FILE *f = tmpfile();
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(f);
	pid = fork();
	if (pid == 0)
		log_to_short_file(fileno(f));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(pread(fileno(f), seen, sizeof(seen) - 1, 0) > 100);
	assert_int_equal(seen[100], '\n');
	assert_non_null(strstr(seen + 101, "] third\n"));
	(void)fclose(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(line_is_stamp_id_thread_and_message),
		TEST(level_and_origin_are_shown_on_request),
		TEST(lines_above_the_level_are_left_out),
		TEST(module_is_a_prefix_of_the_source_path),
		TEST(control_characters_cannot_forge_lines),
		TEST(long_message_is_cut_to_one_line),
		TEST(thread_has_a_name_of_its_own),
		TEST(guest_lines_are_limited_per_call_site),
		TEST(limit_of_a_site_ends_with_its_window),
		TEST(lines_that_a_full_fifo_refuses_are_counted),
		TEST(levels_have_names_in_any_case),
		TEST(target_is_made_if_missing_and_kept_if_not),
		TEST(fifo_without_a_reader_does_not_block),
		TEST(json_line_has_everything_by_name),
		TEST(json_line_is_valid_whatever_the_message),
		TEST(change_keeps_what_it_does_not_name),
		TEST(change_that_fails_changes_nothing),
		TEST(line_after_a_cut_one_starts_on_its_own),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
