/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a monitor with a benchmark payload and turns what the guest says into rows (README.md): for
 * each pair of lines
 *
 *	BENCH begin NAME
 *	BENCH end NAME ops=N unit=IOPS|MB/s|packets/s|us [bytes=N] [tsc=TICKS p50=TICKS p99=TICKS]
 *
 * one row with what was done per second of wall-clock time (us: the time of one), and the CPU time
 * that all threads of the monitor, the guest's included, took meanwhile per operation.
 *
 *   guest PREFIX PROGRAM CMD [ARG...]      PREFIX is put before each NAME
 *
 * Exit status 1 if the guest does not say "PAYLOAD ok" within the time it gets.
 */
#include <dirent.h>
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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GUEST_SILENCE_MS 60000
#define GUEST_LINE_MAX   512

static struct {
	const char *prefix, *program;
	pid_t pid;
	char name[64]; /* of what is being measured, or "" */
	uint64_t start_ns, start_cpu_ns, start_vcpu_ns;
	bool ok;
} guest;

static _Noreturn void guest_die(const char *what)
{
	(void)fprintf(stderr, "guest: %s: %s: %s\n", guest.program, what, strerror(errno));
	if (guest.pid > 0)
		(void)kill(guest.pid, SIGKILL);
	exit(1);
}

static uint64_t guest_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Of all threads, also those that have ended. */
static uint64_t guest_cpu_ns(void)
{
	struct timespec ts;
	clockid_t clock;

	errno = clock_getcpuclockid(guest.pid, &clock);
	if (errno != 0 || clock_gettime(clock, &ts) < 0)
		guest_die("CPU time");
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The start of a file of a thread, as a string. */
static bool guest_read(const char *tid, const char *name, char *ret, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%.16s/%s", (int)guest.pid, tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, ret, size - 1);
		(void)close(fd);
	}
	ret[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* Of the threads that run the guest: fc_vcpu 0, CPU 0/KVM. schedstat starts with nanoseconds. */
static uint64_t guest_vcpu_ns(void)
{
	char path[32], text[128];
	struct dirent *entry;
	uint64_t sum = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)guest.pid);
	dir = opendir(path);
	if (!dir)
		guest_die(path);
	while ((entry = readdir(dir)))
		if (guest_read(entry->d_name, "comm", text, sizeof(text)) &&
			(strncmp(text, "fc_vcpu", 7) == 0 || strncmp(text, "CPU ", 4) == 0) &&
			guest_read(entry->d_name, "schedstat", text, sizeof(text)))
			sum += strtoull(text, NULL, 10);
	(void)closedir(dir);
	return sum;
}

static void guest_begin(const char *name)
{
	(void)snprintf(guest.name, sizeof(guest.name), "%.63s", name);
	guest.start_cpu_ns = guest_cpu_ns();
	guest.start_vcpu_ns = guest_vcpu_ns();
	guest.start_ns = guest_now_ns();
}

/* The number behind "key=" in line, 0 if there is none. */
static double guest_number(const char *line, const char *key)
{
	char word[32];
	const char *at;

	(void)snprintf(word, sizeof(word), " %s=", key);
	at = strstr(line, word);
	return at ? (double)strtoull(at + strlen(word), NULL, 10) : 0;
}

static void guest_end(const char *line)
{
	double ns = (double)(guest_now_ns() - guest.start_ns);
	double cpu_ns = (double)(guest_cpu_ns() - guest.start_cpu_ns);
	double vcpu_ns = (double)(guest_vcpu_ns() - guest.start_vcpu_ns);
	double ops = guest_number(line, "ops"), tsc = guest_number(line, "tsc");
	double us_per_tick = tsc > 0 ? ns / 1e3 / tsc : 0;
	char unit[16] = "";
	const char *at = strstr(line, " unit=");
	double value = ops / (ns / 1e9);

	if (!at || sscanf(at, " unit=%15s", unit) != 1 || ops <= 0) {
		errno = EPROTO;
		guest_die(line);
	}
	if (strcmp(unit, "MB/s") == 0)
		value = guest_number(line, "bytes") / 1e6 / (ns / 1e9);
	else if (strcmp(unit, "us") == 0)
		value = ns / 1e3 / ops;
	printf("{\"bench\":\"%s%s\",\"program\":\"%s\",\"value\":%.2f,\"unit\":\"%s\","
	       "\"cpu_us_per_op\":%.3f",
		guest.prefix, guest.name, guest.program, value, unit, cpu_ns / 1e3 / ops);
	if (vcpu_ns > 0)
		printf(",\"host_us_per_op\":%.3f", (cpu_ns - vcpu_ns) / 1e3 / ops);
	if (us_per_tick > 0)
		printf(",\"p50_us\":%.2f,\"p99_us\":%.2f", guest_number(line, "p50") * us_per_tick,
			guest_number(line, "p99") * us_per_tick);
	printf(",\"irqs_per_op\":%.3f,\"kicks_per_op\":%.3f}\n", guest_number(line, "irqs") / ops,
		guest_number(line, "kicks") / ops);
	(void)fflush(stdout);
	guest.name[0] = '\0';
}

static void guest_line(const char *line)
{
	static const char begin[] = "BENCH begin ", end[] = "BENCH end ";
	size_t len = strlen(guest.name);

	if (strncmp(line, begin, strlen(begin)) == 0)
		guest_begin(line + strlen(begin));
	else if (strncmp(line, end, strlen(end)) == 0 && len > 0 &&
		 strncmp(line + strlen(end), guest.name, len) == 0 &&
		 line[strlen(end) + len] == ' ')
		guest_end(line);
	else if (strcmp(line, "PAYLOAD ok") == 0)
		guest.ok = true;
	else if (strncmp(line, "PAYLOAD", 7) == 0)
		(void)fprintf(stderr, "guest: %s: %s\n", guest.program, line);
}

static int guest_spawn(char **argv)
{
	posix_spawn_file_actions_t actions;
	int pipe_fd[2];

	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		guest_die("pipe");
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], STDOUT_FILENO);
	errno = posix_spawnp(&guest.pid, argv[0], &actions, NULL, argv, environ);
	if (errno != 0)
		guest_die(argv[0]);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(pipe_fd[1]);
	return pipe_fd[0];
}

/* Line by line until the monitor has closed its output. */
static void guest_listen(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char line[GUEST_LINE_MAX], c;
	size_t len = 0;

	for (;;) {
		if (poll(&p, 1, GUEST_SILENCE_MS) <= 0) {
			errno = ETIMEDOUT;
			guest_die("nothing more is said");
		}
		if (read(fd, &c, 1) <= 0)
			return;
		if (c == '\n') {
			line[len] = '\0';
			guest_line(line);
			len = 0;
		} else if (c != '\r' && len < sizeof(line) - 1) {
			line[len++] = c;
		}
	}
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		(void)fprintf(stderr, "usage: guest PREFIX PROGRAM CMD [ARG...]\n");
		return 2;
	}
	guest.prefix = argv[1];
	guest.program = argv[2];
	guest_listen(guest_spawn(argv + 3));
	(void)waitpid(guest.pid, NULL, 0);
	if (!guest.ok)
		(void)fprintf(stderr, "guest: %s: the guest did not end well\n", guest.program);
	return guest.ok ? 0 : 1;
}
