/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The round trip of an API request, against the least that any server must do: accept, read, write,
 * close, in a process of its own over the same kind of socket, with the same answer. Both are asked
 * in turns.
 *
 *   api [--keep] SOCKET RUNS NAME METHOD PATH [BODY]
 *
 * A run is connect, send, read the whole answer, close; with --keep one connection stays open. One
 * line on standard output: NAME and, in ns, p50 and p99 of the server and of the floor.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define WARM_UP_RUNS 200
#define ANSWER_MAX   65536

static char answer[ANSWER_MAX];

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(at.sun_path)) {
		(void)fprintf(stderr, "api: %s is too long for a socket\n", path);
		exit(1);
	}
	memcpy(at.sun_path, path, strlen(path));
	return at;
}

static int dial(const char *path)
{
	struct sockaddr_un at = address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die(path);
	return fd;
}

/* Sends the request and reads len bytes, or with 0 what one read gives. */
static size_t ask(int fd, const char *request, size_t len)
{
	size_t got = 0;

	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		die("send");
	do {
		ssize_t n = read(fd, answer + got, sizeof(answer) - got);

		if (n <= 0)
			die("read");
		got += (size_t)n;
	} while (got < len);
	return got;
}

/* The floor: one connection at a time, one read a request, one write an answer. */
static _Noreturn void floor_serve(int listen_fd, const char *text, size_t len, bool keeps)
{
	static char request[ANSWER_MAX];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int fd = accept(listen_fd, NULL, NULL);

		if (fd < 0)
			die("accept");
		while (read(fd, request, sizeof(request)) > 0) {
			if (write(fd, text, len) < 0)
				break;
			if (!keeps)
				break;
		}
		close(fd);
	}
}

static pid_t floor_start(const char *path, const char *text, size_t len, bool keeps)
{
	struct sockaddr_un at = address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 16) < 0)
		die(path);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		floor_serve(fd, text, len, keeps);
	close(fd);
	return pid;
}

struct side {
	const char *path;
	int fd; /* with --keep; otherwise -1 */
	uint64_t *samples_ns;
};

static uint64_t side_run(const struct side *s, const char *request, size_t len)
{
	uint64_t began = now_ns();
	int fd = s->fd >= 0 ? s->fd : dial(s->path);
	uint64_t took;

	if (ask(fd, request, len) != len)
		die("an answer of another length");
	took = now_ns() - began;
	if (s->fd < 0)
		close(fd);
	return took;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void measure(struct side sides[2], int runs, const char *request, size_t len)
{
	for (int i = -WARM_UP_RUNS; i < runs; i++)
		for (int j = 0; j < 2; j++) {
			uint64_t took = side_run(&sides[j], request, len);

			if (i >= 0)
				sides[j].samples_ns[i] = took;
			usleep(200); /* let the server get back to waiting */
		}
}

int main(int argc, char **argv)
{
	bool keeps = argc > 1 && strcmp(argv[1], "--keep") == 0;
	struct side sides[2] = {{.fd = -1}, {.fd = -1}};
	char request[4096], floor_path[108];
	const char *body;
	unsigned long runs;
	int fd;
	size_t len;
	pid_t pid;

	argc -= keeps;
	argv += keeps;
	if (argc < 6 || (runs = strtoul(argv[2], NULL, 10)) < 1) {
		(void)fprintf(stderr, "usage: api [--keep] SOCKET RUNS NAME METHOD PATH [BODY]\n");
		return 2;
	}
	body = argc > 6 ? argv[6] : "";
	if (body[0])
		(void)snprintf(request, sizeof(request),
			"%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s",
			argv[4], argv[5], strlen(body), body);
	else
		(void)snprintf(request, sizeof(request),
			"%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n", argv[4], argv[5]);
	fd = dial(argv[1]);
	len = ask(fd, request, 0);
	close(fd);
	if (strncmp(answer, "HTTP/1.1 20", 11) != 0) {
		(void)fprintf(stderr, "api: %s %s: %.*s\n", argv[4], argv[5], (int)len, answer);
		return 1;
	}
	(void)snprintf(floor_path, sizeof(floor_path), "%.90s.floor", argv[1]);
	pid = floor_start(floor_path, answer, len, keeps);
	sides[0].path = argv[1];
	sides[1].path = floor_path;
	for (int j = 0; j < 2; j++) {
		sides[j].samples_ns = calloc(runs, sizeof(uint64_t));
		if (!sides[j].samples_ns)
			die("calloc");
		sides[j].fd = keeps ? dial(sides[j].path) : -1;
	}
	measure(sides, (int)runs, request, len);
	(void)printf("%s", argv[3]);
	for (int j = 0; j < 2; j++) {
		uint64_t *s = sides[j].samples_ns;

		qsort(s, runs, sizeof(*s), compare);
		(void)printf("\t%llu\t%llu", (unsigned long long)s[(runs - 1) / 2],
			(unsigned long long)s[(runs - 1) * 99 / 100]);
	}
	(void)printf("\n");
	kill(pid, SIGKILL);
	unlink(floor_path);
	return 0;
}
