/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs to put the filters on: seccomp RUNS. A run is a new process with a thread of each role,
 * which takes the time around its own seccomp_install; then the same with filters of one instruction, the
 * floor. Prints a line for each: name, p50 and p99 of ours, p50 and p99 of the floor, in ns.
 */
#include "seccomp/filter.h"

#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNS_MAX 100000

/* One run: each role, the sum of them, and how long it takes when all do it at once. */
enum { SUM = SECCOMP_ROLE_COUNT, AT_ONCE, SAMPLE_COUNT };
struct sample {
	uint64_t ns[SAMPLE_COUNT];
};

static struct sample *sample_now; /* of the child, in memory shared with the parent */
static pthread_barrier_t at_once;
static uint64_t begun_ns[SECCOMP_ROLE_COUNT], ended_ns[SECCOMP_ROLE_COUNT];

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void role_install(enum seccomp_role role)
{
	struct err e;
	uint64_t start = now_ns();

	if (seccomp_install(role, &e) < 0) {
		(void)fprintf(stderr, "bench/seccomp: %s\n", e.msg);
		_exit(1);
	}
	begun_ns[role] = start;
	ended_ns[role] = now_ns();
	sample_now->ns[role] = ended_ns[role] - start;
}

static void *role_thread(void *arg)
{
	role_install((enum seccomp_role)(uintptr_t)arg);
	return NULL;
}

static void *role_thread_at_once(void *arg)
{
	(void)pthread_barrier_wait(&at_once);
	role_install((enum seccomp_role)(uintptr_t)arg);
	return NULL;
}

static void child_at_once(void)
{
	pthread_t threads[SECCOMP_ROLE_COUNT];
	uint64_t begun = UINT64_MAX, ended = 0;

	(void)pthread_barrier_init(&at_once, NULL, SECCOMP_ROLE_COUNT);
	for (uintptr_t role = SECCOMP_ROLE_MAIN + 1; role < SECCOMP_ROLE_COUNT; role++)
		if (pthread_create(&threads[role], NULL, role_thread_at_once, (void *)role) != 0)
			_exit(1);
	(void)role_thread_at_once((void *)(uintptr_t)SECCOMP_ROLE_MAIN);
	for (int role = SECCOMP_ROLE_MAIN + 1; role < SECCOMP_ROLE_COUNT; role++)
		(void)pthread_join(threads[role], NULL);
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++) {
		begun = begun_ns[role] < begun ? begun_ns[role] : begun;
		ended = ended_ns[role] > ended ? ended_ns[role] : ended;
	}
	sample_now->ns[AT_ONCE] = ended - begun;
	_exit(0);
}

/* The other threads first, because a filter is inherited. */
static void child(void)
{
	for (uintptr_t role = SECCOMP_ROLE_MAIN + 1; role < SECCOMP_ROLE_COUNT; role++) {
		pthread_t t;

		if (pthread_create(&t, NULL, role_thread, (void *)role) != 0)
			_exit(1);
		(void)pthread_join(t, NULL);
	}
	role_install(SECCOMP_ROLE_MAIN);
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++)
		sample_now->ns[SUM] += sample_now->ns[role];
	_exit(0);
}

static void use_floor(void)
{
	static struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct seccomp_set s = {0};

	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++)
		s.role[role] = (struct seccomp_program){.code = &allow, .len = 1};
	seccomp_set_use(&s);
}

static void run(struct sample *to, bool floor, void (*fn)(void))
{
	int status;
	pid_t pid;

	sample_now = to;
	pid = fork();
	if (pid == 0) {
		if (floor)
			use_floor();
		fn();
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
		WEXITSTATUS(status) != 0) {
		(void)fprintf(stderr, "bench/seccomp: a run failed\n");
		exit(1);
	}
}

/* Each way in a process of its own; what the second leaves of single roles is overwritten by the first. */
static void run_both(struct sample *to, bool floor)
{
	run(to, floor, child_at_once);
	run(to, floor, child);
}

static int u64_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void print(const struct sample *samples, size_t runs, int what)
{
	uint64_t *sorted = calloc(runs, sizeof(*sorted));

	if (!sorted)
		exit(1);
	for (size_t i = 0; i < runs; i++)
		sorted[i] = samples[i].ns[what];
	qsort(sorted, runs, sizeof(*sorted), u64_compare);
	(void)printf("\t%llu\t%llu", (unsigned long long)sorted[runs / 2],
		(unsigned long long)sorted[runs * 99 / 100]);
	free(sorted);
}

int main(int argc, char **argv)
{
	size_t runs = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	struct sample *samples;

	if (runs == 0 || runs > RUNS_MAX) {
		(void)fprintf(stderr, "usage: seccomp RUNS, 1 to %d\n", RUNS_MAX);
		return 2;
	}
	samples = mmap(NULL, 2 * runs * sizeof(*samples), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (samples == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < runs; i++) {
		run_both(&samples[i], false);
		run_both(&samples[runs + i], true);
	}
	for (int what = 0; what < SAMPLE_COUNT; what++) {
		(void)printf("seccomp_%s", what == SUM ? "sum"
					   : what == AT_ONCE
						   ? "all"
						   : seccomp_role_thread((enum seccomp_role)what));
		print(samples, runs, what);
		print(samples + runs, runs, what);
		(void)printf("\n");
	}
	return 0;
}
