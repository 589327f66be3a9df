/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata and tokens are overwritten before their memory is free for others: every free is looked at. */
#include "vmm/base/wipe.h"

#include "api/http.h"
#include "api/mmds/answer.h"
#include "tests/unit/lib/cm.h"
#include "vmm/base/clock.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define SECRET "AKIA-credentials-of-a-role"
#define OBJECT "{\"role\":\"" SECRET "\",\"list\":[\"" SECRET "\"]}"

static unsigned leaked, freed;
static const char *secret = SECRET;

/* As the linker's --wrap=free calls them. */
void real_free(void *p) __asm__("__real_free");
void wrapped_free(void *p) __asm__("__wrap_free");

void wrapped_free(void *p)
{
	freed += p != NULL;
	leaked += p && memmem(p, malloc_usable_size(p), secret, strlen(secret));
	real_free(p);
}

static struct store store;
static struct tokens tokens;
static struct metrics_mmds counters;
static struct answerer answerer;
static struct err error;

static int setup(void **state)
{
	(void)state;
	store_init(&store, 51200);
	answerer = (struct answerer){
		.store = &store, .tokens = &tokens, .counters = &counters, .version = 1};
	secret = SECRET;
	leaked = freed = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_fini(&store);
	tokens_fini(&tokens);
	return 0;
}

static void nothing_leaked(void)
{
	assert_int_not_equal(freed, 0);
	assert_int_equal(leaked, 0);
}

static void a_plain_free_would_be_noticed(void **state)
{
	char *volatile p = strdup(SECRET); /* else a compiler drops both calls */

	(void)state;
	assert_non_null(p);
	free(p);
	assert_int_equal(leaked, 1);
}

static void wiping_frees_leave_nothing(void **state)
{
	char *p = malloc(100);

	(void)state;
	wipe_free(NULL);
	assert_non_null(p);
	memcpy(p + 70, SECRET, sizeof(SECRET));
	p = wipe_grow(p, 70 + sizeof(SECRET), 100000);
	assert_non_null(p);
	assert_string_equal(p + 70, SECRET);
	assert_int_equal(freed, 1);
	wipe_free(p);
	assert_int_equal(freed, 2);
	nothing_leaked();
	p = wipe_grow(NULL, 0, 8);
	assert_non_null(p);
	wipe_free(p);
}

static void metadata_goes_with_its_object(void **state)
{
	json_free_t json_free;

	(void)state;
	json_get_alloc_funcs(NULL, &json_free);
	assert_true(json_free == wipe_free);
	assert_int_equal(store_put(&store, OBJECT, strlen(OBJECT), &error), 0);
	assert_int_equal(store_patch(&store, OBJECT, strlen(OBJECT), &error), 0);
	assert_int_equal(store_put(&store, "{}", 2, &error), 0);
	nothing_leaked();
}

/* The reply to a request as the guest sends it, with a NUL; the caller's. */
static char *ask(const char *request)
{
	struct stack_reply reply = {.text = NULL};
	uint32_t len = (uint32_t)strlen(request);
	char *text;

	assert_int_equal(
		answer(&answerer, (const uint8_t *)request, len, false, 1000, &reply), len);
	assert_non_null(reply.text);
	text = wipe_grow(reply.text, reply.len, reply.len + 1);
	assert_non_null(text);
	text[reply.len] = '\0';
	return text;
}

static void answers_with_metadata_leave_one_copy(void **state)
{
	(void)state;
	assert_int_equal(store_put(&store, OBJECT, strlen(OBJECT), &error), 0);
	wipe_free(ask("GET /role HTTP/1.1\r\n\r\n"));
	wipe_free(ask("GET / HTTP/1.1\r\nAccept: application/json\r\n\r\n"));
	nothing_leaked();
}

