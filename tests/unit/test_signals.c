/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fatal signals in the middle of anything: whatever a thread was doing, the process ends with its
 * status, the log and the metrics file hold whole lines only, and the last ones tell why.
 */
#include "vmm/base/log.h"
#include "vmm/base/vm_end.h"
#include "vmm/core/metrics_sources.h"
#include "vmm/core/signals.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define THREADS     3
#define LINE_SAYS   "a line of the thread, with a number: "
#define TIME_MAX_S  60
#define LINES_MAX   10000u /* of a thread: the files stay small on a slow machine */
#define OUTPUT_SIZE (16u << 20)

/*
 * The thread sanitizer holds back what it takes for a signal from elsewhere until its own locks are free. It
 * takes these two for faults of the thread itself, handles them at once, and can then wait for a lock that the
 * interrupted code of its own holds.
 */
#ifdef __SANITIZE_THREAD__
#define FAULTS false
#else
#define FAULTS true
#endif

static struct metrics metrics;
static FILE *log_file, *metrics_file;

static int setup(void **state)
{
	(void)state;
	log_file = tmpfile();
	metrics_file = tmpfile();
	return log_file && metrics_file ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return fclose(log_file) | fclose(metrics_file);
}

static void last_metrics(void)
{
	(void)metrics_flush_last(&metrics);
}

static void *log_much(void *arg)
{
	for (unsigned i = 0; i < LINES_MAX; i++)
		log_info(LINE_SAYS "%u", i);
	(void)pause();
	return arg;
}

/* Never returns: it logs and writes metrics until a signal ends it. */
static void child_main(bool json, int number)
{
	struct log_config c = {.id = "vm", .fd = fileno(log_file), .level = LOG_INFO, .json = json};
	pthread_t threads[THREADS];

	(void)alarm(TIME_MAX_S);
	log_configure(&c);
	metrics_init(&metrics);
	metrics.fd = fileno(metrics_file);
	if (signals_init(last_metrics, NULL) < 0 ||
		metrics_add_signals(&metrics, &signal_counters, NULL) < 0)
		_exit(1);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, log_much, NULL) != 0)
			_exit(1);
	for (int i = 0; i < 20; i++)
		(void)metrics_flush(&metrics);
	/*
	 * Two at once, each of which might be in the middle of a line; one more on this thread. Only
	 * the first abort can be told of: a second one anywhere is the default action at once.
	 */
	for (int i = 0; number != SIGABRT && i < 2; i++)
		(void)pthread_kill(threads[i], number);
	for (;;) {
		(void)metrics_flush(&metrics);
		(void)raise(number);
	}
}

static int child_status(bool json, int number)
{
	int status;
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0)
		child_main(json, number);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static char *output_of(FILE *f)
{
	static char text[OUTPUT_SIZE];
	ssize_t n = pread(fileno(f), text, sizeof(text) - 1, 0);

	assert_true(n > 0);
	text[n] = '\0';
	return text;
}

static const char *line_message(const char *line, bool json, json_t **ret)
{
	const char *message;

	*ret = NULL;
	if (json) {
		*ret = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		return json_string_value(json_object_get(*ret, "message"));
	}
	message = strstr(line, " [vm:main] ");
	return message == line + 29 ? message + strlen(" [vm:main] ") : NULL;
}

/* Every line whole, and the last one about the end. */
static void check_log(bool json, const char *last)
{
	char *rest = output_of(log_file), *line;
	bool is_last = false;

	assert_int_equal(rest[strlen(rest) - 1], '\n');
	while ((line = strsep(&rest, "\n")) && *line) {
		json_t *parsed;
		const char *message = line_message(line, json, &parsed);

		if (is_last)
			fail_msg("after the last line: %s", line);
		is_last = message && strcmp(message, last) == 0;
		if (!is_last && (!message || strncmp(message, LINE_SAYS, strlen(LINE_SAYS)) != 0))
			fail_msg("not a whole line: %s", line);
		json_decref(parsed);
	}
	assert_true(is_last);
}

/* The last line is whole and has counted the signal; the others parse. */
static void check_metrics(const char *counter)
{
	char *rest = output_of(metrics_file), *line;
	json_int_t count = 0;

	while ((line = strsep(&rest, "\n")) && *line) {
		json_t *parsed = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

		if (!parsed)
			fail_msg("not a whole line: %.100s", line);
		count = json_integer_value(
			json_object_get(json_object_get(parsed, "signals"), counter));
		json_decref(parsed);
	}
	assert_true(count >= 1);
}

static void check_end(bool json, int number, int status, const char *counter)
{
	char last[128];

	(void)snprintf(last, sizeof(last),
		"Shutting down VM after intercepting signal %d, code -6.", number);
	for (int i = 0; i < 5; i++) {
		(void)!ftruncate(fileno(log_file), 0);
		(void)!ftruncate(fileno(metrics_file), 0);
		(void)lseek(fileno(log_file), 0, SEEK_SET);
		(void)lseek(fileno(metrics_file), 0, SEEK_SET);
		assert_int_equal(child_status(json, number), status);
		check_log(json, last);
		check_metrics(counter);
	}
}

static void fatal_signals_leave_whole_text_lines(void **state)
{
	(void)state;
	if (FAULTS)
		check_end(false, SIGSEGV, VMM_STATUS_SIGSEGV, "sigsegv");
	check_end(false, SIGHUP, VMM_STATUS_SIGHUP, "sighup");
}

static void fatal_signals_leave_whole_json_lines(void **state)
{
	(void)state;
	if (FAULTS)
		check_end(true, SIGBUS, VMM_STATUS_SIGBUS, "sigbus");
	check_end(true, SIGXCPU, VMM_STATUS_SIGXCPU, "sigxcpu");
}

static void abort_is_reported_before_it_ends_the_process(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		child_main(false, SIGABRT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(output_of(log_file), "after intercepting signal 6, a fault of"));
	assert_true(output_of(metrics_file)[0] == '{');
}

static void sigpipe_is_counted_and_life_goes_on(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		struct log_config c = {.id = "vm", .fd = fileno(log_file), .level = LOG_INFO};

		log_configure(&c);
		if (signals_init(NULL, NULL) < 0)
			_exit(1);
		(void)kill(getpid(), SIGPIPE);
		(void)kill(getpid(), SIGRTMIN);
		_exit(signal_counters.sigpipe == 1 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_non_null(strstr(output_of(log_file), "Received signal 13"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fatal_signals_leave_whole_text_lines),
		TEST(fatal_signals_leave_whole_json_lines),
		TEST(abort_is_reported_before_it_ends_the_process),
		TEST(sigpipe_is_counted_and_life_goes_on),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
