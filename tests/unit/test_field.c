/* SPDX-License-Identifier: Apache-2.0 */
/* State tables: what makes one unsound, and which decoded structs are refused. */
#include "vmm/base/field.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct ring {
	uint16_t size;
	uint16_t index;
};

struct toy {
	uint8_t bytes[6];
	uint16_t word;
	uint64_t large;
	struct ring rings[2];
	uint32_t last;
	uint32_t reserved;
};

static int ring_check(const void *state, struct err *e)
{
	const struct ring *r = state;

	return r->index <= r->size ? 0 : err_set(e, -EINVAL, "ring.index is past its size");
}

static const struct field ring_fields[] = {
	FIELD(1, 1, struct ring, size, 256),
	FIELD(2, 1, struct ring, index, 0),
};
static const struct field_table ring_table =
	FIELD_TABLE("ring", struct ring, ring_fields, ring_check);

static const struct field toy_fields[] = {
	FIELD_ARRAY(1, 1, struct toy, bytes, 9),
	FIELD(2, 1, struct toy, word, 0x7fff),
	FIELD(7, 1, struct toy, large, UINT64_MAX - 1),
	FIELD_STRUCT_ARRAY(4, 1, struct toy, rings, &ring_table),
	FIELD(5, 1, struct toy, last, 0),
	FIELD(6, 1, struct toy, reserved, 0),
};
static const struct field_table toy_table = FIELD_TABLE("toy", struct toy, toy_fields, NULL);

static void sound_table_is_sound(void **state)
{
	struct err e = {0};

	(void)state;
	assert_true(field_table_sound(&toy_table, &e));
	assert_int_equal(e.code, 0);
}

/* The toy's table with one field changed must be refused, with a message that has `says`. */
static void check_unsound(uint32_t index, struct field changed, const char *says)
{
	struct field fields[NELEM(toy_fields)];
	struct field_table t = toy_table;
	struct err e = {0};

	memcpy(fields, toy_fields, sizeof(fields));
	fields[index] = changed;
	t.fields = fields;
	assert_false(field_table_sound(&t, &e));
	assert_int_equal(e.code, -EINVAL);
	if (!strstr(e.msg, says))
		fail_msg("\"%s\" has no \"%s\"", e.msg, says);
}

static void ids_are_unique_and_not_zero(void **state)
{
	struct field f = toy_fields[1];

	(void)state;
	f.id = 1;
	check_unsound(1, f, "toy: bytes and word share an id or bytes");
	f.id = 0;
	check_unsound(1, f, "toy.word: id, since or count");
}

static void since_is_between_one_and_the_schema(void **state)
{
	struct field f = toy_fields[1];

	(void)state;
	f.since = 0;
	check_unsound(1, f, "toy.word: id, since or count");
	f.since = FIELD_SCHEMA_VERSION + 1;
	check_unsound(1, f, "toy.word: id, since or count");
}

static void members_lie_inside_without_overlap_or_hole(void **state)
{
	struct field f = toy_fields[5];

	(void)state;
	f.offset = sizeof(struct toy) - 3;
	check_unsound(5, f, "toy.reserved lies outside");
	f.offset = UINT32_MAX;
	check_unsound(5, f, "toy.reserved lies outside");
	f.offset = offsetof(struct toy, last) + 3;
	check_unsound(5, f, "toy: last and reserved share");
	f = toy_fields[0];
	f.count = 5;
	check_unsound(0, f, "toy: 1 of 32 bytes have no field");
	f.count = 0;
	check_unsound(0, f, "toy.bytes: id, since or count");
}

static void nested_tables_must_fit_and_be_sound(void **state)
{
	struct field f = toy_fields[3];
	struct field_table broken = ring_table;

	(void)state;
	f.nested = NULL;
	check_unsound(3, f, "toy.rings: wrong nested table");
	f.nested = &toy_table;
	check_unsound(3, f, "toy.rings: wrong nested table");
	broken.field_count = 1;
	f.nested = &broken;
	check_unsound(3, f, "ring: 2 of 4 bytes have no field");
}

static void values_up_to_their_largest_are_legal(void **state)
{
	struct toy toy = {
		.bytes = {9, 9, 9, 9, 9, 9},
		.word = 0x7fff,
		.large = UINT64_MAX - 1,
		.rings = {{256, 256}, {0, 0}},
		.last = UINT32_MAX,
	};
	struct err e;

	(void)state;
	assert_int_equal(field_table_check(&toy_table, &toy, &e), 0);
	assert_int_equal(field_table_check(&toy_table, &toy, NULL), 0);
}

static void check_refused(const struct toy *toy, const char *says)
{
	struct err e = {0};

	assert_int_equal(field_table_check(&toy_table, toy, &e), -EINVAL);
	if (!strstr(e.msg, says))
		fail_msg("\"%s\" has no \"%s\"", e.msg, says);
	assert_int_equal(field_table_check(&toy_table, toy, NULL), -EINVAL);
}

static void values_past_their_largest_are_refused_by_name(void **state)
{
	(void)state;
	check_refused(&(struct toy){.bytes = {0, 0, 0, 0, 0, 10}}, "toy.bytes is 10; the largest");
	check_refused(&(struct toy){.word = 0x8000}, "toy.word is 32768; the largest legal value");
	check_refused(&(struct toy){.large = UINT64_MAX}, "toy.large is 18446744073709551615");
	check_refused(&(struct toy){.rings = {{0, 0}, {257, 0}}}, "toy.rings: ring.size is 257");
}

static void check_of_a_nested_table_is_called_for_each_element(void **state)
{
	(void)state;
	check_refused(&(struct toy){.rings = {{1, 1}, {1, 2}}}, "toy.rings: ring.index is past");
	check_refused(&(struct toy){.rings = {{1, 2}, {1, 1}}}, "toy.rings: ring.index is past");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound_table_is_sound),
		cmocka_unit_test(ids_are_unique_and_not_zero),
		cmocka_unit_test(since_is_between_one_and_the_schema),
		cmocka_unit_test(members_lie_inside_without_overlap_or_hole),
		cmocka_unit_test(nested_tables_must_fit_and_be_sound),
		cmocka_unit_test(values_up_to_their_largest_are_legal),
		cmocka_unit_test(values_past_their_largest_are_refused_by_name),
		cmocka_unit_test(check_of_a_nested_table_is_called_for_each_element),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
