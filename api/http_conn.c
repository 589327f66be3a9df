/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection: bytes in, requests to the handler, answers out. See http_conn.h.
 *
 * An answer goes out with the send that follows the handler; only what the socket does not take
 * then is kept, and nothing is read before the client has taken it. Input that is left when a turn
 * is used up waits in the connection, which then waits to be writable: that it is at once.
 */
#include "api/http_conn.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/wipe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define CONN_TURN_REQUESTS 8  /* answers that one turn gives */
#define CONN_TURN_READS    16 /* and reads that it does */

/* Done with n bytes of the input, which may have been metadata. */
static void conn_drop_input(struct http_conn *c, size_t n)
{
	explicit_bzero(c->in + c->in_pos, n);
	c->in_pos += n;
}

/* #syscalls:main close */
void http_conn_close(struct http_conn *c)
{
	if (c->events != 0)
		loop_del(c->server->config.loop, &c->source);
	c->events = 0;
	http_parse_fini(&c->parse);
	conn_drop_input(c, c->in_len - c->in_pos);
	wipe_free(c->out);
	c->out = NULL;
	fd_close(&c->fd);
}

/*
 * Sends what there is of the answer; false if the client is gone.
 *
 * #syscalls:main sendto:3=MSG_NOSIGNAL|MSG_DONTWAIT,4=0
 */
