/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that nobody wants, one kind a function. Each does its worst and prints a line of what it
 * did; whether the monitor and its VM minded is for the test to see.
 */
#include "tests/conformance/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 10000
#define HELD        8

static int dial(const char *path)
{
	int fd = client_dial(path);

	/* a full backlog is the server's way of saying "later" */
	for (int i = 0; fd < 0 && i < 1000; i++) {
		usleep(1000);
		fd = client_dial(path);
	}
	if (fd < 0)
		client_die(path);
	return fd;
}

static void say(int fd, const void *data, size_t len)
{
	(void)!send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Connects and goes, some without a word, some in the middle of one. */
static void flood_connections(const char *path)
{
	static const char request[] = "GET / HTTP/1.1\r\n\r\n";

	for (int i = 0; i < CONNECTIONS; i++) {
		int fd = dial(path);

		say(fd, request, (size_t)i % sizeof(request));
		close(fd);
	}
	(void)printf("%d connections\n", CONNECTIONS);
}

/* Bytes that are no HTTP. */
static void flood_binary(const char *path)
{
	unsigned seed = 1;

	for (int i = 0; i < 1000; i++) {
		unsigned char noise[1500];
		int fd = dial(path);

		for (size_t j = 0; j < sizeof(noise); j++) {
			seed = seed * 1664525u + 1013904223u;
			noise[j] = (unsigned char)(seed >> 24);
		}
		say(fd, noise, sizeof(noise));
		close(fd);
	}
	(void)printf("1000 pieces of noise\n");
}

/* Lines without end, heads without end, bodies that were never promised to end. */
static void flood_huge(const char *path)
{
	static const char *const begins[] = {
		"GET /",
		"GET / HTTP/1.1\r\nA: ",
		"PUT /mmds HTTP/1.1\r\nContent-Length: 4000000000\r\n\r\n",
		"PUT /mmds HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
	};
	static char part[65536];
	unsigned long long sent = 0;

	memset(part, 'x', sizeof(part));
	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
		int fd = dial(path);

		say(fd, begins[i], strlen(begins[i]));
		for (int j = 0; j < 500; j++) {
			ssize_t n = send(fd, part, sizeof(part), MSG_NOSIGNAL);

			if (n < 0)
				break;
			sent += (unsigned long long)n;
		}
		close(fd);
	}
	(void)printf("%llu bytes of nothing\n", sent);
}

/* Requests as fast as they go, the answers read in lumps. */
static void flood_pipelined(const char *path)
{
	static const char request[] = "GET /vm/config HTTP/1.1\r\n\r\n";
	static char requests[100 * sizeof(request)], answers[1 << 16];
	unsigned long long bytes = 0;
	int fd = dial(path);

	for (size_t i = 0; i < 100; i++)
		memcpy(requests + i * (sizeof(request) - 1), request, sizeof(request) - 1);
	for (time_t end = time(NULL) + 2; time(NULL) < end;) {
		ssize_t n;

		say(fd, requests, 100 * (sizeof(request) - 1));
		while ((n = recv(fd, answers, sizeof(answers), MSG_DONTWAIT)) > 0)
			bytes += (unsigned long long)n;
	}
	close(fd);
	(void)printf("%llu bytes of answers\n", bytes);
}

/* Asks and asks and never reads. */
static void flood_deaf(const char *path)
{
	static const char request[] = "GET /vm/config HTTP/1.1\r\n\r\n";
	int fds[HELD];

	for (size_t i = 0; i < HELD; i++) {
		fds[i] = dial(path);
		for (int j = 0; j < 5000; j++)
			say(fds[i], request, sizeof(request) - 1);
	}
	sleep(1);
	for (size_t i = 0; i < HELD; i++)
		close(fds[i]);
	(void)printf("%d connections that did not read\n", HELD);
}

/* Half-open requests, a byte at a time, for some seconds. */
static void flood_slow(const char *path)
{
	static const char request[] = "PUT /mmds HTTP/1.1\r\nContent-Length: 50000\r\n\r\n";
	int fds[HELD];

	for (size_t i = 0; i < HELD; i++)
		fds[i] = dial(path);
	for (size_t j = 0; j < sizeof(request) - 1; j++) {
		for (size_t i = 0; i < HELD; i++)
			say(fds[i], request + j, 1);
		usleep(50000);
	}
	for (size_t i = 0; i < HELD; i++)
		close(fds[i]);
	(void)printf("%d slow requests\n", HELD);
}

int client_flood(const char *path, const char *what)
{
	static const struct {
		const char *name;
		void (*fn)(const char *path);
	} kinds[] = {
		{"connections", flood_connections},
		{"binary", flood_binary},
		{"huge", flood_huge},
		{"pipelined", flood_pipelined},
		{"deaf", flood_deaf},
		{"slow", flood_slow},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, what) == 0) {
			kinds[i].fn(path);
			return 0;
		}
	(void)fprintf(stderr, "client: there is no flood called %s\n", what);
	return 2;
}
