/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a clone's API. See pool.h. A request fits into an empty socket buffer, and is refused if
 * it does not; libhttp-parser reads the answer.
 */
#include "cli/pool.h"

#include "vmm/base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int call_on_body(http_parser *parser, const char *at, size_t len)
{
	struct pool_call *c = parser->data;
	size_t room = sizeof(c->body) - 1 - c->body_len;

	if (len > room)
		len = room;
	memcpy(c->body + c->body_len, at, len);
	c->body_len += len;
	c->body[c->body_len] = '\0';
	return 0;
}

static int call_on_complete(http_parser *parser)
{
	struct pool_call *c = parser->data;

	c->status = (int)parser->status_code;
	c->complete = c->status >= 200;
	return 0;
}

static const http_parser_settings call_settings = {
	.on_body = call_on_body,
	.on_message_complete = call_on_complete,
};

/* Once at most: done may close or send anew. */
static void call_finish(struct pool_call *c, int status)
{
	char body[sizeof(c->body)];

	if (!c->busy)
		return;
	c->busy = false;
	memcpy(body, c->body, sizeof(body));
	c->done(c->ctx, status, status ? body : "");
}

static void call_on_event(void *ctx, uint32_t events)
{
	struct pool_call *c = ctx;
	char buf[4096];
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || !c->busy ||
		http_parser_execute(&c->parser, &call_settings, buf, (size_t)n) != (size_t)n) {
		/* Gone, or it speaks when it was not spoken to. */
		bool had_busy = c->busy;

		pool_call_close(c);
		c->busy = had_busy;
		call_finish(c, 0);
		return;
	}
	if (c->complete)
		call_finish(c, c->status);
}

int pool_call_open(struct pool_call *c, struct loop *l, const char *path, struct err *e)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	CLEANUP_FD
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return err_set_os(e, -errno, "cannot make a socket");
	if (strlen(path) >= sizeof(at.sun_path))
		return err_set(e, -ENAMETOOLONG, "%s is too long for a socket", path);
	memcpy(at.sun_path, path, strlen(path));
	if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return err_set_os(e, -errno, "cannot connect to %s", path);
	c->loop = l;
	c->busy = false;
	c->source = (struct loop_source){.fd = fd, .fn = call_on_event, .ctx = c};
	rc = loop_add(l, &c->source, EPOLLIN);
	if (rc < 0)
		return err_set_os(e, rc, "cannot wait for %s", path);
	c->fd = fd_take(&fd);
	return 0;
}

int pool_call_send(struct pool_call *c, const char *method, const char *path, const char *body)
{
	CLEANUP_FREE
	char *text = NULL;
	int len = asprintf(&text,
		"%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s", method, path,
		strlen(body), body);

	if (len < 0)
		return -ENOMEM;
	if (c->fd < 0 || send(c->fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) != len)
		return -EPIPE;
	http_parser_init(&c->parser, HTTP_RESPONSE);
	c->parser.data = c;
	c->complete = false;
	c->status = 0;
	c->body_len = 0;
	c->body[0] = '\0';
	c->busy = true;
	return 0;
}

void pool_call_close(struct pool_call *c)
{
	c->busy = false;
	if (c->fd < 0)
		return;
	loop_del(c->loop, &c->source);
	fd_close(&c->fd);
}