static bool conn_flush(struct http_conn *c)
{
	ssize_t n = send(
		c->fd, c->out + c->out_pos, c->out_len - c->out_pos, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->out_pos += (size_t)n;
	if (c->out_pos == c->out_len) {
		wipe_free(c->out);
		c->out = NULL;
	}
	return true;
}

static bool conn_send(struct http_conn *c, struct http_reply *r, bool closes)
{
	c->out = http_reply_format(r, closes, &c->out_len);
	c->out_pos = 0;
	c->closing = closes;
	c->answers++;
	return c->out && conn_flush(c);
}

static bool conn_answer(struct http_conn *c)
{
	const struct http_server_config *sc = &c->server->config;
	struct http_reply r = {.status = 204};
	bool alive;

	sc->handler(sc->ctx, http_parse_request(&c->parse), &r);
	alive = conn_send(c, &r, false);
	http_parse_next(&c->parse);
	return alive;
}

/* Answers on behalf of the protocol. The text is safe within JSON. */
static bool conn_fault(struct http_conn *c, int status, const char *text, bool closes)
{
	struct http_reply r = {.status = status};
	int len = asprintf(&r.body,
		"{ \"error\": \"%s\\nAll previous unanswered requests will be dropped.\" }", text);

	if (len < 0)
		return false;
	r.body_len = (size_t)len;
	return conn_send(c, &r, closes);
}

static bool conn_refuse(struct http_conn *c)
{
	bool closes = !http_parse_recovers(&c->parse);
	bool alive =
		conn_fault(c, http_parse_status(&c->parse), http_parse_error(&c->parse), closes);

	http_parse_next(&c->parse);
	return alive;
}

/*
 * 1: there is input; 0: none now; -1: the client is gone.
 *
 * #syscalls:main recvfrom:3=MSG_DONTWAIT,4=0
 */
static int conn_read(struct http_conn *c)
{
	ssize_t n = recv(c->fd, c->in, sizeof(c->in), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	c->in_pos = 0;
	c->in_len = (size_t)n;
	return 1;
}

static bool conn_has_input(const struct http_conn *c)
{
	return c->in_pos < c->in_len;
}

/* Feeds the input to the parser and does what follows; false if the connection is over. */
static bool conn_take_input(struct http_conn *c)
{
	if (c->closing) {
		conn_drop_input(c, c->in_len - c->in_pos);
		return true;
	}
	conn_drop_input(c, http_parse_feed(&c->parse, c->in + c->in_pos, c->in_len - c->in_pos));
	switch (http_parse_state(&c->parse)) {
	case HTTP_PARSE_READY:
		return conn_answer(c);
	case HTTP_PARSE_FAILED:
		return conn_refuse(c);
	case HTTP_PARSE_MORE:
		if (http_parse_take_continue(&c->parse)) {
			struct http_reply r = {.status = 100};

			return conn_send(c, &r, false);
		}
		break;
	}
	return true;
}

/* Works off what has come, within bounds; false if the connection is over. */
static bool conn_turn(struct http_conn *c)
{
	uint64_t answers_max = c->answers + CONN_TURN_REQUESTS;
	bool may_have_more = true;

	for (int reads = 0; c->answers < answers_max;) {
		if (c->out && !conn_flush(c))
			return false;
		if (c->out)
			return true;
		if (!conn_has_input(c)) {
			int rc = may_have_more && reads++ < CONN_TURN_READS ? conn_read(c) : 0;

			if (rc <= 0)
				return rc == 0;
			may_have_more = c->in_len == sizeof(c->in);
		}
		if (!conn_take_input(c))
			return false;
	}
	return true;
}

static enum http_phase conn_phase(const struct http_conn *c)
{
	if (c->out || conn_has_input(c)) /* no more is taken before the socket is writable */
		return HTTP_PHASE_ANSWER;
	if (c->closing)
		return HTTP_PHASE_FAREWELL;
	return http_parse_busy(&c->parse) ? HTTP_PHASE_REQUEST : HTTP_PHASE_REST;
}

bool http_conn_rests(const struct http_conn *c)
{
	return c->phase == HTTP_PHASE_REST;
}

/*
 * Sets the time limit of the phase that a turn has led to.
 *
 * #syscalls:main shutdown:1=SHUT_WR
 */
static void conn_enter_phase(struct http_conn *c)
{
	static const uint64_t limits_s[] = {
		[HTTP_PHASE_REST] = 0,
		[HTTP_PHASE_REQUEST] = HTTP_REQUEST_TIME_S,
		[HTTP_PHASE_ANSWER] = HTTP_REQUEST_TIME_S,
		[HTTP_PHASE_FAREWELL] = HTTP_FAREWELL_TIME_S,
	};

	c->phase = conn_phase(c);
	c->since_ns = clock_mono_ns();
	c->deadline_ns = 0;
	if (limits_s[c->phase] > 0) {
		c->deadline_ns = c->since_ns + limits_s[c->phase] * CLOCK_NS_PER_S;
		http_server_tick(c->server);
	}
	if (c->phase == HTTP_PHASE_FAREWELL) /* for a client that waits for the end */
		(void)shutdown(c->fd, SHUT_WR);
}

/* Makes the loop wait for what comes next; false if it cannot. */
static bool conn_wait(struct http_conn *c)
{
	uint32_t events = c->out || conn_has_input(c) ? EPOLLOUT : EPOLLIN;
	struct loop *l = c->server->config.loop;
	int rc = 0;

	if (c->events == 0)
		rc = loop_add(l, &c->source, events);
	else if (c->events != events)
		rc = loop_mod(l, &c->source, events);
	if (rc == 0)
		c->events = events;
	return rc == 0;
}

static void conn_go_on(struct http_conn *c, uint64_t answers_before)
{
	if (conn_phase(c) != c->phase || c->answers != answers_before)
		conn_enter_phase(c);
	if (!conn_wait(c))
		http_conn_close(c);
}

static void conn_on_event(void *ctx, uint32_t events)
{
	struct http_conn *c = ctx;
	uint64_t answers = c->answers;

	(void)events;
	if (conn_turn(c))
		conn_go_on(c, answers);
	else
		http_conn_close(c);
}

void http_conn_expire(struct http_conn *c)
{
	uint64_t answers = c->answers;

	if (c->phase == HTTP_PHASE_REQUEST &&
		conn_fault(c, 408, "The request did not come in time.", true))
		conn_go_on(c, answers);
	else
		http_conn_close(c);
}

void http_conn_open(struct http_conn *c, struct http_server *s, int fd)
{
	const struct http_limits limits = {
		.line_max = HTTP_LINE_MAX,
		.headers_max = HTTP_HEADERS_MAX,
		.body_max = s->config.body_max,
	};

	c->server = s;
	c->fd = fd;
	c->source = (struct loop_source){.fd = fd, .fn = conn_on_event, .ctx = c};
	c->events = 0;
	c->answers = 0;
	c->closing = false;
	c->out = NULL;
	c->in_pos = c->in_len = 0;
	http_parse_init(&c->parse, &limits);
	conn_enter_phase(c);
	conn_on_event(c, 0);
}
