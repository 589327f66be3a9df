/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts commands over and over and measures each from the outside, all in the same way: the time
 * from just before the spawn to the first byte 'M' on the command's standard output, the time to
 * its exit, its peak resident memory and its CPU time. The commands take turns (A B C A B C ...),
 * so that drift of the machine hits all alike. Results are JSON, with every single sample.
 *
 *   launch [-n RUNS] [-w WARM-UP] [-t SECONDS] [-b BYTE] NAME CMD [ARG...] \; [NAME CMD [ARG...] \;]...
 *
 * With -b another byte than 'M' is waited for.
 *
 * A NAME that starts with @ is for commands that do not end by themselves: they are killed after their
 * first output, and only the time to that output means anything.
 *
 * A command without output for SECONDS (30; 0 is for ever) ends everything.
 *
 * Keep this program small: a child's peak resident memory starts at that of the process that
 * spawned it. It is linked statically for that reason and reports its own peak beside the others.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LAUNCH_COMMANDS_MAX 16
#define LAUNCH_RUNS_MAX     10000
#define LAUNCH_SECONDS_MAX  86400
#define LAUNCH_SETTLE_US    5000 /* idle before each start, so that none profits from the one before */

enum launch_value { FIRST_US, EXIT_US, TAIL_US, CPU_US, RSS_KIB, VALUE_COUNT };

static const char *const launch_value_names[VALUE_COUNT] = {
	[FIRST_US] = "first_us",
	[EXIT_US] = "exit_us",
	[TAIL_US] = "first_to_exit_us",
	[CPU_US] = "cpu_us",
	[RSS_KIB] = "rss_kib",
};

struct launch_command {
	const char *name;
	char **argv;
	bool first_only;
	uint32_t *samples[VALUE_COUNT]; /* owned, one per run */
};

static struct launch_command launch_commands[LAUNCH_COMMANDS_MAX];
static int launch_command_count;
static int launch_timeout_ms = 30000;
static char launch_byte = 'M';

