/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests out of bytes. See http_parse.h.
 *
 * The head is given to the library line by line, so that the bounds of a line and of the head hold
 * before it looks, and so that it never sees a byte of a body: where a request ends is decided in
 * one place, head_complete. What the library leaves open is refused here: folded lines, a CR by
 * itself, HTTP/0.9, other methods, transfer encodings.
 */
#include "api/http_parse.h"

#include "vmm/base/check.h"
#include "vmm/base/wipe.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BODY_GROWTH_MIN 4096

/* Leaves nothing in the text that would need escaping within JSON. */
PRINTF_LIKE(4, 5)
static void parse_fail(struct http_parse *p, int status, bool recovers, const char *fmt, ...)
{
	va_list ap;

	if (p->state == HTTP_PARSE_FAILED)
		return;
	p->state = HTTP_PARSE_FAILED;
	p->status = status;
	p->recovers = recovers;
	va_start(ap, fmt);
	(void)vsnprintf(p->error, sizeof(p->error), fmt, ap);
	va_end(ap);
	for (char *c = p->error; *c; c++)
		if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
			*c = '?';
}

/* Appends bytes to the text that the head's current piece is. */
static int head_append(struct http_parse *p, const char *at, size_t len)
{
	if (len >= sizeof(p->head) - p->head_used)
		return -1;
	memcpy(p->head + p->head_used, at, len);
	p->head_used += (uint32_t)len;
	return 0;
}

/* Ends the current piece. There is room: every piece was followed by a byte that is not kept. */
static char *head_end(struct http_parse *p)
{
	CHECK(p->head_used < sizeof(p->head));
	p->head[p->head_used++] = '\0';
	return p->head + p->head_used;
}

/* Ends the last header's value, without the blanks at its end. */
static void head_end_value(struct http_parse *p)
{
	struct http_header *h;

	if (p->request.header_count == 0)
		return;
	h = &p->headers[p->request.header_count - 1];
	if (!h->value)
		h->value = head_end(p);
	while (p->head + p->head_used > h->value &&
		(p->head[p->head_used - 1] == ' ' || p->head[p->head_used - 1] == '\t'))
		p->head_used--;
	(void)head_end(p);
}

static int on_url(http_parser *lib, const char *at, size_t len)
{
	return head_append(lib->data, at, len);
}

static int on_header_field(http_parser *lib, const char *at, size_t len)
{
	struct http_parse *p = lib->data;

	if (p->in_value) {
		if (p->request.header_count == 0)
			(void)head_end(p); /* of the target */
		head_end_value(p);
		if (p->request.header_count == p->limits.headers_max) {
			parse_fail(p, 400, false, "Invalid request. It has more than %u headers.",
				p->limits.headers_max);
			return -1;
		}
		p->headers[p->request.header_count++] =
			(struct http_header){.name = p->head + p->head_used};
		p->in_value = false;
	}
	return head_append(p, at, len);
}

static int on_header_value(http_parser *lib, const char *at, size_t len)
{
	struct http_parse *p = lib->data;

	if (!p->in_value) {
		p->headers[p->request.header_count - 1].value = head_end(p);
		p->in_value = true;
	}
	return head_append(p, at, len);
}

const char *http_header_get(const struct http_request *r, const char *name)
{
	for (uint32_t i = 0; i < r->header_count; i++)
		if (strcasecmp(r->headers[i].name, name) == 0)
			return r->headers[i].value;
	return NULL;
}

static const char *method_name(unsigned method)
{
	switch (method) {
	case HTTP_GET:
		return "GET";
	case HTTP_PUT:
		return "PUT";
	case HTTP_PATCH:
		return "PATCH";
	case HTTP_DELETE:
		return "DELETE";
	default:
		return NULL;
	}
}

/* Cuts the path out of the target in place: "/x?y" and "http://localhost/x?y" are both "/x". */
static const char *target_path(char *target)
{
	struct http_parser_url u;
	size_t len = strlen(target);
	char *path;

	http_parser_url_init(&u);
	if (http_parser_parse_url(target, len, 0, &u) != 0)
		return NULL;
	if (u.field_set & (1U << UF_SCHEMA) &&
		(u.field_data[UF_SCHEMA].len != 4 || strncasecmp(target, "http", 4) != 0))
		return NULL;
	if (!(u.field_set & (1U << UF_PATH)))
		return "/";
	path = target + u.field_data[UF_PATH].off;
	path[u.field_data[UF_PATH].len] = '\0';
	for (const char *c = path; *c; c++)
		if (*c <= ' ' || *c > '~')
			return NULL;
	return path[0] == '/' ? path : NULL;
}

/* Whether [c, end) is "<name>;q=0", blanks aside. */
static bool coding_refused(const char *c, const char *end, const char *name)
{
	char text[32];
	size_t len = 0;

	for (; c < end && len < sizeof(text) - 1; c++)
		if (*c != ' ' && *c != '\t')
			text[len++] = *c;
	text[len] = '\0';
	len = strlen(name);
	return strncasecmp(text, name, len) == 0 && strncasecmp(text + len, ";q=0", 4) == 0 &&
	       text[len + 4 + strspn(text + len + 4, ".0")] == '\0';
}

