/* SPDX-License-Identifier: Apache-2.0 */
/* What the metadata service says: bytes of a request in, bytes of a reply out. */
#include "api/mmds/answer.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/fail.h"

#include <stdlib.h>
#include <string.h>

#define AT (5 * CLOCK_NS_PER_S)

static struct store store;
static struct tokens tokens;
static struct metrics_mmds counters;
static struct answerer a;
static char got[8192], token[TOKEN_TEXT_LEN + 1];
static bool got_close;

static int setup(void **state)
{
	static const char data[] = "{\"latest\":{\"id\":\"i-1\",\"n\":7,\"list\":[\"x\"]}}";
	struct err e;

	(void)state;
	fail_reset();
	memset(&tokens, 0, sizeof(tokens));
	memset(&counters, 0, sizeof(counters));
	store_init(&store, 51200);
	a = (struct answerer){
		.version = 1, .store = &store, .tokens = &tokens, .counters = &counters};
	return store_put(&store, data, sizeof(data) - 1, &e);
}

static int setup_v2(void **state)
{
	int rc = setup(state);

	a.version = 2;
	return rc < 0 ? rc : token_create(&tokens, 60, AT, token);
}

static int teardown(void **state)
{
	(void)state;
	store_fini(&store);
	fail_reset();
	return 0;
}

/* Bytes taken; the reply in got. */
static uint32_t ask_bytes(const char *bytes, uint32_t len, bool full)
{
	struct stack_reply r = {.text = NULL};
	uint32_t taken = answer(&a, (const uint8_t *)bytes, len, full, AT, &r);

	got[0] = '\0';
	if (r.text) {
		assert_true(r.len < sizeof(got));
		memcpy(got, r.text, r.len);
		got[r.len] = '\0';
	}
	free(r.text);
	got_close = r.close;
	return taken;
}

/* A request of a line and headers, each followed by CR LF; the status. */
static int ask(const char *lines)
{
	char text[TCP_RX_MAX];
	int len = snprintf(text, sizeof(text), "%s\r\n", lines);

	assert_int_equal(ask_bytes(text, (uint32_t)len, false), len);
	assert_memory_equal(got, "HTTP/1.1 ", 9);
	return (int)strtol(got + 9, NULL, 10);
}

static const char *body(void)
{
	const char *end = strstr(got, "\r\n\r\n");

	assert_non_null(end);
	return end + 4;
}

static void assert_has(const char *text)
{
	if (!strstr(got, text))
		fail_msg("no \"%s\" in: %s", text, got);
}

static void a_reply_has_these_very_bytes(void **state)
{
	(void)state;
	assert_int_equal(ask("GET /latest/id HTTP/1.1\r\n"), 200);
	assert_string_equal(got, "HTTP/1.1 200 \r\nServer: Firecracker API\r\n"
				 "Connection: keep-alive\r\nContent-Type: text/plain\r\n"
				 "Content-Length: 3\r\n\r\ni-1");
	assert_false(got_close);
}

static void accept_chooses_the_form(void **state)
{
	static const struct {
		const char *accept;
		bool json;
	} cases[] = {
		{"application/json", true},
		{"Application/JSON", true},
		{"text/html, application/json;q=0.9", true},
		{"application/json-patch", false},
		{"text/plain", false},
		{"*/*", false},
		{"", false},
		{",,,", false},
	};
	char text[200];

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		(void)snprintf(text, sizeof(text), "GET /latest/ HTTP/1.1\r\nAccept: %s\r\n",
			cases[i].accept);
		assert_int_equal(ask(text), 200);
		assert_has(cases[i].json ? "Content-Type: application/json\r\n"
					 : "Content-Type: text/plain\r\n");
		assert_string_equal(body(), cases[i].json
						    ? "{\"id\":\"i-1\",\"list\":[\"x\"],\"n\":7}"
						    : "id\nlist\nn");
	}
}

static void imds_compat_answers_text_always(void **state)
{
	(void)state;
	a.imds_compat = true;
	assert_int_equal(ask("GET /latest/id HTTP/1.1\r\nAccept: application/json\r\n"), 200);
	assert_has("Content-Type: text/plain\r\n");
	assert_string_equal(body(), "i-1");
}

static void each_fault_has_its_status(void **state)
{
	(void)state;
	assert_int_equal(ask("GET /latest/none HTTP/1.1\r\n"), 404);
	assert_string_equal(body(), "Resource not found: /latest/none.");
	assert_int_equal(ask("GET /latest/n HTTP/1.1\r\n"), 501);
	assert_int_equal(ask("GET /latest/n HTTP/1.1\r\nAccept: application/json\r\n"), 200);
	assert_int_equal(ask("DELETE / HTTP/1.1\r\n"), 405);
	assert_has("Allow: GET, PUT\r\n");
	assert_int_equal(ask("PATCH / HTTP/1.1\r\n"), 405);
	assert_int_equal(ask("POST / HTTP/1.1\r\n"), 400);
	assert_true(got_close);
	assert_int_equal(ask("PUT / HTTP/1.1\r\nX-metadata-token-ttl-seconds: 60\r\n"), 404);
	store_clear(&store);
	assert_int_equal(ask("GET / HTTP/1.1\r\n"), 404);
}

static void version_1_admits_all_but_counts(void **state)
{
	(void)state;
	assert_int_equal(ask("GET / HTTP/1.1\r\n"), 200);
	assert_int_equal(counters.rx_no_token, 1);
	assert_int_equal(ask("GET / HTTP/1.1\r\nX-metadata-token: x\r\n"), 200);
	assert_int_equal(counters.rx_invalid_token, 1);
	assert_int_equal(ask("PUT /latest/api/token HTTP/1.1\r\n"
			     "X-metadata-token-ttl-seconds: 1\r\n"),
		200);
}

