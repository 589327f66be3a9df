/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures clones from the outside, floors and monitors all in the same way. A CMD restores the guest of
 * tests/payload/bench_snap.c, which says 'M' as its first act and 'A' when it has done its work.
 *
 *   snap resume BENCH RUNS [PROGRAM SOCKET BODY CMD... ;]...   from PATCH /vm to 'M': the clone waits,
 *                                                              paused, with its API on SOCKET. BENCH is until
 *                                                              the program writes 'M', by the kernel's time
 *                                                              stamp; BENCH_heard until it is read here
 *   snap load BENCH RUNS [PROGRAM SOCKET BODY CMD... ;]...     from the spawn over PUT /snapshot/load with
 *                                                              BODY to 'M'
 *   snap clones COUNT PROGRAM MEMORY CMD...                    COUNT of them at once, until each has
 *                                                              said 'A'; then killed all at once
 *   snap ask SOCKET METHOD PATH [BODY]                         one request: status, microseconds
 *
 * resume and load take turns and print a row each (README.md), clones one for each of its figures.
 * MEMORY is the memory file, by which the guest's own pages are told from the monitor's.
 */
#include "bench/snap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SNAP_PROGRAMS_MAX 8
#define SNAP_WARM_UP      3
#define SNAP_SETTLE_US    5000
#define SNAP_SILENCE_MS   30000

/* From the request to the 'M' that the program writes, and that is read here. */
struct times {
	uint64_t written_ns, heard_ns;
};

struct program {
	const char *name, *socket, *body;
	char **argv;
	uint64_t *written_ns, *heard_ns; /* one for each run */
};

_Noreturn void snap_die(const char *what)
{
	(void)fprintf(stderr, "snap: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t snap_ns(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

uint64_t snap_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t); /* the clock of the kernel's time stamps */
	return snap_ns(&t);
}

pid_t snap_spawn(char **argv, int *ret_fd)
{
	posix_spawn_file_actions_t actions;
	int fds[2], on = 1;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0 ||
		setsockopt(fds[0], SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0)
		snap_die("socketpair");
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	errno = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	if (errno != 0)
		snap_die(argv[0]);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(fds[1]);
	*ret_fd = fds[0];
	return pid;
}

static uint64_t snap_stamp_ns(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	struct timespec t;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
		snap_die("no time stamp");
	memcpy(&t, CMSG_DATA(c), sizeof(t));
	return snap_ns(&t);
}

uint64_t snap_wait_byte(int fd, char byte)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	_Alignas(struct cmsghdr) char control[256];
	char text[256];
	struct iovec iov = {text, sizeof(text)};
	struct msghdr m;
	ssize_t n;

	do {
		if (poll(&p, 1, SNAP_SILENCE_MS) <= 0) {
			errno = ETIMEDOUT;
			snap_die("nothing is said");
		}
		m = (struct msghdr){.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control)};
		n = recvmsg(fd, &m, 0);
		if (n <= 0) {
			errno = n == 0 ? EPIPE : errno;
			snap_die("the program ended");
		}
	} while (!memchr(text, byte, (size_t)n));
	return snap_stamp_ns(&m);
}

/* A connected socket; it may take a while until somebody listens. */
static int snap_dial(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	uint64_t end = snap_now_ns() + SNAP_SILENCE_MS * 1000000ull;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	while (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		if (fd < 0 || (errno != ENOENT && errno != ECONNREFUSED) || snap_now_ns() > end)
			snap_die(path);
		(void)usleep(50);
	}
	return fd;
}

