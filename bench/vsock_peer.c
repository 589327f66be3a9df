/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of the vsock benchmark and its floor.
 *
 *   vsock_peer serve PATH     listens on PATH_6000 (sends back what comes), PATH_6001 (takes all) and
 *                             PATH_6002 (sends without end)
 *   vsock_peer floor PATH MS  the streams of tests/payload/bench_vsock.c over these sockets directly,
 *                             without a VM; prints rows (README.md)
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PEER_CHUNK 65536u
#define PEER_NS    1000000000ull

enum { PEER_ECHO = 6000, PEER_SINK, PEER_SOURCE, PEER_END };

static unsigned char chunk[PEER_CHUNK];

static _Noreturn void peer_die(const char *what)
{
	(void)fprintf(stderr, "vsock_peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int peer_socket(const char *path, int port, bool server)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%.90s_%d", path, port);
	if (server)
		(void)unlink(a.sun_path);
	if (fd < 0 || (server ? bind(fd, (const struct sockaddr *)&a, sizeof(a))
			      : connect(fd, (const struct sockaddr *)&a, sizeof(a))) < 0)
		peer_die(a.sun_path);
	if (server && listen(fd, 16) < 0)
		peer_die("listen");
	return fd;
}

static void peer_connection(int fd, int port)
{
	ssize_t n = 1;

	while (n > 0) {
		if (port != PEER_SOURCE)
			n = recv(fd, chunk, sizeof(chunk), 0);
		if (n > 0 && port != PEER_SINK)
			n = send(fd, chunk, port == PEER_ECHO ? (size_t)n : sizeof(chunk),
				MSG_NOSIGNAL);
	}
}

/* One connection after the other. */
static _Noreturn void peer_listen(int fd, int port)
{
	for (;;) {
		int c = accept(fd, NULL, NULL);

		if (c < 0)
			peer_die("accept");
		peer_connection(c, port);
		(void)close(c);
	}
}

/* A process for each port; they end with this one. */
static int peer_serve(const char *path)
{
	int fds[PEER_END - PEER_ECHO];

	for (int port = PEER_ECHO; port < PEER_END; port++)
		fds[port - PEER_ECHO] = peer_socket(path, port, true);
	for (int port = PEER_ECHO + 1; port < PEER_END; port++)
		if (fork() == 0)
			peer_listen(fds[port - PEER_ECHO], port);
	peer_listen(fds[0], PEER_ECHO);
}

static void peer_on_term(int signal)
{
	(void)signal;
	(void)kill(0, SIGKILL);
}

static uint64_t peer_clock(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * PEER_NS + (uint64_t)ts.tv_nsec;
}

/* One operation of a load; the bytes it moved. */
static uint64_t floor_step(int fd, int port)
{
	ssize_t n;

	if (port == PEER_SINK)
		n = send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL);
	else
		n = recv(fd, chunk, sizeof(chunk), 0);
	if (n <= 0)
		peer_die("floor");
	return (uint64_t)n;
}

static void floor_run(const char *path, int port, uint64_t ms, const char *name)
{
	uint64_t start = peer_clock(CLOCK_MONOTONIC), cpu = peer_clock(CLOCK_PROCESS_CPUTIME_ID);
	uint64_t until = start + ms * 1000000u, bytes = 0;
	int fd = peer_socket(path, port, false);
	double s;

	while (peer_clock(CLOCK_MONOTONIC) < until)
		bytes += floor_step(fd, port);
	s = (double)(peer_clock(CLOCK_MONOTONIC) - start) / 1e9;
	cpu = peer_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	(void)close(fd);
	printf("{\"bench\":\"vsock_%s\",\"program\":\"floor unix socket\",\"value\":%.2f,"
	       "\"unit\":\"MB/s\",\"cpu_us_per_op\":%.3f}\n",
		name, (double)bytes / 1e6 / s,
		(double)cpu / 1e3 /
			((double)bytes / 4096)); /* an operation is 4 KiB, as the guest counts */
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0) {
		(void)setpgid(0, 0);
		(void)signal(SIGTERM, peer_on_term);
		return peer_serve(argv[2]);
	}
	if (argc == 4 && strcmp(argv[1], "floor") == 0) {
		uint64_t ms = strtoull(argv[3], NULL, 10);

		floor_run(argv[2], PEER_SINK, ms, "to_host");
		floor_run(argv[2], PEER_SOURCE, ms, "to_guest");
		return 0;
	}
	(void)fprintf(stderr, "usage: vsock_peer serve PATH | floor PATH MS\n");
	return 2;
}