/* Answers are never encoded: a client that refuses them so cannot be answered. */
static bool accepts_identity(const char *value)
{
	bool named = strcasestr(value, "identity") != NULL;

	for (const char *c = value, *end;; c = end + 1) {
		end = strchrnul(c, ',');
		if (coding_refused(c, end, "identity") || (!named && coding_refused(c, end, "*")))
			return false;
		if (!*end)
			return true;
	}
}

/* What a whole head must fulfil that its grammar does not say; -1 after parse_fail. */
static int head_check(struct http_parse *p)
{
	struct http_request *r = &p->request;
	const char *encoding = http_header_get(r, "Transfer-Encoding");
	const char *accept = http_header_get(r, "Accept-Encoding");
	bool counted = p->lib.flags & F_CONTENTLENGTH;

	if (p->lib.http_major != 1 || p->lib.http_minor > 1)
		parse_fail(p, 400, false, "Invalid HTTP Version: Unsupported HTTP version.");
	else if (encoding && strcasecmp(encoding, "identity") != 0)
		parse_fail(p, 400, false,
			"Unsupported value. Key:Transfer-Encoding; Value:%.40s: send a "
			"Content-Length",
			encoding);
	else if (!counted && http_header_get(r, "Content-Length"))
		parse_fail(p, 400, false, "Invalid value. Key:Content-Length; Value:");
	else if (!r->method)
		parse_fail(p, 400, true, "Invalid HTTP Method: Unsupported HTTP method.");
	else if (!r->path)
		parse_fail(
			p, 400, true, "Invalid URI: give a path, or http://localhost and a path.");
	else if (accept && !accepts_identity(accept))
		parse_fail(p, 400, true, "Invalid value. Key:Accept-Encoding; Value:%.80s", accept);
	else if (p->length > p->limits.body_max)
		parse_fail(p, 400, true,
			"Request payload with size %llu is larger than the limit of %u allowed by "
			"server.",
			(unsigned long long)p->length, p->limits.body_max);
	return p->state == HTTP_PARSE_FAILED ? -1 : 0;
}

/* Returns 1: the library must not expect a body. */
static int on_headers_complete(http_parser *lib)
{
	struct http_parse *p = lib->data;
	struct http_request *r = &p->request;
	const char *expect;

	if (r->header_count == 0)
		(void)head_end(p);
	head_end_value(p);
	lib->upgrade = 0; /* asked for with "Upgrade", which may be passed over */
	p->in_body = true;
	p->length = lib->flags & F_CONTENTLENGTH ? lib->content_length : 0;
	r->headers = p->headers;
	r->method = method_name(lib->method);
	r->path = target_path(p->head);
	r->version_minor = (uint8_t)lib->http_minor;
	expect = http_header_get(r, "Expect");
	p->wants_100 = expect && p->length > 0 && r->version_minor == 1 &&
		       strcasecmp(expect, "100-continue") == 0;
	if (head_check(p) < 0) {
		p->recovers = p->recovers && !p->wants_100; /* else it may send the body or not */
		p->skip = p->length;
	}
	return 1;
}

static const http_parser_settings head_settings = {
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
};

static void head_fail(struct http_parse *p)
{
	enum http_errno code = HTTP_PARSER_ERRNO(&p->lib);

	switch (code) {
	case HPE_INVALID_METHOD:
		parse_fail(p, 400, false, "Invalid HTTP Method: Unsupported HTTP method.");
		break;
	case HPE_INVALID_VERSION:
	case HPE_INVALID_CONSTANT:
		parse_fail(p, 400, false, "Invalid HTTP Version: Unsupported HTTP version.");
		break;
	case HPE_INVALID_URL:
	case HPE_INVALID_HOST:
	case HPE_INVALID_PORT:
	case HPE_INVALID_PATH:
		parse_fail(p, 400, false, "Invalid URI: %s.", http_errno_description(code));
		break;
	case HPE_INVALID_CONTENT_LENGTH:
	case HPE_UNEXPECTED_CONTENT_LENGTH:
		parse_fail(p, 400, false, "Invalid value. Key:Content-Length: %s.",
			http_errno_description(code));
		break;
	default:
		parse_fail(p, 400, false, "Invalid request. Line %u: %s.", p->line_index + 1,
			http_errno_description(code));
	}
}

/*
 * A line's form, where the library is lenient: no control characters (a NUL would cut a value
 * short), CR only before LF, no folded lines.
 */
static bool line_is_sound(const struct http_parse *p, const char *buf, size_t len)
{
	char last = p->last_byte;

	if (p->line_bytes == 0 && (buf[0] == ' ' || buf[0] == '\t'))
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)buf[i];

		if (last == '\r' && c != '\n')
			return false;
		if ((c < ' ' && c != '\t' && c != '\r' && c != '\n') || c == 0x7f)
			return false;
		last = (char)c;
	}
	return true;
}

