/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a run of mayfly-vmm spends its time, by its own marks: starts it over and over with a
 * supervisor socket, over which it reports them, and prints the median of each as JSON. The clock
 * starts just before the spawn.
 *
 *	timeline RUNS CMD [ARG...]
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMELINE_RUNS_MAX  1000
#define TIMELINE_MARKS_MAX 8
#define TIMELINE_ARGS_MAX  32
#define TIMELINE_FD        3

struct timeline_mark {
	char name[32];
	int count;
	uint32_t samples[TIMELINE_RUNS_MAX];
};

static struct timeline_mark timeline_marks[TIMELINE_MARKS_MAX];
static int timeline_mark_count;

static void timeline_add(const char *name, uint32_t us)
{
	struct timeline_mark *m = timeline_marks;

	while (m < timeline_marks + timeline_mark_count && strcmp(m->name, name) != 0)
		m++;
	if (m == timeline_marks + timeline_mark_count) {
		if (timeline_mark_count == TIMELINE_MARKS_MAX)
			return;
		timeline_mark_count++;
		(void)snprintf(m->name, sizeof(m->name), "%s", name);
	}
	m->samples[m->count++] = us;
}

/* "timeline NAME=MICROSECONDS ... NAME=-" */
static void timeline_parse(char *text)
{
	char *save = NULL;

	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *eq = strchr(word, '=');

		if (eq && eq[1] != '-') {
			*eq = '\0';
			timeline_add(word, (uint32_t)strtoul(eq + 1, NULL, 10));
		}
	}
}

static pid_t timeline_spawn(char **argv, int argc, int socket)
{
	char *args[TIMELINE_ARGS_MAX + 5], fd_text[] = "3", start_text[24];
	posix_spawn_file_actions_t actions;
	struct timespec ts;
	pid_t pid;

	(void)memcpy(args, argv, (size_t)argc * sizeof(args[0]));
	args[argc] = (char[]){"--supervisor-fd"};
	args[argc + 1] = fd_text;
	args[argc + 2] = (char[]){"--start-time-us"};
	args[argc + 3] = start_text;
	args[argc + 4] = NULL;
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&actions, socket, TIMELINE_FD);
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	(void)snprintf(start_text, sizeof(start_text), "%llu",
		(unsigned long long)ts.tv_sec * 1000000u + (unsigned long long)ts.tv_nsec / 1000u);
	errno = posix_spawnp(&pid, args[0], &actions, NULL, args, environ);
	if (errno) {
		perror(args[0]);
		exit(1);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static void timeline_once(char **argv, int argc)
{
	int pair[2], status;
	char msg[512];
	ssize_t n;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		perror("socketpair");
		exit(1);
	}
	pid = timeline_spawn(argv, argc, pair[1]);
	close(pair[1]);
	while ((n = recv(pair[0], msg, sizeof(msg) - 1, 0)) > 0) {
		msg[n] = '\0';
		if (strncmp(msg, "timeline ", 9) == 0)
			timeline_parse(msg + 9);
	}
	close(pair[0]);
	if (waitpid(pid, &status, 0) < 0 || status != 0) {
		(void)fprintf(stderr, "timeline: %s failed\n", argv[0]);
		exit(1);
	}
}

static int timeline_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	long runs = argc > 2 ? strtol(argv[1], NULL, 10) : 0;

	if (runs < 1 || runs > TIMELINE_RUNS_MAX || argc - 2 > TIMELINE_ARGS_MAX) {
		(void)fprintf(stderr, "usage: timeline RUNS CMD [ARG...]\n");
		return 2;
	}
	for (long i = 0; i < runs; i++)
		timeline_once(&argv[2], argc - 2);
	(void)printf("{");
	for (int i = 0; i < timeline_mark_count; i++) {
		struct timeline_mark *m = &timeline_marks[i];

		qsort(m->samples, (size_t)m->count, sizeof(m->samples[0]), timeline_compare);
		(void)printf(
			"%s\"%s_us\": %u", i ? ", " : "", m->name, m->samples[(m->count - 1) / 2]);
	}
	(void)printf("}\n");
	return 0;
}
