/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP client for the tests, which says exactly what it is told and shows exactly what it gets.
 *
 *   client talk SOCKET        reads "METHOD PATH [BODY]" lines and prints "STATUS DEPRECATED BODY" for
 *                             each (DEPRECATED is "deprecated" or "-", a newline in BODY is "\n"), all
 *                             over one connection, as HTTP/1.0 without Host
 *   client raw SOCKET N       sends standard input as it is and prints N whole answers, byte for byte;
 *                             N "end": everything until the server closes
 *   client patient SOCKET REQUEST  sends the body after an answer to the head, and prints both
 *   client reads SOCKET       sends standard input, prints the length of each read of 4096 bytes until
 *                             an answer is whole
 *   client flood SOCKET WHAT  hostile.c
 *
 * Waits up to 30 s for the socket to be served, and as long for each answer.
 */
#include "tests/conformance/client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_S     30
#define BUFFER_MAX (1 << 20)

static char buffer[BUFFER_MAX];
static size_t buffer_len;

void client_die(const char *what)
{
	(void)fprintf(stderr, "client: %s: %s\n", what, strerror(errno));
	exit(1);
}

int client_dial(const char *path)
{
	struct timeval limit = {.tv_sec = WAIT_S};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(at.sun_path))
		client_die(path);
	memcpy(at.sun_path, path, strlen(path));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return fd;
}

static int dial_patiently(const char *path)
{
	for (int i = 0; i < WAIT_S * 100; i++) {
		int fd = client_dial(path);

		if (fd >= 0)
			return fd;
		usleep(10000);
	}
	client_die(path);
}

static void send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return; /* what it said before can still be read */
		if (n < 0)
			client_die("send");
		data += n;
		len -= (size_t)n;
	}
}

/* Reads once; the number of bytes, 0 at the end. */
static size_t receive(int fd)
{
	ssize_t n = recv(fd, buffer + buffer_len, sizeof(buffer) - buffer_len - 1, 0);

	if (n < 0 && errno == ECONNRESET)
		n = 0;
	if (n < 0)
		client_die("no answer within 30 s");
	buffer_len += (size_t)n;
	buffer[buffer_len] = '\0';
	return (size_t)n;
}

/* The length of the whole answer at the buffer's beginning; 0: not whole yet. */
static size_t answer_len(const char **ret_body)
{
	const char *end = strstr(buffer, "\r\n\r\n"), *line;
	size_t len;

	if (!end)
		return 0;
	*ret_body = end + 4;
	len = (size_t)(end + 4 - buffer);
	line = strcasestr(buffer, "\r\nContent-Length:");
	if (line && line < end)
		len += strtoul(line + strlen("\r\nContent-Length:"), NULL, 10);
	return len <= buffer_len ? len : 0;
}

static void answer_drop(size_t len)
{
	memmove(buffer, buffer + len, buffer_len - len + 1);
	buffer_len -= len;
}

static size_t answer_await(int fd, const char **ret_body)
{
	size_t len;

	while ((len = answer_len(ret_body)) == 0)
		if (receive(fd) == 0) {
			errno = EPIPE;
			client_die("the server closed the connection");
		}
	return len;
}

static void print_answer(size_t len, const char *body)
{
	const char *deprecated = strstr(buffer, "\r\nDeprecation: true\r\n");

	(void)printf("%.3s %s ", buffer + strlen("HTTP/1.1 "),
		deprecated && deprecated < body ? "deprecated" : "-");
	for (; body < buffer + len; body++)
		if (*body == '\n')
			(void)fputs("\\n", stdout);
		else
			(void)putchar(*body);
	(void)putchar('\n');
	(void)fflush(stdout);
}

static int talk(int fd)
{
	static char line[BUFFER_MAX], request[BUFFER_MAX + 256];

	while (fgets(line, sizeof(line), stdin)) {
		char *method = line, *path, *text, *end;
		const char *body;
		size_t len;

		line[strcspn(line, "\n")] = '\0';
		path = strchr(line, ' ');
		if (!path)
			return 2;
		*path++ = '\0';
		end = path + strcspn(path, " ");
		text = *end ? end + 1 : end;
		*end = '\0';
		len = (size_t)snprintf(request, sizeof(request),
			*text ? "%s %s HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s"
			      : "%s %s HTTP/1.0\r\n\r\n",
			method, path, strlen(text), text);
		send_all(fd, request, len);
		len = answer_await(fd, &body);
		print_answer(len, body);
		answer_drop(len);
	}
	return 0;
}

static void send_input(int fd)
{
	static char input[65536];
	ssize_t n;

	while ((n = read(STDIN_FILENO, input, sizeof(input))) > 0)
		send_all(fd, input, (size_t)n);
}

static int raw(int fd, const char *count)
{
	const char *body;

	send_input(fd);
	if (strcmp(count, "end") == 0)
		while (receive(fd) > 0) {}
	for (long i = strtol(count, NULL, 10); i > 0; i--) {
		size_t len = answer_await(fd, &body);

		(void)fwrite(buffer, 1, len, stdout);
		answer_drop(len);
	}
	(void)fwrite(buffer, 1, buffer_len, stdout);
	return 0;
}

/* Sends the body only when it was told to go on. */
static int patient(int fd, const char *request)
{
	const char *end = strstr(request, "\r\n\r\n"), *body;

	if (!end)
		return 2;
	send_all(fd, request, (size_t)(end + 4 - request));
	for (int i = 0; i < 2; i++) {
		size_t len = answer_await(fd, &body);

		(void)fwrite(buffer, 1, len, stdout);
		answer_drop(len);
		if (i == 0)
			send_all(fd, end + 4, strlen(end + 4));
	}
	return 0;
}

static int reads(int fd)
{
	const char *body;

	send_input(fd);
	while (answer_len(&body) == 0)
		(void)printf("%zu\n", receive(fd));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "talk") == 0)
		return talk(dial_patiently(argv[2]));
	if (argc == 4 && strcmp(argv[1], "raw") == 0)
		return raw(dial_patiently(argv[2]), argv[3]);
	if (argc == 4 && strcmp(argv[1], "patient") == 0)
		return patient(dial_patiently(argv[2]), argv[3]);
	if (argc == 3 && strcmp(argv[1], "reads") == 0)
		return reads(dial_patiently(argv[2]));
	if (argc == 4 && strcmp(argv[1], "flood") == 0)
		return client_flood(argv[2], argv[3]);
	(void)fprintf(stderr,
		"usage: client talk SOCKET | raw SOCKET N | reads SOCKET | flood SOCKET WHAT\n");
	return 2;
}