/* Takes the rest of one line of the head, or what there is of it. */
static size_t head_feed(struct http_parse *p, const char *buf, size_t len)
{
	const char *lf = memchr(buf, '\n', len);
	size_t n = lf ? (size_t)(lf - buf) + 1 : len;

	if (p->line_bytes + n > p->limits.line_max) {
		parse_fail(p, 400, false, "Invalid request. Line %u has more than %u bytes.",
			p->line_index + 1, p->limits.line_max);
		return 0;
	}
	if (p->head_bytes + n > HTTP_HEAD_MAX) {
		parse_fail(p, 400, false, "Invalid request. Its head has more than %u bytes.",
			HTTP_HEAD_MAX);
		return 0;
	}
	if (!line_is_sound(p, buf, n)) {
		parse_fail(p, 400, false,
			"Invalid request. Line %u begins with a blank or has a control character.",
			p->line_index + 1);
		return 0;
	}
	p->head_bytes += (uint32_t)n;
	p->line_bytes = lf ? 0 : p->line_bytes + (uint32_t)n;
	p->last_byte = buf[n - 1];
	if (http_parser_execute(&p->lib, &head_settings, buf, n) != n)
		head_fail(p);
	p->line_index += lf != NULL;
	if (p->in_body && p->length == 0 && p->state == HTTP_PARSE_MORE)
		p->state = HTTP_PARSE_READY;
	return n;
}

/* Room for need bytes and a NUL: grows as the bytes come, not as they were promised. */
static int body_reserve(struct http_parse *p, size_t need)
{
	size_t size = p->body_size;
	char *body;

	if (need < size)
		return 0;
	size = MAX(MAX(2 * size, need + 1), (size_t)BODY_GROWTH_MIN);
	body = wipe_grow(p->body, p->body_used, size);
	if (!body)
		return -1;
	p->body = body;
	p->body_size = size;
	return 0;
}

static size_t body_feed(struct http_parse *p, const char *buf, size_t len)
{
	size_t n = MIN(len, p->length - p->body_used);

	if (body_reserve(p, p->body_used + n) < 0) {
		parse_fail(p, 500, false, "No memory for a body of %llu bytes.",
			(unsigned long long)p->length);
		return 0;
	}
	memcpy(p->body + p->body_used, buf, n);
	p->body_used += n;
	p->body[p->body_used] = '\0';
	if (p->body_used == p->length) {
		p->request.body = p->body;
		p->request.body_len = p->body_used;
		p->state = HTTP_PARSE_READY;
	}
	return n;
}

size_t http_parse_feed(struct http_parse *p, const char *buf, size_t len)
{
	size_t used = 0;

	while (used < len && p->state == HTTP_PARSE_MORE) {
		if (p->skip > 0) {
			size_t n = MIN(len - used, p->skip);

			p->skip -= n;
			used += n;
		} else if (p->head_bytes == 0 && (buf[used] == '\r' || buf[used] == '\n')) {
			used++; /* empty lines between requests */
		} else if (p->in_body) {
			used += body_feed(p, buf + used, len - used);
		} else {
			used += head_feed(p, buf + used, len - used);
		}
	}
	return used;
}

/* Bodies are metadata, headers have its tokens. */
static void parse_wipe(struct http_parse *p)
{
	wipe_free(p->body);
	p->body = NULL;
	explicit_bzero(p->head, p->head_used);
	p->head_used = 0;
}

void http_parse_next(struct http_parse *p)
{
	parse_wipe(p);
	p->body_size = p->body_used = 0;
	p->length = 0;
	p->state = HTTP_PARSE_MORE;
	p->request = (struct http_request){0};
	p->head_bytes = p->line_bytes = p->line_index = 0;
	p->last_byte = '\0';
	p->in_value = true;
	p->in_body = p->wants_100 = p->recovers = false;
	p->status = 0;
	p->error[0] = '\0';
	http_parser_init(&p->lib, HTTP_REQUEST);
	p->lib.data = p;
}

void http_parse_init(struct http_parse *p, const struct http_limits *limits)
{
	CHECK(limits->headers_max <= HTTP_HEADERS_MAX);
	p->limits = *limits;
	p->body = NULL;
	p->head_used = 0;
	p->skip = 0;
	http_parse_next(p);
}

void http_parse_fini(struct http_parse *p)
{
	parse_wipe(p);
}

enum http_parse_state http_parse_state(const struct http_parse *p)
{
	return p->state;
}

const struct http_request *http_parse_request(const struct http_parse *p)
{
	CHECK(p->state == HTTP_PARSE_READY);
	return &p->request;
}

bool http_parse_busy(const struct http_parse *p)
{
	return p->head_bytes > 0 || p->skip > 0;
}

bool http_parse_take_continue(struct http_parse *p)
{
	bool wants = p->wants_100 && p->state == HTTP_PARSE_MORE;

	p->wants_100 = p->wants_100 && !wants;
	return wants;
}

int http_parse_status(const struct http_parse *p)
{
	return p->status;
}

const char *http_parse_error(const struct http_parse *p)
{
	return p->error;
}

bool http_parse_recovers(const struct http_parse *p)
{
	return p->recovers;
}