static void snap_send(int fd, const char *method, const char *path, const char *body)
{
	char text[2048];
	int n = snprintf(text, sizeof(text),
		"%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
		"Content-Length: %zu\r\n\r\n%s",
		method, path, strlen(body), body);

	if (strcmp(method, "GET") == 0)
		n = snprintf(
			text, sizeof(text), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
	if (n < 0 || (size_t)n >= sizeof(text) || send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		snap_die("send");
}

/* The status of the answer; anything but 20x is an error that is shown. */
static int snap_answer(int fd)
{
	char text[4096];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		snap_die("no answer");
	text[n] = '\0';
	if (strncmp(text, "HTTP/1.1 20", 11) != 0) {
		(void)fprintf(stderr, "snap: answer: %s\n", text);
		exit(1);
	}
	return (int)strtol(text + 9, NULL, 10);
}

static int snap_request(
	const char *socket_path, const char *method, const char *path, const char *body)
{
	int fd = snap_dial(socket_path), status;

	snap_send(fd, method, path, body);
	status = snap_answer(fd);
	(void)close(fd);
	return status;
}

static struct times snap_once(const struct program *p, bool is_load)
{
	struct times took;
	uint64_t start;
	int out, fd;
	pid_t pid;

	(void)unlink(p->socket);
	(void)usleep(SNAP_SETTLE_US);
	start = snap_now_ns();
	pid = snap_spawn(p->argv, &out);
	if (!is_load) {
		(void)snap_request(p->socket, "GET", "/", ""); /* answered when all is in place */
		(void)usleep(SNAP_SETTLE_US);
		start = snap_now_ns();
	}
	fd = snap_dial(p->socket);
	snap_send(fd, is_load ? "PUT" : "PATCH", is_load ? "/snapshot/load" : "/vm", p->body);
	took.written_ns = snap_wait_byte(out, 'M') - start;
	took.heard_ns = snap_now_ns() - start;
	(void)snap_answer(fd);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)close(fd);
	(void)close(out);
	return took;
}

static int snap_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void snap_print(
	const char *bench, const char *suffix, const char *program, uint64_t *s, int runs)
{
	int at50 = (runs - 1) / 2, at99 = (runs * 99 + 99) / 100 - 1;
	double p50, p99;

	qsort(s, (size_t)runs, sizeof(*s), snap_compare);
	p50 = (double)s[at50] / 1e3;
	p99 = (double)s[at99] / 1e3;
	(void)printf("{\"bench\":\"%s%s\",\"program\":\"%s\",\"value\":%.1f,\"unit\":\"us\","
		     "\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
		bench, suffix, program, p50, p50, p99);
}

static int snap_turns(const char *bench, int runs, bool is_load, int argc, char **argv)
{
	struct program programs[SNAP_PROGRAMS_MAX];
	int count = 0;

	for (int i = 0; i < argc;) {
		struct program *p = &programs[count];
		int end = i;

		while (end < argc && strcmp(argv[end], ";") != 0)
			end++;
		if (end == argc || end - i < 4 || count++ == SNAP_PROGRAMS_MAX)
			return 2;
		argv[end] = NULL;
		*p = (struct program){.name = argv[i],
			.socket = argv[i + 1],
			.body = argv[i + 2],
			.argv = argv + i + 3,
			.written_ns = calloc((size_t)runs, sizeof(uint64_t)),
			.heard_ns = calloc((size_t)runs, sizeof(uint64_t))};
		if (!p->written_ns || !p->heard_ns)
			snap_die("memory");
		i = end + 1;
	}
	for (int run = -SNAP_WARM_UP; run < runs; run++)
		for (int i = 0; i < count; i++) {
			struct times took = snap_once(&programs[i], is_load);

			if (run < 0)
				continue;
			programs[i].written_ns[run] = took.written_ns;
			programs[i].heard_ns[run] = took.heard_ns;
		}
	for (int i = 0; i < count; i++) {
		const struct program *p = &programs[i];

		if (!is_load)
			snap_print(bench, "", p->name, p->written_ns, runs);
		snap_print(bench, is_load ? "" : "_heard", p->name, p->heard_ns, runs);
	}
	return 0;
}

static int snap_ask(int argc, char **argv)
{
	uint64_t start = snap_now_ns();
	int status = snap_request(argv[0], argv[1], argv[2], argc > 3 ? argv[3] : "");

	(void)printf("%d %llu\n", status, (unsigned long long)(snap_now_ns() - start) / 1000);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool is_clones = strcmp(what, "clones") == 0;
	long count = argc > 3 ? strtol(argv[is_clones ? 2 : 3], NULL, 10) : 0;
	bool counted = count >= 1 && count <= SNAP_COUNT_MAX;
	int rc = 2;

	if ((strcmp(what, "resume") == 0 || strcmp(what, "load") == 0) && argc > 7 && counted)
		rc = snap_turns(argv[2], (int)count, strcmp(what, "load") == 0, argc - 4, argv + 4);
	else if (is_clones && argc > 5 && counted)
		rc = snap_clones((int)count, argv[3], argv[4], argv + 5);
	else if (strcmp(what, "ask") == 0 && argc >= 5)
		rc = snap_ask(argc - 2, argv + 2);
	if (rc == 2)
		(void)fprintf(stderr, "usage: snap resume|load|clones|ask ... (see its source)\n");
	return rc;
}
