/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests of any bytes. What is made of them must not depend on how they were cut: the first
 * byte of the input seeds the cuts, the rest is fed whole, in pieces and byte by byte.
 */
#include "api/http_parse.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A number for everything that a reader of the request could see. */
static uint64_t digest(uint64_t sum, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ (uint8_t)text[i]) * 1099511628211ULL;
	return sum + len;
}

static uint64_t digest_request(uint64_t sum, const struct http_request *r)
{
	if (r->path[0] != '/' || r->header_count > HTTP_HEADERS_MAX)
		abort();
	sum = digest(sum, r->method, strlen(r->method));
	sum = digest(sum, r->path, strlen(r->path));
	for (uint32_t i = 0; i < r->header_count; i++) {
		sum = digest(sum, r->headers[i].name, strlen(r->headers[i].name));
		sum = digest(sum, r->headers[i].value, strlen(r->headers[i].value));
	}
	return digest(sum, r->body ? r->body : "", r->body_len);
}

static uint64_t run(const char *text, size_t len, uint32_t seed, size_t piece_max)
{
	static const struct http_limits limits = {
		.line_max = 256, .headers_max = 16, .body_max = 300};
	static struct http_parse p;
	uint64_t sum = 0;
	bool open = true;

	http_parse_init(&p, &limits);
	for (size_t at = 0; at < len && open;) {
		size_t piece, used;

		seed = seed * 1664525 + 1013904223;
		piece = MIN(1 + seed % piece_max, len - at);
		used = http_parse_feed(&p, text + at, piece);

		at += used;
		(void)http_parse_take_continue(&p);
		if (http_parse_state(&p) == HTTP_PARSE_MORE && used != piece)
			abort();
		if (http_parse_state(&p) == HTTP_PARSE_READY)
			sum = digest_request(sum, http_parse_request(&p));
		if (http_parse_state(&p) == HTTP_PARSE_FAILED) {
			/* of several faults in one line, the cuts decide which is named */
			open = http_parse_recovers(&p);
			sum = digest(
				sum, http_parse_error(&p), open ? strlen(http_parse_error(&p)) : 1);
		}
		if (http_parse_state(&p) != HTTP_PARSE_MORE)
			http_parse_next(&p);
	}
	http_parse_fini(&p);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;

	if (size < 2)
		return 0;
	uint64_t whole = run(text, size - 1, 0, 1);

	if (run(text, size - 1, data[0], 40) != whole ||
		run(text, size - 1, data[0], 1 << 20) != whole)
		abort();
	return 0;
}
