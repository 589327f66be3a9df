/* SPDX-License-Identifier: Apache-2.0 */
/* Session tokens: made, checked, ended, never forged, never too many. */
#include "api/mmds/token.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/fail.h"
#include "vmm/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tokens *t, *other;
static char text[TOKEN_TEXT_LEN + 1];

static int setup(void **state)
{
	(void)state;
	fail_reset();
	t = calloc(1, sizeof(*t));
	other = calloc(1, sizeof(*other));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(t);
	free(other);
	fail_reset();
	return 0;
}

static void make(uint32_t ttl_s)
{
	assert_int_equal(token_create(t, ttl_s, 1000, text), 0);
	assert_int_equal(strlen(text), TOKEN_TEXT_LEN);
}

static void a_token_lives_as_long_as_was_asked(void **state)
{
	(void)state;
	make(60);
	assert_true(TOKEN_TEXT_LEN <= 70);
	assert_true(token_check(t, text, 1000));
	assert_true(token_check(t, text, 999 + 60 * CLOCK_NS_PER_S));
	assert_false(token_check(t, text, 1000 + 60 * CLOCK_NS_PER_S));
}

static void every_changed_digit_makes_it_worthless(void **state)
{
	(void)state;
	make(60);
	for (size_t i = 0; i < TOKEN_TEXT_LEN; i++) {
		char was = text[i];

		for (const char *c = "0123456789abcdefABCDEFg/:@`~ "; *c; c++) {
			text[i] = *c;
			assert_int_equal(token_check(t, text, 1000), *c == was);
		}
		text[i] = was;
	}
	assert_true(token_check(t, text, 1000));
}

static void other_lengths_are_worthless(void **state)
{
	char longer[2 * TOKEN_TEXT_LEN];

	(void)state;
	make(60);
	(void)snprintf(longer, sizeof(longer), "%s0", text);
	assert_false(token_check(t, longer, 1000));
	for (size_t len = TOKEN_TEXT_LEN; len-- > 0;) {
		text[len] = '\0';
		assert_false(token_check(t, text, 1000));
	}
}

static void a_token_of_another_vm_is_worthless(void **state)
{
	char theirs[TOKEN_TEXT_LEN + 1];

	(void)state;
	make(60);
	assert_int_equal(token_create(other, 60, 1000, theirs), 0);
	assert_string_not_equal(text, theirs);
	assert_false(token_check(other, text, 1000));
	assert_false(token_check(t, theirs, 1000));
}

static void a_flood_ends_those_that_nobody_uses(void **state)
{
	char used[TOKEN_TEXT_LEN + 1], idle[TOKEN_TEXT_LEN + 1];

	(void)state;
	make(60);
	memcpy(idle, text, sizeof(idle));
	make(60);
	memcpy(used, text, sizeof(used));
	for (uint32_t i = 0; i < 3 * TOKENS_MAX; i++) {
		make(60);
		assert_true(token_check(t, used, 1000));
	}
	assert_true(token_check(t, text, 1000));
	assert_false(token_check(t, idle, 1000));
	assert_int_equal(t->slot_count, TOKENS_MAX);
}

static void ended_tokens_make_room(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		make(1);
		assert_int_equal(token_create(t, 1, 1000 + 2 * CLOCK_NS_PER_S, text), 0);
		t->slots[0].end_ns = 0;
	}
	assert_true(t->slot_count < 3);
}

static void without_random_numbers_there_is_no_token(void **state)
{
	(void)state;
	fail_nth(FAIL_GETRANDOM, 1, EAGAIN);
	assert_int_equal(token_create(t, 60, 1000, text), -EAGAIN);
	fail_reset();
	fail_short(FAIL_GETRANDOM, 1, 31);
	assert_int_equal(token_create(t, 60, 1000, text), -EIO);
	assert_int_equal(t->slot_count, 0);
}

static void a_place_that_was_never_used_admits_nobody(void **state)
{
	(void)state;
	memset(text, '0', TOKEN_TEXT_LEN);
	assert_false(token_check(t, text, 0));
	make(1);
	memset(text, 'f', TOKEN_TEXT_LEN);
	assert_false(token_check(t, text, 0));
}

/* Whether the table has the secret of the token that text is. */
static bool table_holds(const char *token)
{
	uint8_t secret[TOKEN_SECRET_SIZE];

	for (size_t i = 0; i < sizeof(secret); i++) {
		char digits[3] = {token[4 + 2 * i], token[5 + 2 * i], '\0'};

		secret[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return memmem(t, sizeof(*t), secret, sizeof(secret)) != NULL;
}

static void of_a_token_that_has_ended_nothing_is_left(void **state)
{
	const uint64_t end = 1000 + 60 * CLOCK_NS_PER_S;
	char longer[TOKEN_TEXT_LEN + 1];

	(void)state;
	assert_int_equal(token_create(t, 61, 1000, longer), 0);
	make(60);
	tokens_sweep(t, end - 1);
	assert_true(table_holds(text) && table_holds(longer));
	tokens_sweep(t, end);
	assert_false(table_holds(text));
	assert_true(table_holds(longer) && token_check(t, longer, end));
}

static void whoever_asks_after_its_end_wipes_a_token(void **state)
{
	char other_text[TOKEN_TEXT_LEN + 1];

	(void)state;
	make(1);
	assert_false(token_check(t, "", 1000 + CLOCK_NS_PER_S));
	assert_false(table_holds(text));
	make(1);
	assert_int_equal(token_create(t, 60, 1000 + CLOCK_NS_PER_S, other_text), 0);
	assert_false(table_holds(text));
	assert_true(table_holds(other_text));
}

static void the_end_of_the_table_wipes_all_tokens(void **state)
{
	(void)state;
	make(60);
	tokens_fini(t);
	assert_false(table_holds(text));
	assert_false(token_check(t, text, 1000));
	make(60);
	assert_true(token_check(t, text, 1000));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_token_lives_as_long_as_was_asked),
		T(every_changed_digit_makes_it_worthless),
		T(other_lengths_are_worthless),
		T(a_token_of_another_vm_is_worthless),
		T(a_flood_ends_those_that_nobody_uses),
		T(ended_tokens_make_room),
		T(without_random_numbers_there_is_no_token),
		T(of_a_token_that_has_ended_nothing_is_left),
		T(whoever_asks_after_its_end_wipes_a_token),
		T(the_end_of_the_table_wipes_all_tokens),
		T(a_place_that_was_never_used_admits_nobody),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("mmds_token", tests, NULL, NULL);
}
