/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state schema as text, and the kept copy of it: a change of any state struct must show up as
 * a change of tests/golden/state-schema.txt. Runs in the top folder of the sources.
 */
#include "snapshot/describe.h"

#include "vmm/base/io.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN_PATH "tests/golden/state-schema.txt"

struct inner {
	uint16_t a;
	uint8_t b[2];
};

struct outer {
	uint32_t x;
	struct inner one;
	struct inner two[3];
};

static const struct field inner_fields[] = {
	FIELD(1, 1, struct inner, a, 256),
	FIELD_ARRAY(2, 1, struct inner, b, 0),
};
static const struct field_table inner_table =
	FIELD_TABLE("inner", struct inner, inner_fields, NULL);

static const struct field outer_fields[] = {
	FIELD(3, 1, struct outer, x, 0),
	FIELD_STRUCT(1, 1, struct outer, one, &inner_table),
	FIELD_STRUCT_ARRAY(2, 1, struct outer, two, &inner_table),
};
static const struct field_table outer_table =
	FIELD_TABLE("outer", struct outer, outer_fields, NULL);

static void nested_table_stands_once_before_its_holder(void **state)
{
	const struct field_table *const tables[] = {&outer_table, &inner_table};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct err e;

	(void)state;
	assert_int_equal(describe_state(out, tables, NELEM(tables), &e), 0);
	(void)fclose(out);
	assert_string_equal(text, "schema 1\n"
				  "table inner size=4\n"
				  "inner.a id=1 since=1 type=u16 count=1 max=256\n"
				  "inner.b id=2 since=1 type=u8 count=2 max=0\n"
				  "table outer size=20\n"
				  "outer.x id=3 since=1 type=u32 count=1 max=0\n"
				  "outer.one id=1 since=1 type=inner count=1 max=0\n"
				  "outer.two id=2 since=1 type=inner count=3 max=0\n");
	free(text);
}

static void unsound_table_is_not_described(void **state)
{
	struct field_table holed = outer_table;
	const struct field_table *tables[] = {&inner_table, &holed};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct err e;

	(void)state;
	holed.field_count--;
	assert_int_equal(describe_state(out, tables, NELEM(tables), &e), -EINVAL);
	(void)fclose(out);
	assert_int_equal(len, 0);
	assert_non_null(strstr(e.msg, "outer: 12 of 20 bytes have no field"));
	free(text);
}

static void full_disk_is_an_error(void **state)
{
	const struct field_table *const tables[] = {&inner_table};
	FILE *out = fopen("/dev/full", "w");
	struct err e;

	(void)state;
	assert_non_null(out);
	assert_int_equal(describe_state(out, tables, 1, &e), -EIO);
	(void)fclose(out);
}

static void state_schema_is_the_golden_one(void **state)
{
	char *text = NULL, *golden = NULL;
	size_t len = 0, golden_len = 0, same = 0;
	FILE *out = open_memstream(&text, &len);
	struct err e = {0};

	(void)state;
	if (describe_snapshot_state(out, &e) != 0)
		fail_msg("%s", e.msg);
	(void)fclose(out);
	if (io_read_file(GOLDEN_PATH, MIB, &golden, &golden_len, &e) != 0)
		fail_msg("%s", e.msg);
	while (same < len && text[same] == golden[same])
		same++;
	if (len != golden_len || same < len)
		fail_msg("the state schema changed; if that is meant: make golden.\n"
			 "now:    %.100s\ngolden: %.100s",
			text + same, golden + same);
	free(text);
	free(golden);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nested_table_stands_once_before_its_holder),
		cmocka_unit_test(unsound_table_is_not_described),
		cmocka_unit_test(full_disk_is_an_error),
		cmocka_unit_test(state_schema_is_the_golden_one),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
