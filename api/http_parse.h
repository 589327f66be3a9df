/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests out of a stream of bytes: no I/O, fixed bounds, hostile input. libhttp-parser
 * reads the head, and only http_parse.c knows it; the body is counted here.
 *
 *	n = http_parse_feed(p, buf, len);       takes bytes up to the end of one request at most
 *	switch (http_parse_state(p))
 *	HTTP_PARSE_MORE:    every byte was taken, the request is not whole yet
 *	HTTP_PARSE_READY:   http_parse_request(p) holds until http_parse_next(p)
 *	HTTP_PARSE_FAILED:  answer http_parse_status(p) and http_parse_error(p). Then go on with
 *	                    http_parse_next(p) if http_parse_recovers(p), otherwise close: where
 *	                    the next request would begin is not known.
 *
 * What is accepted: HTTP/1.0 and 1.1; GET, PUT, PATCH and DELETE; bodies with a Content-Length. A
 * body with GET is accepted here; to judge it is the handler's.
 */
#pragma once

#include "vmm/base/compiler.h"

#include <http_parser.h>

#define HTTP_HEAD_MAX    8192 /* request line and headers together */
#define HTTP_HEADERS_MAX 64
#define HTTP_LINE_MAX    1024 /* Firecracker's limit of the request line and of each header */
#define HTTP_ERROR_SIZE  256

/* line_max counts a line's bytes with its CR LF; headers_max is at most HTTP_HEADERS_MAX. */
struct http_limits {
	uint32_t line_max, headers_max, body_max;
};

struct http_header {
	const char *name, *value; /* NUL-terminated */
};

struct http_request {
	const char *method;
	const char *path; /* without scheme, authority and query; begins with '/' */
	const struct http_header *headers;
	uint32_t header_count;
	const char *body; /* a NUL follows the last byte; NULL: none */
	size_t body_len;
	uint8_t version_minor;
};

/* The value of a header, its name in any case; NULL if there is none. */
const char *http_header_get(const struct http_request *r, const char *name);

enum http_parse_state { HTTP_PARSE_MORE, HTTP_PARSE_READY, HTTP_PARSE_FAILED };

/* Caller's storage, touched by the functions below only. One thread. */
struct http_parse {
	struct http_limits limits;
	enum http_parse_state state;
	http_parser lib;
	struct http_request request;
	struct http_header headers[HTTP_HEADERS_MAX];
	char head[HTTP_HEAD_MAX + 1]; /* target, names and values, each NUL-terminated */
	uint32_t head_used;           /* bytes of head in use */
	uint32_t head_bytes;          /* bytes of the head seen so far */
	uint32_t line_bytes;          /* bytes of the current line seen so far */
	uint32_t line_index;
	char last_byte;  /* of the head */
	bool in_value;   /* of a header: the name is complete */
	bool in_body;    /* the head is complete */
	bool wants_100;  /* the client waits for 100 before it sends the body */
	bool recovers;   /* a failed request whose end is known */
	uint64_t skip;   /* bytes of refused bodies still to come */
	uint64_t length; /* of the body */
	char *body;      /* owned */
	size_t body_size, body_used;
	int status;
	char error[HTTP_ERROR_SIZE];
};

void http_parse_init(struct http_parse *p, const struct http_limits *limits);
void http_parse_fini(struct http_parse *p);

/* How many bytes of buf were taken: all of them unless the request ends before, or fails. */
size_t http_parse_feed(struct http_parse *p, const char *buf, size_t len) MUST_USE;
enum http_parse_state http_parse_state(const struct http_parse *p);
/* Of a request that is HTTP_PARSE_READY. */
const struct http_request *http_parse_request(const struct http_parse *p);
/* Drops the request, whole or failed, and waits for the next. */
void http_parse_next(struct http_parse *p);
/* Whether part of a request, or of the body of a refused one, is still to come. */
bool http_parse_busy(const struct http_parse *p);
/* True once per request: the client wants "100 Continue" before it sends the body. */
bool http_parse_take_continue(struct http_parse *p);

/* Of a request that is HTTP_PARSE_FAILED. The text is printable ASCII, safe within JSON. */
int http_parse_status(const struct http_parse *p);
const char *http_parse_error(const struct http_parse *p);
bool http_parse_recovers(const struct http_parse *p);