static void version_2_wants_a_token(void **state)
{
	char text[300];

	(void)state;
	assert_int_equal(ask("GET / HTTP/1.1\r\n"), 401);
	assert_int_equal(ask("GET / HTTP/1.1\r\nX-metadata-token: 1234\r\n"), 401);
	assert_string_equal(body(), "MMDS token not valid.");
	for (int ec2 = 0; ec2 < 2; ec2++) {
		(void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%s: %s\r\n",
			ec2 ? "x-aws-ec2-metadata-token" : "X-METADATA-TOKEN", token);
		assert_int_equal(ask(text), 200);
	}
	assert_int_equal(counters.rx_no_token, 1);
	assert_int_equal(counters.rx_invalid_token, 1);
	/* A method that there is not is refused as such, token or none. */
	assert_int_equal(ask("DELETE / HTTP/1.1\r\n"), 405);
}

static void a_token_is_given_and_works(void **state)
{
	char text[300];

	(void)state;
	for (int ec2 = 0; ec2 < 2; ec2++) {
		const char *name = ec2 ? "X-aws-ec2-metadata-token-ttl-seconds"
				       : "X-metadata-token-ttl-seconds";

		(void)snprintf(text, sizeof(text), "PUT /latest/api/token HTTP/1.1\r\n%s: %d\r\n",
			name, 21600);
		assert_int_equal(ask(text), 200);
		(void)snprintf(text, sizeof(text), "%s: 21600\r\n", name);
		assert_has(text);
		assert_true(token_check(&tokens, body(), AT));
	}
}

static void a_lifetime_out_of_range_is_refused(void **state)
{
	static const char *const bad[] = {
		"0", "21601", "-1", "1.5", "", "60s", "0x10", "4294967297", "99999999999999999999"};
	char text[200];

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		(void)snprintf(text, sizeof(text),
			"PUT /latest/api/token HTTP/1.1\r\nX-metadata-token-ttl-seconds: %s\r\n",
			bad[i]);
		assert_int_equal(ask(text), 400);
	}
	assert_int_equal(ask("PUT /latest/api/token HTTP/1.1\r\n"), 400);
	assert_int_equal(tokens.slot_count, 1);
}

static void a_forwarded_request_gets_no_token(void **state)
{
	(void)state;
	assert_int_equal(ask("PUT /latest/api/token HTTP/1.1\r\nX-forwarded-FOR: 10.0.0.1\r\n"
			     "X-metadata-token-ttl-seconds: 60\r\n"),
		400);
	assert_has("X-Forwarded-For");
}

static void without_random_numbers_it_says_so(void **state)
{
	(void)state;
	fail_nth(FAIL_GETRANDOM, 1, 11);
	assert_int_equal(ask("PUT /latest/api/token HTTP/1.1\r\n"
			     "X-metadata-token-ttl-seconds: 60\r\n"),
		500);
}

static void connections_are_kept_or_closed_as_asked(void **state)
{
	(void)state;
	assert_int_equal(ask("GET / HTTP/1.1\r\nConnection: close\r\n"), 200);
	assert_true(got_close);
	assert_has("Connection: close\r\n");
	assert_int_equal(ask("GET / HTTP/1.0\r\n"), 200);
	assert_true(got_close);
	assert_int_equal(ask("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n"), 200);
	assert_false(got_close);
}

static void a_request_is_waited_for_until_it_is_whole(void **state)
{
	static const char text[] = "PUT /latest/api/token HTTP/1.1\r\nContent-Length: 4\r\n"
				   "X-metadata-token-ttl-seconds: 60\r\n\r\nbody";

	(void)state;
	for (uint32_t len = 1; len < sizeof(text) - 1; len++) {
		assert_int_equal(ask_bytes(text, len, false), 0);
		assert_int_equal(ask_bytes(text, len, true), len);
		assert_memory_equal(got, "HTTP/1.1 400 ", 13);
		assert_true(got_close);
	}
	assert_int_equal(ask_bytes(text, sizeof(text) - 1, false), sizeof(text) - 1);
	assert_memory_equal(got, "HTTP/1.1 200 ", 13);
}

static void what_follows_a_request_stays(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\n\r\nGET /latest HTTP/1.1\r\n\r\n";

	(void)state;
	assert_int_equal(ask_bytes(text, sizeof(text) - 1, true), 18);
	assert_memory_equal(got, "HTTP/1.1 200 ", 13);
}

static void bodies_that_never_fit_are_refused_at_once(void **state)
{
	(void)state;
	assert_int_equal(ask("PUT /latest/api/token HTTP/1.1\r\nContent-Length: 2501\r\n"), 400);
	assert_true(got_close);
}

#define T(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define T2(f) cmocka_unit_test_setup_teardown(f, setup_v2, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_reply_has_these_very_bytes),
		T(accept_chooses_the_form),
		T(imds_compat_answers_text_always),
		T(each_fault_has_its_status),
		T(version_1_admits_all_but_counts),
		T2(version_2_wants_a_token),
		T2(a_token_is_given_and_works),
		T2(a_lifetime_out_of_range_is_refused),
		T2(a_forwarded_request_gets_no_token),
		T2(without_random_numbers_it_says_so),
		T(connections_are_kept_or_closed_as_asked),
		T(a_request_is_waited_for_until_it_is_whole),
		T(what_follows_a_request_stays),
		T(bodies_that_never_fit_are_refused_at_once),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("mmds_answer", tests, NULL, NULL);
}
