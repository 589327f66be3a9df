/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP client. libhttp-parser, which the server uses too, reads the answer. README.md says why
 * this is not libcurl.
 */
#include "cli/http.h"

#include "vmm/base/cleanup.h"

#include <errno.h>
#include <http_parser.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#define BODY_MAX ((size_t)64 << 20)

static int on_body(http_parser *p, const char *at, size_t len)
{
	struct http_answer *a = p->data;
	char *body = a->body_len + len <= BODY_MAX ? realloc(a->body, a->body_len + len + 1) : NULL;

	if (!body)
		return -1;
	memcpy(body + a->body_len, at, len);
	a->body = body;
	a->body_len += len;
	a->body[a->body_len] = '\0';
	return 0;
}

/* An interim answer (100) is followed by the real one. */
static int on_complete(http_parser *p)
{
	struct http_answer *a = p->data;

	a->status = (int)p->status_code;
	a->complete = a->status >= 200;
	return 0;
}

int http_connect(const char *socket_path, uint32_t timeout_s, struct err *e)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = timeout_s};
	CLEANUP_FD
	int fd = -1;

	if (strlen(socket_path) >= sizeof(addr.sun_path))
		return err_set(e, -ENAMETOOLONG, "%s: a socket's path has at most %zu bytes",
			socket_path, sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, socket_path, strlen(socket_path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set_os(e, -errno, "cannot make a socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_set_os(e, -errno, "cannot connect to %s", socket_path);
	return fd_take(&fd);
}

static int send_all(int fd, const char *data, size_t len, struct err *e)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		/* The answer may be there before the request is read: it is too large, say. */
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (n < 0)
			return err_set_os(e, errno == EAGAIN ? -ETIMEDOUT : -errno,
				"the monitor does not take the request");
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_request(int fd, const struct http_call *c, struct err *e)
{
	CLEANUP_FREE
	char *text = NULL;
	size_t body_len = c->body ? strlen(c->body) : 0;
	int n = asprintf(&text,
		"%s %s HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
		"Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		c->method, c->path, body_len, c->body ? c->body : "");

	if (n < 0)
		return err_set_os(e, -ENOMEM, "cannot write the request");
	return send_all(fd, text, (size_t)n, e);
}

static int receive_answer(int fd, const struct http_call *c, struct http_answer *a, struct err *e)
{
	static const http_parser_settings settings = {
		.on_body = on_body,
		.on_message_complete = on_complete,
	};
	http_parser parser;
	char buf[16384];

	http_parser_init(&parser, HTTP_RESPONSE);
	parser.data = a;
	while (!a->complete) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return err_set(e, -ETIMEDOUT, "no answer within %u s", c->timeout_s);
		if (n < 0)
			return err_set_os(e, -errno, "no answer");
		if (http_parser_execute(&parser, &settings, buf, (size_t)n) != (size_t)n &&
			!a->complete)
			return err_set(e, -EPROTO, "the answer is not HTTP: %s",
				http_errno_description(HTTP_PARSER_ERRNO(&parser)));
		if (n == 0 && !a->complete)
			return err_set(e, -EPROTO, "the connection ended before the answer");
	}
	return 0;
}

int http_do_on(int fd, const struct http_call *c, struct http_answer *a, struct err *e)
{
	int rc = send_request(fd, c, e);

	return rc < 0 ? rc : receive_answer(fd, c, a, e);
}

int http_do(const struct http_call *c, struct http_answer *a, struct err *e)
{
	CLEANUP_FD
	int fd = http_connect(c->socket, c->timeout_s, e);

	return fd < 0 ? fd : http_do_on(fd, c, a, e);
}

void http_answer_fini(struct http_answer *a)
{
	free(a->body);
	*a = (struct http_answer){0};
}