static void tokens_are_not_left_by_who_makes_or_takes_them(void **state)
{
	char request[128], *reply, token[TOKEN_TEXT_LEN + 1];

	(void)state;
	reply = ask("PUT /latest/api/token HTTP/1.1\r\n"
		    "X-metadata-token-ttl-seconds: 60\r\n\r\n");
	(void)snprintf(token, sizeof(token), "%s", strstr(reply, "\r\n\r\n") + 4);
	assert_int_equal(tokens.slot_count, 1);
	wipe_free(reply);
	secret = token;
	(void)snprintf(
		request, sizeof(request), "GET / HTTP/1.1\r\nX-metadata-token: %s\r\n\r\n", token);
	wipe_free(ask(request));
	nothing_leaked();
	assert_null(memmem(&answerer, sizeof(answerer), token, strlen(token)));
}

static void the_end_of_a_connection_takes_what_was_asked_and_answered(void **state)
{
	static struct tcp c;
	static const struct frame_tcp syn = {.flags = FRAME_SYN, .window = 1000};

	(void)state;
	tcp_open(&c, &syn, 1, 1000);
	c.state = TCP_OPEN;
	tcp_write(&c, strdup(SECRET), sizeof(SECRET));
	memcpy(c.rx, SECRET SECRET, sizeof(SECRET SECRET));
	c.rx_len = 2 * (sizeof(SECRET) - 1);
	tcp_rx_drop(&c, sizeof(SECRET) - 1);
	assert_memory_equal(c.rx, SECRET, sizeof(SECRET) - 1);
	assert_null(memmem(c.rx + 1, sizeof(c.rx) - 1, SECRET, strlen(SECRET)));
	tcp_free(&c);
	assert_null(memmem(&c, sizeof(c), SECRET, strlen(SECRET)));
	nothing_leaked();
}

static void a_closed_connection_forgets_what_it_will_not_answer(void **state)
{
	static struct tcp c = {.state = TCP_OPEN};

	(void)state;
	memcpy(c.rx, SECRET, sizeof(SECRET));
	c.rx_len = sizeof(SECRET);
	tcp_close(&c);
	assert_null(memmem(&c, sizeof(c), SECRET, strlen(SECRET)));
}

/* A body in two pieces, so that its memory grows. */
static void bodies_of_requests_leave_nothing(void **state)
{
	static const struct http_limits limits = {
		.line_max = HTTP_LINE_MAX, .headers_max = 8, .body_max = 51200};
	static const char head[] = "PUT /mmds HTTP/1.1\r\nContent-Length: 10000\r\n\r\n";
	static struct http_parse p;
	static char body[10000];

	(void)state;
	memcpy(body, SECRET, sizeof(SECRET));
	http_parse_init(&p, &limits);
	assert_int_equal(http_parse_feed(&p, head, sizeof(head) - 1), sizeof(head) - 1);
	assert_int_equal(http_parse_feed(&p, body, 100), 100);
	assert_int_equal(http_parse_feed(&p, body + 100, 9900), 9900);
	assert_int_equal(http_parse_state(&p), HTTP_PARSE_READY);
	assert_memory_equal(http_parse_request(&p)->body, body, sizeof(body));
	http_parse_next(&p);
	assert_int_equal(freed, 2);
	nothing_leaked();
	http_parse_fini(&p);
}

static void answers_of_the_api_leave_one_copy(void **state)
{
	struct http_reply r = {
		.status = 200, .body = strdup(SECRET), .body_len = sizeof(SECRET) - 1};
	size_t len;

	(void)state;
	wipe_free(http_reply_format(&r, false, &len));
	nothing_leaked();
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_plain_free_would_be_noticed),
		T(wiping_frees_leave_nothing),
		T(metadata_goes_with_its_object),
		T(answers_with_metadata_leave_one_copy),
		T(tokens_are_not_left_by_who_makes_or_takes_them),
		T(the_end_of_a_connection_takes_what_was_asked_and_answered),
		T(a_closed_connection_forgets_what_it_will_not_answer),
		T(bodies_of_requests_leave_nothing),
		T(answers_of_the_api_leave_one_copy),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("wipe", tests, NULL, NULL);
}
