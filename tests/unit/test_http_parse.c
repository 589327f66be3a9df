/* SPDX-License-Identifier: Apache-2.0 */
/* Requests out of bytes: what is accepted, every bound, every cut. */
#include "api/http_parse.h"
#include "tests/unit/lib/cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct http_limits limits = {
	.line_max = HTTP_LINE_MAX, .headers_max = HTTP_HEADERS_MAX, .body_max = 100};
static struct http_parse parse;

static enum http_parse_state feed(const char *text)
{
	size_t used = http_parse_feed(&parse, text, strlen(text));

	assert_true(used <= strlen(text));
	return http_parse_state(&parse);
}

static enum http_parse_state feed_new(const char *text)
{
	http_parse_fini(&parse);
	http_parse_init(&parse, &limits);
	return feed(text);
}

static int teardown(void **state)
{
	(void)state;
	http_parse_fini(&parse);
	return 0;
}

static void whole_request_is_read(void **state)
{
	const struct http_request *r;

	(void)state;
	assert_int_equal(feed_new("PUT /drives/a?x=y HTTP/1.1\r\nHost: localhost\r\n"
				  "content-length:  5 \r\nEmpty:\r\nX:\t v \t\r\n\r\nhello"),
		HTTP_PARSE_READY);
	r = http_parse_request(&parse);
	assert_string_equal(r->method, "PUT");
	assert_string_equal(r->path, "/drives/a");
	assert_int_equal(r->version_minor, 1);
	assert_int_equal(r->header_count, 4);
	assert_string_equal(http_header_get(r, "HOST"), "localhost");
	assert_string_equal(http_header_get(r, "Content-Length"), "5");
	assert_string_equal(http_header_get(r, "empty"), "");
	assert_string_equal(http_header_get(r, "x"), "v");
	assert_null(http_header_get(r, "y"));
	assert_int_equal(r->body_len, 5);
	assert_string_equal(r->body, "hello");
}