static _Noreturn void launch_die(const char *what)
{
	(void)fprintf(stderr, "launch: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t launch_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Standard input from /dev/null, output to the pipe, errors to ours. vfork-like: nothing is copied. */
static pid_t launch_spawn(const struct launch_command *c, int out_fd)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int rc;

	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	rc = posix_spawnp(&pid, c->argv[0], &actions, NULL, c->argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (rc != 0) {
		errno = rc;
		launch_die(c->argv[0]);
	}
	return pid;
}

/* The time of the first such byte, or 0 at end of file. Reads what else there is as well. */
static uint64_t launch_wait_output(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char buf[512];

	for (;;) {
		ssize_t n;

		if (poll(&p, 1, launch_timeout_ms) <= 0)
			return 0;
		n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			return 0;
		if (memchr(buf, launch_byte, (size_t)n))
			return launch_now_ns();
	}
}

static uint64_t launch_cpu_us(const struct rusage *u)
{
	return (uint64_t)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000u +
	       (uint64_t)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

static void launch_once(const struct launch_command *c, int run)
{
	uint64_t start, first, end;
	struct rusage usage;
	int fds[2], status;
	pid_t pid;

	(void)usleep(LAUNCH_SETTLE_US);
	if (pipe2(fds, O_CLOEXEC) < 0)
		launch_die("pipe");
	start = launch_now_ns();
	pid = launch_spawn(c, fds[1]);
	close(fds[1]);
	first = launch_wait_output(fds[0]);
	if (!first || c->first_only)
		(void)kill(pid, SIGKILL);
	while (wait4(pid, &status, 0, &usage) < 0)
		if (errno != EINTR)
			launch_die("wait4");
	end = launch_now_ns();
	close(fds[0]);
	if (!first || (status != 0 && !c->first_only)) {
		(void)fprintf(stderr, "launch: %s: %s, wait status 0x%x\n", c->name,
			first ? "failed" : "no output", (unsigned)status);
		exit(1);
	}
	if (run < 0)
		return;
	c->samples[FIRST_US][run] = (uint32_t)((first - start) / 1000);
	c->samples[EXIT_US][run] = (uint32_t)((end - start) / 1000);
	c->samples[TAIL_US][run] = (uint32_t)((end - first) / 1000);
	c->samples[CPU_US][run] = (uint32_t)launch_cpu_us(&usage);
	c->samples[RSS_KIB][run] = (uint32_t)usage.ru_maxrss;
}

static int launch_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Sorts the samples: the nearest-rank percentiles are then simply at their place. */
static void launch_print_value(uint32_t *v, int runs, const char *name, bool last)
{
	qsort(v, (size_t)runs, sizeof(*v), launch_compare);
	(void)printf(
		"      \"%s\": {\"min\": %u, \"p50\": %u, \"p99\": %u, \"max\": %u, \"sorted\": [",
		name, v[0], v[(runs - 1) / 2], v[(runs * 99 + 99) / 100 - 1], v[runs - 1]);
	for (int i = 0; i < runs; i++)
		(void)printf("%s%u", i ? "," : "", v[i]);
	(void)printf("]}%s\n", last ? "" : ",");
}

static void launch_print(int runs)
{
	struct rusage own;

	(void)getrusage(RUSAGE_SELF, &own);
	(void)printf("{\n  \"runs\": %d,\n  \"launcher_rss_kib\": %ld,\n  \"commands\": {\n", runs,
		own.ru_maxrss);
	for (int i = 0; i < launch_command_count; i++) {
		const struct launch_command *c = &launch_commands[i];

		(void)printf("    \"%s\": {\n      \"first_only\": %s,\n", c->name,
			c->first_only ? "true" : "false");
		for (int k = 0; k < VALUE_COUNT; k++)
			launch_print_value(
				c->samples[k], runs, launch_value_names[k], k == VALUE_COUNT - 1);
		(void)printf("    }%s\n", i == launch_command_count - 1 ? "" : ",");
	}
	(void)printf("  }\n}\n");
}

static int launch_number(const char *text, int max)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (*end || v < 0 || v > max) {
		(void)fprintf(stderr, "launch: \"%s\" is not a number from 0 to %d\n", text, max);
		exit(2);
	}
	return (int)v;
}

/* NAME CMD ARG... ; at argv[i]; returns where the next one starts. */
static int launch_parse_command(int i, int argc, char **argv, int runs)
{
	struct launch_command *c = &launch_commands[launch_command_count];
	int end = i;

	while (end < argc && strcmp(argv[end], ";") != 0)
		end++;
	if (end == argc || end - i < 2 || launch_command_count == LAUNCH_COMMANDS_MAX) {
		(void)fprintf(stderr, "usage: launch [-n RUNS] [-w WARM-UP] [-t SECONDS] NAME CMD "
				      "[ARG...] \\; ...\n");
		exit(2);
	}
	argv[end] = NULL;
	c->first_only = argv[i][0] == '@';
	c->name = argv[i] + (c->first_only ? 1 : 0);
	c->argv = &argv[i + 1];
	for (int k = 0; k < VALUE_COUNT; k++) {
		c->samples[k] = calloc((size_t)runs, sizeof(uint32_t));
		if (!c->samples[k])
			launch_die("memory");
	}
	launch_command_count++;
	return end + 1;
}

int main(int argc, char **argv)
{
	int runs = 100, warm_up = 5, opt;

	while ((opt = getopt(argc, argv, "+n:w:t:b:")) != -1) {
		if (opt == 'n')
			runs = launch_number(optarg, LAUNCH_RUNS_MAX);
		else if (opt == 'w')
			warm_up = launch_number(optarg, LAUNCH_RUNS_MAX);
		else if (opt == 't')
			launch_timeout_ms = launch_number(optarg, LAUNCH_SECONDS_MAX) * 1000;
		else if (opt == 'b')
			launch_byte = optarg[0];
		else
			return 2;
	}
	if (launch_timeout_ms == 0)
		launch_timeout_ms = -1;
	for (int i = optind; runs > 0 && i < argc;)
		i = launch_parse_command(i, argc, argv, runs);
	for (int run = -warm_up; run < runs; run++)
		for (int i = 0; i < launch_command_count; i++)
			launch_once(&launch_commands[i], run);
	launch_print(runs);
	return 0;
}
