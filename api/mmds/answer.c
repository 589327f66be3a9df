/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata service's answers. See answer.h. */
#include "api/mmds/answer.h"

#include "vmm/base/wipe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ANSWER_TOKEN_PATH "/latest/api/token"
#define ANSWER_HEAD_MAX   320u
#define ANSWER_TEXT_MAX   1280u /* a path fits */

/* Ours, and the name that EC2's clients use. */
static const char *const answer_token_headers[] = {"X-metadata-token", "X-aws-ec2-metadata-token"};
static const char *const answer_ttl_headers[] = {
	"X-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token-ttl-seconds"};

/* A reply before it is bytes. */
struct answer_draft {
	int status;
	bool json;
	bool close;
	const char *ttl_header; /* NULL: none */
	uint32_t ttl_s;
	bool allow_put; /* 405: which methods there are */
	char *body;     /* owned */
	size_t len;
};

/* A draft of plain text. Out of memory leaves it without a body, which ends the connection. */
static void answer_say(struct answer_draft *d, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void answer_say(struct answer_draft *d, int status, const char *fmt, ...)
{
	char text[ANSWER_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->status = status;
	d->json = false;
	d->body = strdup(text);
	d->len = strlen(text);
	explicit_bzero(text, d->len); /* it may be a token */
}

/* The first header of a pair of names that is there; *ret_name, if any, is its name. */
static const char *answer_header(
	const struct http_request *r, const char *const names[2], const char **ret_name)
{
	for (int i = 0; i < 2; i++) {
		const char *value = http_header_get(r, names[i]);

		if (value) {
			if (ret_name)
				*ret_name = names[i];
			return value;
		}
	}
	return NULL;
}

/* True if item is among the values of a header, which commas separate; parameters do not count. */
static bool answer_lists(const char *value, const char *item)
{
	size_t len = strlen(item);

	for (const char *p = value; p; p = strchr(p, ',')) {
		p += strspn(p, ", \t");
		if (strncasecmp(p, item, len) == 0 && strchr(",; \t", p[len]))
			return true;
	}
	return false;
}

/* Version 1 takes any request, but counts those that version 2 would not. */
static bool answer_admit(
	struct answerer *a, const struct http_request *r, uint64_t now_ns, struct answer_draft *d)
{
	const char *token = answer_header(r, answer_token_headers, NULL);

	if (token && token_check(a->tokens, token, now_ns))
		return true;
	counter_add(token ? &a->counters->rx_invalid_token : &a->counters->rx_no_token, 1);
	if (a->version == 1)
		return true;
	if (token)
		answer_say(d, 401, "MMDS token not valid.");
	else
		answer_say(d, 401, "No MMDS token provided: send one in the header %s or %s.",
			answer_token_headers[0], answer_token_headers[1]);
	return false;
}

static void answer_get(
	struct answerer *a, const struct http_request *r, uint64_t now_ns, struct answer_draft *d)
{
	const char *accept = http_header_get(r, "Accept");
	int rc;

	if (!answer_admit(a, r, now_ns, d))
		return;
	d->json = !a->imds_compat && accept && answer_lists(accept, "application/json");
	rc = store_get(a->store, r->path, d->json, &d->body, &d->len);
	if (rc == -ENOENT)
		answer_say(d, 404, "Resource not found: %.1024s.", r->path);
	else if (rc == -EOPNOTSUPP)
		answer_say(d, 501,
			"Cannot retrieve value. The value has an unsupported type: only strings "
			"and objects have a text form; ask for application/json.");
	else
		d->status = 200;
}

/* Digits only, in range. */
static bool answer_parse_ttl(const char *text, uint32_t *ret)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long v = digits > 0 && digits < 10 && !text[digits] ? strtoul(text, NULL, 10) : 0;

	*ret = (uint32_t)v;
	return v >= TOKEN_TTL_MIN_S && v <= TOKEN_TTL_MAX_S;
}

static void answer_put(
	struct answerer *a, const struct http_request *r, uint64_t now_ns, struct answer_draft *d)
{
	char token[TOKEN_TEXT_LEN + 1];
	const char *ttl;

	/* Somebody passes on what others ask: a token is not for them. */
	if (http_header_get(r, "X-Forwarded-For")) {
		answer_say(d, 400, "Unsupported header: X-Forwarded-For.");
		return;
	}
	if (strcmp(r->path, ANSWER_TOKEN_PATH) != 0) {
		answer_say(d, 404, "Resource not found: %.1024s.", r->path);
		return;
	}
	ttl = answer_header(r, answer_ttl_headers, &d->ttl_header);
	if (!ttl) {
		answer_say(d, 400,
			"Token time to live value not found: send it in the header %s or %s.",
			answer_ttl_headers[0], answer_ttl_headers[1]);
	} else if (!answer_parse_ttl(ttl, &d->ttl_s)) {
		d->ttl_header = NULL;
		answer_say(d, 400,
			"Invalid time to live value provided for token: %.64s; it must be %u to %u "
			"seconds.",
			ttl, TOKEN_TTL_MIN_S, TOKEN_TTL_MAX_S);
	} else if (token_create(a->tokens, d->ttl_s, now_ns, token) < 0) {
		d->ttl_header = NULL;
		answer_say(d, 500, "No token can be made at this time.");
	} else {
		answer_say(d, 200, "%s", token);
		explicit_bzero(token, sizeof(token));
	}
}

static void answer_request(
	struct answerer *a, const struct http_request *r, uint64_t now_ns, struct answer_draft *d)
{
	const char *connection = http_header_get(r, "Connection");

	d->close = r->version_minor == 0;
	if (connection)
		d->close = d->close ? !answer_lists(connection, "keep-alive")
				    : answer_lists(connection, "close");
	if (strcmp(r->method, "GET") == 0) {
		answer_get(a, r, now_ns, d);
	} else if (strcmp(r->method, "PUT") == 0) {
		answer_put(a, r, now_ns, d);
	} else {
		d->allow_put = true;
		answer_say(d, 405, "Not allowed HTTP method: %.16s.", r->method);
	}
}

/* The draft as bytes. */
static void answer_print(struct answer_draft *d, struct stack_reply *ret)
{
	char head[ANSWER_HEAD_MAX], extra[96] = "";
	int n;

	ret->close = d->close;
	/* More than sequence numbers can tell apart: only with an absurd --mmds-size-limit. */
	if (!d->body || d->len > STORE_TEXT_MAX)
		return;
	if (d->allow_put)
		(void)snprintf(extra, sizeof(extra), "Allow: GET, PUT\r\n");
	else if (d->ttl_header)
		(void)snprintf(extra, sizeof(extra), "%s: %u\r\n", d->ttl_header, d->ttl_s);
	n = snprintf(head, sizeof(head),
		"HTTP/1.1 %d \r\n"
		"Server: Firecracker API\r\n"
		"Connection: %s\r\n"
		"%sContent-Type: %s\r\n"
		"Content-Length: %zu\r\n\r\n",
		d->status, d->close ? "close" : "keep-alive", extra,
		d->json ? "application/json" : "text/plain", d->len);
	ret->text = malloc((size_t)n + d->len);
	if (!ret->text)
		return;
	memcpy(ret->text, head, (size_t)n);
	memcpy(ret->text + n, d->body, d->len);
	ret->len = (uint32_t)((size_t)n + d->len);
}

uint32_t answer(struct answerer *a, const uint8_t *bytes, uint32_t len, bool full, uint64_t now_ns,
	struct stack_reply *ret)
{
	static const struct http_limits limits = {
		.line_max = HTTP_LINE_MAX, .headers_max = HTTP_HEADERS_MAX, .body_max = TCP_RX_MAX};
	struct answer_draft d = {.status = 0};
	uint32_t taken;

	/* From the start each time: requests are short, and come whole nearly always. */
	http_parse_init(&a->parse, &limits);
	taken = (uint32_t)http_parse_feed(&a->parse, (const char *)bytes, len);
	switch (http_parse_state(&a->parse)) {
	case HTTP_PARSE_MORE:
		taken = full ? len : 0;
		d.close = true;
		if (full)
			answer_say(&d, 400, "The request ends early, or has over %u bytes.",
				TCP_RX_MAX);
		break;
	case HTTP_PARSE_READY:
		answer_request(a, http_parse_request(&a->parse), now_ns, &d);
		break;
	case HTTP_PARSE_FAILED:
		taken = len;
		d.close = true;
		answer_say(&d, 400, "%s", http_parse_error(&a->parse));
		break;
	}
	http_parse_fini(&a->parse);
	if (taken > 0)
		answer_print(&d, ret);
	wipe_free(d.body);
	return taken;
}