static void body_may_be_absent(void **state)
{
	(void)state;
	assert_int_equal(feed_new("GET / HTTP/1.0\r\n\r\n"), HTTP_PARSE_READY);
	assert_null(http_parse_request(&parse)->body);
	assert_int_equal(http_parse_request(&parse)->version_minor, 0);
	assert_int_equal(http_parse_request(&parse)->header_count, 0);
	assert_string_equal(http_parse_request(&parse)->path, "/");
	assert_int_equal(feed_new("PUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), HTTP_PARSE_READY);
	assert_null(http_parse_request(&parse)->body);
}

static void request_is_the_same_however_it_is_cut(void **state)
{
	static const char text[] =
		"\r\nPATCH http://localhost/vm HTTP/1.1\r\nA: 1\r\nB:\r\nC:  x y\r\n"
		"Content-Length: 7\r\nAccept: */*\r\n\r\n{\"a\":1}";

	(void)state;
	for (size_t cut = 0; cut < sizeof(text); cut++)
		for (size_t second = cut; second < sizeof(text); second++) {
			const size_t ends[] = {cut, second, sizeof(text) - 1};
			const struct http_request *r;
			size_t at = 0;

			http_parse_fini(&parse);
			http_parse_init(&parse, &limits);
			for (size_t i = 0; i < NELEM(ends); i++)
				if (ends[i] > at)
					at += http_parse_feed(&parse, text + at, ends[i] - at);
			assert_int_equal(at, sizeof(text) - 1);
			assert_int_equal(http_parse_state(&parse), HTTP_PARSE_READY);
			r = http_parse_request(&parse);
			assert_string_equal(r->path, "/vm");
			assert_string_equal(r->body, "{\"a\":1}");
			assert_int_equal(r->header_count, 5);
			assert_string_equal(r->headers[0].name, "A");
			assert_string_equal(r->headers[1].value, "");
			assert_string_equal(r->headers[2].value, "x y");
			assert_string_equal(r->headers[4].name, "Accept");
		}
}

static void pipelined_requests_come_one_by_one(void **state)
{
	static const char text[] = "GET /a HTTP/1.1\r\n\r\n\r\nPUT /b HTTP/1.0\r\nContent-Length: 2"
				   "\r\n\r\nokGET /c HTTP/1.1\r\n\r\n";
	static const char *const paths[] = {"/a", "/b", "/c"};
	size_t at = 0;

	(void)state;
	http_parse_init(&parse, &limits);
	for (size_t i = 0; i < NELEM(paths); i++) {
		at += http_parse_feed(&parse, text + at, sizeof(text) - 1 - at);
		assert_int_equal(http_parse_state(&parse), HTTP_PARSE_READY);
		assert_string_equal(http_parse_request(&parse)->path, paths[i]);
		assert_true(http_parse_busy(&parse));
		http_parse_next(&parse);
		assert_false(http_parse_busy(&parse));
	}
	assert_int_equal(at, sizeof(text) - 1);
}

static void ready_request_takes_no_more_bytes(void **state)
{
	(void)state;
	assert_int_equal(feed_new("GET / HTTP/1.1\r\n\r\n"), HTTP_PARSE_READY);
	assert_int_equal(http_parse_feed(&parse, "GET", 3), 0);
}

struct target {
	const char *target, *path;
};

static void target_gives_its_path(void **state)
{
	static const struct target targets[] = {
		{"/", "/"},
		{"/a/b", "/a/b"},
		{"/a?b=c", "/a"},
		{"/?", "/"},
		{"/a%20b", "/a%20b"},
		{"http://localhost/version", "/version"},
		{"HTTP://localhost:80/version?x", "/version"},
		{"http://localhost", "/"},
		{"//a", "//a"},
		{"ftp://localhost/x", NULL},
		{"*", NULL},
		{"localhost:80", NULL},
		{"/\x80", NULL},
		{"/\x01", NULL},
		{"/a\x7f", NULL},
		{"relative", NULL},
		{"http:///x", NULL},
	};

	(void)state;
	for (size_t i = 0; i < NELEM(targets); i++) {
		char text[128];
		enum http_parse_state got;

		(void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n\r\n", targets[i].target);
		got = feed_new(text);
		if (targets[i].path) {
			assert_int_equal(got, HTTP_PARSE_READY);
			assert_string_equal(http_parse_request(&parse)->path, targets[i].path);
		} else {
			assert_int_equal(got, HTTP_PARSE_FAILED);
			assert_non_null(strstr(http_parse_error(&parse), "Invalid"));
		}
	}
}

struct refused {
	const char *text, *error;
	bool recovers;
};

static const struct refused refused[] = {
	{"get / HTTP/1.1\r\n\r\n", "Invalid HTTP Method: Unsupported HTTP method.", false},
	{"POST / HTTP/1.1\r\n\r\n", "Invalid HTTP Method: Unsupported HTTP method.", true},
	{"HEAD / HTTP/1.1\r\n\r\n", "Invalid HTTP Method: Unsupported HTTP method.", true},
	{"OPTIONS * HTTP/1.1\r\n\r\n", "Invalid HTTP Method: Unsupported HTTP method.", true},
	{"CONNECT a:1 HTTP/1.1\r\n\r\n", "Invalid HTTP Method: Unsupported HTTP method.", true},
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "Invalid HTTP", false},
	{"\x16\x03\x01\x02", "control character", false},
	{"{\"a\":1}", "Invalid HTTP Method", false},
	{"GET / HTTP/2.0\r\n\r\n", "Invalid HTTP Version: Unsupported HTTP version.", false},
	{"GET / HTTP/1.2\r\n\r\n", "Invalid HTTP Version: Unsupported HTTP version.", false},
	{"GET / HTTP/0.9\r\n\r\n", "Invalid HTTP Version: Unsupported HTTP version.", false},
	{"GET / http/1.1\r\n\r\n", "Invalid HTTP Version: Unsupported HTTP version.", false},
	{"GET /\r\n\r\n", "Invalid HTTP Version: Unsupported HTTP version.", false},
	{"GET / HTTP/1.1\r\n folded: 1\r\n\r\n", "Line 2 begins with a blank", false},
	{"GET / HTTP/1.1\r\nA: 1\r\n\tfolded\r\n\r\n", "Line 3 begins with a blank", false},
	{"GET / HTTP/1.1\r\nA: 1\rB: 2\r\n\r\n",
		"Line 2 begins with a blank or has a control character", false},
	{"GET / HTTP/1.1\r\n\rX", "control character", false},
	{"GET / HTTP/1.1\r\nno colon\r\n\r\n", "Invalid request. Line 2", false},
	{"GET / HTTP/1.1\r\nA: \x01\r\n\r\n", "Invalid request. Line 2", false},
	{"PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "Invalid value. Key:Content-Length", false},
	{"PUT / HTTP/1.1\r\nContent-Length:\r\n\r\n", "Invalid value. Key:Content-Length", false},
	{"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "Invalid value. Key:Content-Length",
		false},
	{"PUT / HTTP/1.1\r\nContent-Length: 1 2\r\n\r\n", "Invalid value. Key:Content-Length",
		false},
	{"PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"Invalid value. Key:Content-Length", false},
	{"PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"Invalid value. Key:Content-Length", false},
	{"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"Unsupported value. Key:Transfer-Encoding; Value:chunked", false},
	{"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
		"Unsupported value. Key:Transfer-Encoding; Value:gzip", false},
	{"PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "Invalid",
		false},
	{"GET / HTTP/1.1\r\nAccept-Encoding: identity;q=0\r\n\r\n",
		"Invalid value. Key:Accept-Encoding; Value:identity;q=0", true},
	{"GET / HTTP/1.1\r\nAccept-Encoding: gzip, Identity ; q=0.000\r\n\r\n",
		"Invalid value. Key:Accept-Encoding", true},
	{"GET / HTTP/1.1\r\nAccept-Encoding: gzip,*;q=0\r\n\r\n",
		"Invalid value. Key:Accept-Encoding", true},
	{"PUT / HTTP/1.1\r\nContent-Length: 101\r\n\r\n",
		"Request payload with size 101 is larger than the limit of 100 allowed by server.",
		true},
	{"PUT / HTTP/1.1\r\nContent-Length: 4294967396\r\n\r\n",
		"is larger than the limit of 100 allowed by server.", true},
	{"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n",
		"is larger than the limit of 100 allowed by server.", false},
};

static void request_is_refused_with_its_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(refused); i++) {
		if (feed_new(refused[i].text) != HTTP_PARSE_FAILED)
			fail_msg("%s: not refused", refused[i].text);
		assert_int_equal(http_parse_status(&parse), 400);
		if (!strstr(http_parse_error(&parse), refused[i].error))
			fail_msg("%s: %s", refused[i].text, http_parse_error(&parse));
		if (http_parse_recovers(&parse) != refused[i].recovers)
			fail_msg("%s: recovers differs", refused[i].text);
		assert_int_equal(http_parse_feed(&parse, "x", 1), 0);
	}
}

static void header_is_accepted(void **state)
{
	static const char *const headers[] = {
		"Accept-Encoding: gzip, deflate",
		"Accept-Encoding: identity;q=0.5, *;q=0",
		"Accept-Encoding:",
		"Transfer-Encoding: identity",
		"Connection: close",
		"Connection: Upgrade\r\nUpgrade: h2c",
		"Expect: something-else",
		"Content-Type: text/plain",
		"X-Latin: \xe9",
	};

	(void)state;
	for (size_t i = 0; i < NELEM(headers); i++) {
		char text[256];

		(void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%s\r\n\r\n", headers[i]);
		if (feed_new(text) != HTTP_PARSE_READY)
			fail_msg("%s: %s", headers[i], http_parse_error(&parse));
	}
}

static void error_has_nothing_to_escape_in_json(void **state)
{
	(void)state;
	assert_int_equal(feed_new("PUT / HTTP/1.1\r\nTransfer-Encoding: \"\\\t\xff\r\n\r\n"),
		HTTP_PARSE_FAILED);
	for (const char *c = http_parse_error(&parse); *c; c++)
		assert_true(*c >= ' ' && *c <= '~' && *c != '"' && *c != '\\');
	assert_non_null(strstr(http_parse_error(&parse), "Value:????"));
}

/* A request whose line `line` (0: the request line) has len bytes with its CR LF. */
static char *request_with_line(int line, size_t len)
{
	const char *before = line == 0 ? "GET /" : "GET / HTTP/1.1\r\nA: ";
	const char *after = line == 0 ? " HTTP/1.1\r\n\r\n" : "\r\n\r\n";
	size_t fixed = line == 0 ? strlen("GET / HTTP/1.1\r\n") : strlen("A: \r\n");
	char *text = NULL;

	assert_true(asprintf(&text, "%s%0*d%s", before, (int)(len - fixed), 0, after) > 0);
	return text;
}

static void nul_is_refused_wherever_it_stands(void **state)
{
	static const char text[] = "GET /a HTTP/1.1\r\nA: b\r\n\r\n";

	(void)state;
	for (size_t at = 0; at < sizeof(text) - 1; at++) {
		char copy[sizeof(text)];

		memcpy(copy, text, sizeof(text));
		copy[at] = '\0';
		http_parse_init(&parse, &limits);
		(void)!http_parse_feed(&parse, copy, sizeof(text) - 1);
		assert_int_equal(http_parse_state(&parse), HTTP_PARSE_FAILED);
	}
}

static void line_fits_1024_bytes_and_not_one_more(void **state)
{
	(void)state;
	for (int line = 0; line < 2; line++) {
		char *fits = request_with_line(line, HTTP_LINE_MAX);
		char *long_line = request_with_line(line, HTTP_LINE_MAX + 1);

		assert_int_equal(feed_new(fits), HTTP_PARSE_READY);
		assert_int_equal(feed_new(long_line), HTTP_PARSE_FAILED);
		assert_non_null(strstr(http_parse_error(&parse), "has more than 1024 bytes"));
		free(fits);
		free(long_line);
	}
}

static void line_without_end_is_cut_off(void **state)
{
	size_t used = 0;

	(void)state;
	http_parse_init(&parse, &limits);
	while (http_parse_state(&parse) == HTTP_PARSE_MORE)
		used += http_parse_feed(&parse, used < 4 ? &"GET "[used] : "/", 1);
	assert_int_equal(used, HTTP_LINE_MAX);
}

static void head_is_bounded(void **state)
{
	char header[1100];

	(void)state;
	(void)snprintf(header, sizeof(header), "A: %01000d\r\n", 0);
	assert_int_equal(feed_new("GET / HTTP/1.1\r\n"), HTTP_PARSE_MORE);
	for (int i = 0; i < 8; i++)
		assert_int_equal(feed(header), HTTP_PARSE_MORE);
	assert_int_equal(feed(header), HTTP_PARSE_FAILED);
	assert_non_null(strstr(http_parse_error(&parse), "head has more than 8192 bytes"));
}

static void head_of_shortest_headers_fits(void **state)
{
	(void)state;
	assert_int_equal(feed_new("GET / HTTP/1.1\r\n"), HTTP_PARSE_MORE);
	for (int i = 0; i < HTTP_HEADERS_MAX; i++)
		assert_int_equal(feed("a:\r\n"), HTTP_PARSE_MORE);
	assert_int_equal(feed("\r\n"), HTTP_PARSE_READY);
	assert_int_equal(http_parse_request(&parse)->header_count, HTTP_HEADERS_MAX);
}

static void one_header_too_many_is_refused(void **state)
{
	(void)state;
	assert_int_equal(feed_new("GET / HTTP/1.1\r\n"), HTTP_PARSE_MORE);
	for (int i = 0; i < HTTP_HEADERS_MAX; i++)
		assert_int_equal(feed("a:\r\n"), HTTP_PARSE_MORE);
	assert_int_equal(feed("b:\r\n"), HTTP_PARSE_FAILED);
	assert_non_null(strstr(http_parse_error(&parse), "more than 64 headers"));
}

static void body_of_the_limit_is_taken(void **state)
{
	char body[101];

	(void)state;
	memset(body, 0, sizeof(body)); /* binary, too */
	assert_int_equal(
		feed_new("PUT / HTTP/1.1\r\nContent-Length: 100\r\n\r\n"), HTTP_PARSE_MORE);
	assert_int_equal(http_parse_feed(&parse, body, sizeof(body)), 100);
	assert_int_equal(http_parse_state(&parse), HTTP_PARSE_READY);
	assert_int_equal(http_parse_request(&parse)->body_len, 100);
	assert_memory_equal(http_parse_request(&parse)->body, body, 101);
}

static void refused_body_is_skipped(void **state)
{
	char body[250];

	(void)state;
	memset(body, 'x', sizeof(body));
	assert_int_equal(
		feed_new("PUT / HTTP/1.1\r\nContent-Length: 250\r\n\r\n"), HTTP_PARSE_FAILED);
	assert_true(http_parse_recovers(&parse));
	http_parse_next(&parse);
	assert_true(http_parse_busy(&parse));
	assert_int_equal(http_parse_feed(&parse, body, sizeof(body)), sizeof(body));
	assert_false(http_parse_busy(&parse));
	assert_int_equal(feed("GET /next HTTP/1.1\r\n\r\n"), HTTP_PARSE_READY);
	assert_string_equal(http_parse_request(&parse)->path, "/next");
}

static void continue_is_asked_for_once(void **state)
{
	(void)state;
	assert_int_equal(feed_new("PUT / HTTP/1.1\r\nExpect: 100-Continue\r\n"
				  "Content-Length: 2\r\n\r\n"),
		HTTP_PARSE_MORE);
	assert_true(http_parse_take_continue(&parse));
	assert_false(http_parse_take_continue(&parse));
	assert_int_equal(feed("ok"), HTTP_PARSE_READY);
	/* not of 1.0, and not without a body */
	assert_int_equal(feed_new("PUT / HTTP/1.0\r\nExpect: 100-continue\r\n"
				  "Content-Length: 2\r\n\r\n"),
		HTTP_PARSE_MORE);
	assert_false(http_parse_take_continue(&parse));
	assert_int_equal(
		feed_new("GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n"), HTTP_PARSE_READY);
	assert_false(http_parse_take_continue(&parse));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(whole_request_is_read, teardown),
		cmocka_unit_test_teardown(body_may_be_absent, teardown),
		cmocka_unit_test_teardown(request_is_the_same_however_it_is_cut, teardown),
		cmocka_unit_test_teardown(pipelined_requests_come_one_by_one, teardown),
		cmocka_unit_test_teardown(ready_request_takes_no_more_bytes, teardown),
		cmocka_unit_test_teardown(target_gives_its_path, teardown),
		cmocka_unit_test_teardown(request_is_refused_with_its_reason, teardown),
		cmocka_unit_test_teardown(header_is_accepted, teardown),
		cmocka_unit_test_teardown(error_has_nothing_to_escape_in_json, teardown),
		cmocka_unit_test_teardown(nul_is_refused_wherever_it_stands, teardown),
		cmocka_unit_test_teardown(line_fits_1024_bytes_and_not_one_more, teardown),
		cmocka_unit_test_teardown(line_without_end_is_cut_off, teardown),
		cmocka_unit_test_teardown(head_is_bounded, teardown),
		cmocka_unit_test_teardown(head_of_shortest_headers_fits, teardown),
		cmocka_unit_test_teardown(one_header_too_many_is_refused, teardown),
		cmocka_unit_test_teardown(body_of_the_limit_is_taken, teardown),
		cmocka_unit_test_teardown(refused_body_is_skipped, teardown),
		cmocka_unit_test_teardown(continue_is_asked_for_once, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
