/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clients' connections. Each is bounded in bytes and time: CONN_NS for a request and for its answer,
 * and for a rest between requests unless a clone is bound to the connection. One that waits for a clone
 * is not read, only watched for its end.
 */
#include "cli/pool.h"

#include "api/http.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define CONN_NS    (10 * CLOCK_NS_PER_S)
#define CONN_TURNS 8 /* requests or reads before others have their turn */

static bool conn_pending(const struct pool_conn *c)
{
	return c->waits || c->resumes;
}

static void conn_set_deadline(struct pool_conn *c)
{
	c->deadline_ns = clock_mono_ns() + CONN_NS;
	pool_wake_at(c->pool, c->deadline_ns);
}

static bool conn_flush(struct pool_conn *c)
{
	ssize_t n = send(
		c->fd, c->out + c->out_pos, c->out_len - c->out_pos, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->out_pos += (size_t)n;
	if (c->out_pos == c->out_len) {
		free(c->out);
		c->out = NULL;
	}
	return true;
}

static bool conn_send(struct pool_conn *c, struct http_reply *r, bool closes)
{
	c->out = http_reply_format(r, closes, &c->out_len);
	c->out_pos = 0;
	c->closing = closes;
	conn_set_deadline(c);
	return c->out && conn_flush(c);
}

static bool conn_answer(struct pool_conn *c)
{
	struct http_reply r = {.status = 204};

	if (!pool_request(c, http_parse_request(&c->parse), &r))
		return true;
	http_parse_next(&c->parse);
	return conn_send(c, &r, false);
}

static bool conn_refuse(struct pool_conn *c)
{
	bool closes = !http_parse_recovers(&c->parse);
	struct http_reply r = {0};

	pool_reply_fault(&r, http_parse_status(&c->parse), "%s", http_parse_error(&c->parse));
	http_parse_next(&c->parse);
	return conn_send(c, &r, closes);
}

static bool conn_take_input(struct pool_conn *c)
{
	struct http_reply r = {.status = 100};

	c->in_pos += http_parse_feed(&c->parse, c->in + c->in_pos, c->in_len - c->in_pos);
	switch (http_parse_state(&c->parse)) {
	case HTTP_PARSE_READY:
		return conn_answer(c);
	case HTTP_PARSE_FAILED:
		return conn_refuse(c);
	case HTTP_PARSE_MORE:
		break;
	}
	return !http_parse_take_continue(&c->parse) || conn_send(c, &r, false);
}

/* False: the connection is over. */
static bool conn_turn(struct pool_conn *c)
{
	for (int turns = 0; turns < CONN_TURNS && !conn_pending(c); turns++) {
		ssize_t n;

		if (c->out && !conn_flush(c))
			return false;
		if (c->out)
			return true;
		if (c->closing)
			return false;
		if (c->in_pos < c->in_len) {
			if (!conn_take_input(c))
				return false;
			continue;
		}
		n = recv(c->fd, c->in, sizeof(c->in), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			return false;
		c->in_pos = 0;
		c->in_len = (size_t)n;
	}
	return true;
}

/* Input that is left over waits for a socket that can be written to, which it can at once. */
static bool conn_wait(struct pool_conn *c)
{
	uint32_t events = EPOLLIN;

	if (conn_pending(c))
		events = EPOLLRDHUP;
	else if (c->out || c->closing || c->in_pos < c->in_len)
		events = EPOLLOUT;
	if (events == c->events)
		return true;
	c->events = events;
	return loop_mod(&c->pool->loop, &c->source, events) == 0;
}

static void conn_go_on(struct pool_conn *c)
{
	if (c->fd >= 0 && (!conn_turn(c) || !conn_wait(c)))
		pool_conn_close(c);
}

static void conn_on_event(void *ctx, uint32_t events)
{
	struct pool_conn *c = ctx;
	struct pool *p = c->pool;

	if (conn_pending(c) && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		pool_conn_close(c);
	else
		conn_go_on(c);
	pool_advance(p);
}

void pool_conn_answer_take(struct pool_conn *c, struct http_reply *r)
{
	http_parse_next(&c->parse);
	if (!conn_send(c, r, false) || !conn_wait(c))
		pool_conn_close(c);
}

static void conn_refuse_new(int fd)
{
	struct http_reply r = {0};
	char *answer;
	size_t len;

	pool_reply_fault(&r, 503, "too many connections");
	answer = http_reply_format(&r, true, &len);
	if (answer)
		(void)send(fd, answer, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	free(answer);
	(void)close(fd);
}

void pool_conn_open(struct pool *p, int fd)
{
	const struct http_limits limits = {
		.line_max = 1024, .headers_max = HTTP_HEADERS_MAX, .body_max = 4096};
	struct pool_conn *c = NULL;
	uint32_t i = 0;

	while (i < p->conn_max && p->conns[i])
		i++;
	if (i < p->conn_max)
		c = calloc(1, sizeof(*c));
	if (!c) {
		conn_refuse_new(fd);
		return;
	}
	p->conns[i] = c;
	c->pool = p;
	c->fd = fd;
	c->events = EPOLLIN;
	c->source = (struct loop_source){.fd = fd, .fn = conn_on_event, .ctx = c};
	http_parse_init(&c->parse, &limits);
	conn_set_deadline(c);
	if (loop_add(&p->loop, &c->source, EPOLLIN) < 0) {
		fd_close(&c->fd);
		pool_wake_at(p, 0);
	}
}

void pool_conn_close(struct pool_conn *c)
{
	struct pool *p = c->pool;

	if (c->fd < 0)
		return;
	loop_del(&p->loop, &c->source);
	fd_close(&c->fd);
	c->waits = false;
	for (uint32_t i = 0; i < p->o->max; i++)
		if (p->clones[i].state != POOL_FREE && p->clones[i].conn == c)
			pool_clone_end(&p->clones[i]);
	c->waits = false; /* a clone that is ended gives its taker back to the queue */
	pool_wake_at(p, 0);
}

/* A request or an answer took too long, or nothing came; or no clone has become ready. */
static void conn_expire(struct pool_conn *c)
{
	const char *why = pool_hindrance(c->pool);
	struct http_reply r = {0};

	if (!c->waits) {
		pool_conn_close(c);
		return;
	}
	c->waits = false;
	pool_reply_fault(
		&r, 503, "no clone has become ready in time%s%s", why ? ": " : "", why ? why : "");
	pool_conn_answer_take(c, &r);
}

uint64_t pool_conns_sweep(struct pool *p, uint64_t now)
{
	uint64_t next = POOL_NEVER;

	for (uint32_t i = 0; i < p->conn_max; i++) {
		struct pool_conn *c = p->conns[i];
		bool rests;

		if (!c)
			continue;
		rests = c->resumes ||
			(c->lease_count > 0 && !c->waits && !c->out && !http_parse_busy(&c->parse));
		if (c->fd >= 0 && !rests && c->deadline_ns <= now)
			conn_expire(c);
		if (c->fd < 0) {
			http_parse_fini(&c->parse);
			free(c->out);
			free(c);
			p->conns[i] = NULL;
		} else if (!rests && c->deadline_ns < next) {
			next = c->deadline_ns;
		}
	}
	return next;
}
