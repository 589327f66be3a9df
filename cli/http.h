/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP request to a monitor's API socket, and its answer. */
#pragma once

#include "vmm/base/err.h"

struct http_call {
	const char *socket; /* path */
	const char *method, *path;
	const char *body; /* or NULL */
	uint32_t timeout_s;
};

/* Zero it before; http_answer_fini after, whatever came of it. */
struct http_answer {
	int status;
	char *body; /* owned, terminated; NULL if there is none */
	size_t body_len;
	bool complete;
};

/*
 * 0 for any answer, good or bad. -errno with *e if there is none: -ENOENT no socket, -ECONNREFUSED
 * nobody listens, -ETIMEDOUT, -EPROTO not HTTP.
 */
int http_do(const struct http_call *c, struct http_answer *a, struct err *e) MUST_USE;
/* The same over a connection of http_connect, which stays open; c->socket is not used. */
int http_do_on(int fd, const struct http_call *c, struct http_answer *a, struct err *e) MUST_USE;
void http_answer_fini(struct http_answer *a);

/*
 * A connected socket, which the caller owns, whose sends and receives give up after timeout_s. Or
 * -errno with *e.
 */
int http_connect(const char *socket_path, uint32_t timeout_s, struct err *e) MUST_USE;
