/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server on a Unix socket, in the caller's event loop: it never blocks and holds a fixed
 * number of connections, each bounded in bytes and time. Requests are answered one at a time, in
 * the order in which they came, each answer with one write.
 *
 * A client cannot delay others: an event works off a few requests and then lets the loop go
 * round. It has HTTP_REQUEST_TIME_S to send a request that it began and as long to take an answer.
 * Between requests a connection may rest for ever, except that the one which has rested longest,
 * if for HTTP_IDLE_TIME_S at least, makes room when all are taken. Otherwise one too many gets 503.
 *
 * Main thread only.
 */
#pragma once

#include "api/http_parse.h"
#include "vmm/svc/loop.h"

#define HTTP_CONNECTIONS_MAX 10
#define HTTP_REQUEST_TIME_S  10
#define HTTP_IDLE_TIME_S     10
#define HTTP_INPUT_SIZE      4096
#define HTTP_BODY_MAX        51200 /* default of --http-api-max-payload-size */

struct http_reply {
	int status;
	bool deprecated;          /* adds "Deprecation: true" */
	const char *content_type; /* NULL: application/json */
	char *body;               /* heap, owned; NULL: no body and no Content-Length */
	size_t body_len;
};

/* Fills in *ret, which is {.status = 204} before; r holds until it returns. */
typedef void (*http_handler)(void *ctx, const struct http_request *r, struct http_reply *ret);

struct http_server_config {
	struct loop *loop; /* borrowed; must outlive the server */
	const char *path;  /* of the socket to make; unused with listen_fd */
	int listen_fd;     /* an inherited listening socket, taken over even on failure; -1: none */
	uint32_t body_max;
	http_handler handler;
	void *ctx; /* borrowed */
};

/* What a connection waits for: see http_conn.h. */
enum http_phase { HTTP_PHASE_REST, HTTP_PHASE_REQUEST, HTTP_PHASE_ANSWER, HTTP_PHASE_FAREWELL };

struct http_conn {
	struct http_server *server; /* borrowed */
	struct loop_source source;
	int fd; /* owned; -1: the slot is free */
	enum http_phase phase;
	uint64_t since_ns;    /* when the phase began */
	uint64_t deadline_ns; /* when it must be over; 0: never */
	uint64_t answers;     /* given so far */
	uint32_t events;      /* what the loop waits for; 0: not in the loop */
	bool closing;         /* the last answer was given; what still comes is forgotten */
	struct http_parse parse;
	char in[HTTP_INPUT_SIZE];
	size_t in_pos, in_len;
	char *out; /* owned; an answer that was not taken at once, or NULL */
	size_t out_pos, out_len;
};

struct http_server {
	struct http_server_config config;
	int listen_fd; /* owned */
	int timer_fd;  /* owned */
	bool timer_armed;
	bool listening; /* whether the loop waits for connections: not while fds are short */
	struct loop_source listen_source, timer_source;
	struct http_conn conns[HTTP_CONNECTIONS_MAX];
};

/*
 * Makes the socket (mode 0755), or takes the inherited one, and waits for connections in the loop.
 * A socket file that nobody serves is replaced. Call it before the main thread's filter goes on.
 */
int http_server_init(
	struct http_server *s, const struct http_server_config *c, struct err *e) MUST_USE;
/* Closes everything. The socket file stays. */
void http_server_fini(struct http_server *s);

/*
 * The whole answer, byte for byte, in heap memory that the caller frees: also for whoever else
 * talks HTTP. Frees r->body. NULL without memory.
 */
char *http_reply_format(struct http_reply *r, bool closes, size_t *ret_len);
