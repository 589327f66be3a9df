/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of a stream test, for hosts and for guests, where busybox knows no vsock:
 *
 *	vsock-tool echo ADDRESS [CONNECTIONS]	sends back what comes; ends after so many, if given
 *	vsock-tool talk ADDRESS BYTES COUNT	COUNT connections at once, BYTES each way on each
 *	vsock-tool ping ADDRESS TIMES		one byte to and fro; prints the median
 *
 * ADDRESS is vsock:CID:PORT (CID -1: any), unix:PATH, or hybrid:PATH:PORT (a monitor's socket, by
 * CONNECT and OK). A talker sends a pattern, ends its half, and checks that the same bytes and then
 * the other end come back. The last line is "ok ..."; any fault is a line and status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#define CONNS_MAX 1024
#define CHUNK     0x10000u

struct conn {
	int fd;
	uint64_t sent, received;  /* talker */
	unsigned char buf[CHUNK]; /* echo: what is to go back */
	uint32_t buf_start, buf_len;
	bool sent_end;
};

struct address {
	struct sockaddr_storage at;
	socklen_t len;
	bool hybrid;
	unsigned port;
};

static struct conn *conns[CONNS_MAX];
static struct pollfd polls[CONNS_MAX + 1];

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vfprintf(stderr, fmt, args);
	va_end(args);
	(void)fprintf(stderr, "\n");
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct address parse_address(const char *text)
{
	struct address a = {.len = sizeof(struct sockaddr_un)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr_vm vm = {.svm_family = AF_VSOCK};
	const char *colon = strrchr(text, ':');

	if (strncmp(text, "vsock:", 6) == 0) {
		vm.svm_cid = (unsigned)strtol(text + 6, NULL, 10);
		vm.svm_port = (unsigned)strtoul(colon + 1, NULL, 10);
		memcpy(&a.at, &vm, sizeof(vm));
		a.len = sizeof(vm);
		return a;
	}
	a.hybrid = strncmp(text, "hybrid:", 7) == 0;
	if (a.hybrid) {
		a.port = (unsigned)strtoul(colon + 1, NULL, 10);
		(void)snprintf(un.sun_path, sizeof(un.sun_path), "%.*s", (int)(colon - text - 7),
			text + 7);
	} else if (strncmp(text, "unix:", 5) == 0) {
		(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", text + 5);
	} else {
		die("%s: no address", text);
	}
	memcpy(&a.at, &un, sizeof(un));
	return a;
}

static int open_socket(const struct address *a)
{
	int fd = socket(a->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket: %s", strerror(errno));
	return fd;
}

static void set_nonblocking(int fd)
{
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		die("fcntl: %s", strerror(errno));
}

static void greet(int fd, unsigned port)
{
	char line[64];
	int len = snprintf(line, sizeof(line), "CONNECT %u\n", port);
	size_t n = 0;
	char *end;

	if (write(fd, line, (size_t)len) != len)
		die("CONNECT: %s", strerror(errno));
	do {
		if (n == sizeof(line) - 1 || read(fd, line + n, 1) != 1)
			die("no OK after CONNECT %u", port);
	} while (line[n++] != '\n');
	line[n] = 0;
	if (strncmp(line, "OK ", 3) != 0 || strtoul(line + 3, &end, 10) == 0 || *end != '\n')
		die("not an OK: %s", line);
}

/* A backlog that is full is tried again: the limit is the other side's. */
static int connect_to(const struct address *a)
{
	for (int tries = 0;; tries++) {
		int fd = open_socket(a);

		if (connect(fd, (const struct sockaddr *)&a->at, a->len) == 0) {
			if (a->hybrid)
				greet(fd, a->port);
			return fd;
		}
		if (tries == 50)
			die("connect: %s", strerror(errno));
		(void)close(fd);
		(void)usleep(20000);
	}
}

static int listen_on(const struct address *a)
{
	int fd = open_socket(a);

	if (a->at.ss_family == AF_UNIX)
		(void)unlink(((const struct sockaddr_un *)(const void *)&a->at)->sun_path);
	if (bind(fd, (const struct sockaddr *)&a->at, a->len) < 0 || listen(fd, 1024) < 0)
		die("listen: %s", strerror(errno));
	return fd;
}

static struct conn *new_conn(int fd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		die("out of memory");
	c->fd = fd;
	set_nonblocking(fd);
	return c;
}

static bool would_block(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* ---- echo ---- */

/* False when the connection is over. */
static bool echo_move(struct conn *c)
{
	ssize_t n;

	if (c->buf_len == 0) {
		n = read(c->fd, c->buf, sizeof(c->buf));
		if (n <= 0)
			return would_block(n);
		c->buf_start = 0;
		c->buf_len = (uint32_t)n;
	}
	n = send(c->fd, c->buf + c->buf_start, c->buf_len, MSG_NOSIGNAL);
	if (n < 0)
		return would_block(n);
	c->buf_start += (uint32_t)n;
	c->buf_len -= (uint32_t)n;
	return true;
}

static void echo(const struct address *a, unsigned long limit)
{
	unsigned long served = 0;
	unsigned count = 0;

	polls[0] = (struct pollfd){.fd = listen_on(a)};
	while (limit == 0 || served < limit) {
		polls[0].events = count < CONNS_MAX ? POLLIN : 0;
		for (unsigned i = 0; i < count; i++)
			polls[1 + i] = (struct pollfd){.fd = conns[i]->fd,
				.events = conns[i]->buf_len > 0 ? POLLOUT : POLLIN};
		if (poll(polls, 1 + count, -1) < 0)
			die("poll: %s", strerror(errno));
		for (unsigned i = count; i-- > 0;) {
			if (!polls[1 + i].revents || echo_move(conns[i]))
				continue;
			(void)close(conns[i]->fd);
			free(conns[i]);
			conns[i] = conns[--count];
			served++;
		}
		if (polls[0].revents & POLLIN) {
			int fd = accept4(polls[0].fd, NULL, NULL, SOCK_CLOEXEC);

			if (fd >= 0)
				conns[count++] = new_conn(fd);
		}
	}
	(void)printf("ok served %lu\n", served);
}

/* ---- talk ---- */

static unsigned char pattern(uint64_t at, unsigned seed)
{
	return (unsigned char)(at ^ at >> 8 ^ at >> 16 ^ (uint64_t)seed * 31);
}

static void talk_send(struct conn *c, unsigned seed, uint64_t bytes)
{
	unsigned char out[CHUNK];
	size_t len = bytes - c->sent < sizeof(out) ? (size_t)(bytes - c->sent) : sizeof(out);
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		out[i] = pattern(c->sent + i, seed);
	n = len > 0 ? send(c->fd, out, len, MSG_NOSIGNAL) : 0;
	if (n < 0 && !would_block(n))
		die("connection %u: send after %llu bytes: %s", seed, (unsigned long long)c->sent,
			strerror(errno));
	c->sent += n > 0 ? (uint64_t)n : 0;
	if (c->sent == bytes) {
		if (shutdown(c->fd, SHUT_WR) < 0)
			die("shutdown: %s", strerror(errno));
		c->sent_end = true;
	}
}

/* True at the end of what comes back. */
static bool talk_receive(struct conn *c, unsigned seed, uint64_t bytes)
{
	ssize_t n = read(c->fd, c->buf, sizeof(c->buf));

	if (would_block(n))
		return false;
	if (n < 0)
		die("connection %u: read after %llu bytes: %s", seed,
			(unsigned long long)c->received, strerror(errno));
	for (ssize_t i = 0; i < n; i++)
		if (c->buf[i] != pattern(c->received + (uint64_t)i, seed))
			die("connection %u: byte %llu is wrong", seed,
				(unsigned long long)c->received + (uint64_t)i);
	c->received += (uint64_t)n;
	if (n == 0 && (c->received != bytes || !c->sent_end))
		die("connection %u: the end after %llu bytes", seed,
			(unsigned long long)c->received);
	return n == 0;
}

static void talk(const struct address *a, uint64_t bytes, unsigned count)
{
	uint64_t began = now_ns();
	unsigned open = count;

	for (unsigned i = 0; i < count; i++)
		conns[i] = new_conn(connect_to(a));
	while (open > 0) {
		for (unsigned i = 0; i < count; i++)
			polls[i] = (struct pollfd){.fd = conns[i]->fd,
				.events = (short)(POLLIN | (conns[i]->sent_end ? 0 : POLLOUT))};
		if (poll(polls, count, 20000) <= 0)
			die("nothing has moved for 20 s, %u connections are open", open);
		for (unsigned i = 0; i < count; i++) {
			if (polls[i].revents & POLLOUT)
				talk_send(conns[i], i, bytes);
			if ((polls[i].revents & (POLLIN | POLLHUP | POLLERR)) &&
				talk_receive(conns[i], i, bytes)) {
				(void)close(conns[i]->fd);
				conns[i]->fd = -1;
				open--;
			}
		}
	}
	(void)printf("ok %u connections, %llu bytes each way, %llu ms\n", count,
		(unsigned long long)bytes, (unsigned long long)(now_ns() - began) / 1000000);
}

/* ---- ping ---- */

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void ping(const struct address *a, unsigned long times)
{
	uint64_t *took = calloc(times, sizeof(*took));
	int fd = connect_to(a);
	char c = 'x';

	if (!took || times == 0)
		die("ping: how often?");
	for (unsigned long i = 0; i < times; i++) {
		uint64_t began = now_ns();

		if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
			die("ping %lu: %s", i, strerror(errno));
		took[i] = now_ns() - began;
	}
	qsort(took, times, sizeof(*took), compare_u64);
	(void)printf("ok %lu round trips, median %llu ns, p99 %llu ns\n", times,
		(unsigned long long)took[times / 2], (unsigned long long)took[times * 99 / 100]);
	free(took);
	(void)close(fd);
}

int main(int argc, char **argv)
{
	struct address a;
	unsigned long count;

	if (argc < 3)
		die("usage: vsock-tool echo|talk|ping ADDRESS [NUMBER...]");
	a = parse_address(argv[2]);
	count = argc > 4 ? strtoul(argv[4], NULL, 0) : 1;
	if (strcmp(argv[1], "echo") == 0)
		echo(&a, argc > 3 ? strtoul(argv[3], NULL, 0) : 0);
	else if (strcmp(argv[1], "talk") == 0 && argc > 3 && count <= CONNS_MAX)
		talk(&a, strtoull(argv[3], NULL, 0), (unsigned)count);
	else if (strcmp(argv[1], "ping") == 0 && argc > 3)
		ping(&a, strtoul(argv[3], NULL, 0));
	else
		die("vsock-tool: %s: no such thing to do, or too much of it", argv[1]);
	return fflush(stdout) == 0 ? 0 : 1;
}
