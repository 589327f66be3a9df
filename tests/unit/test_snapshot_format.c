/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state file: what is written comes back; what other versions wrote is read or refused by the
 * rules; and of a damaged file nothing is believed.
 */
#include "snapshot/format_wire.h"
#include "tests/unit/lib/cm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECTION 7u

struct inner {
	uint32_t a, b;
};
struct outer {
	uint64_t big;
	uint16_t small;
	uint8_t text[6];
	struct inner one;
	struct inner many[4];
};

static const struct field inner_fields[] = {
	FIELD(1, 1, struct inner, a, 0),
	FIELD(2, 1, struct inner, b, 100),
};
static const struct field_table inner_table =
	FIELD_TABLE("inner", struct inner, inner_fields, NULL);
static const struct field outer_fields[] = {
	FIELD(1, 1, struct outer, big, 0),
	FIELD(2, 1, struct outer, small, 0),
	FIELD_ARRAY(3, 1, struct outer, text, 0),
	FIELD_STRUCT(4, 1, struct outer, one, &inner_table),
	FIELD_STRUCT_ARRAY(5, 1, struct outer, many, &inner_table),
};
static const struct field_table outer_table =
	FIELD_TABLE("outer", struct outer, outer_fields, NULL);

/* What a later version might have: a field more, which an older reader may or may not skip. */
static const struct field newer_fields[] = {
	FIELD(1, 1, struct inner, a, 0),
	FIELD(9, 2, struct inner, b, 0),
};
static const struct field_table newer_table =
	FIELD_TABLE("inner", struct inner, newer_fields, NULL);
static const struct field optional_fields[] = {
	FIELD(1, 1, struct inner, a, 0),
	{.name = "b",
		.id = 9,
		.since = 2,
		.type = FIELD_TYPE_U32,
		.optional = 1,
		.offset = 4,
		.size = 4,
		.count = 1},
};
static const struct field_table optional_table =
	FIELD_TABLE("inner", struct inner, optional_fields, NULL);

static struct {
	uint8_t *data;
	size_t len;
	struct snapshot_reader reader;
	struct err e;
} f;

static bool known(uint32_t id)
{
	return id <= SECTION;
}

static int tear_down(void **state)
{
	(void)state;
	free(f.data);
	f.data = NULL;
	return 0;
}

static void write_file(const struct field_table *t, const void *what)
{
	struct snapshot_writer w;

	snapshot_begin(&w);
	snapshot_put_bytes(&w, 2, 0, 0, "bytes", "hello", 5);
	snapshot_put_table(&w, SECTION, 0, t, what);
	free(f.data);
	assert_int_equal(snapshot_finish(&w, &f.data, &f.len, NULL), 0);
}

/* After a change of the bytes, so that the change itself is looked at. */
static void fix_checksum(void)
{
	uint64_t crc = snapshot_crc(0, f.data, f.len - sizeof(crc));

	memcpy(f.data + f.len - sizeof(crc), &crc, sizeof(crc));
}

static void set_schema(uint32_t schema)
{
	memcpy(f.data + offsetof(struct wire_header, schema), &schema, sizeof(schema));
	fix_checksum();
}

static int open_file(void)
{
	return snapshot_open(&f.reader, f.data, f.len, known, &f.e);
}

static int read_table(const struct field_table *t, void *ret)
{
	int rc = open_file();

	return rc == 0 ? snapshot_get_table(&f.reader, SECTION, 0, t, ret, &f.e) : rc;
}

static const struct outer sample = {.big = 1ull << 63,
	.small = 7,
	.text = {'a', 0, 'c'},
	.one = {1, 2},
	.many = {{3, 4}, {0, 0}, {5, 6}}};

static void what_is_written_comes_back(void **state)
{
	struct outer got = {0};

	(void)state;
	write_file(&outer_table, &sample);
	assert_int_equal(read_table(&outer_table, &got), 0);
	assert_memory_equal(&got, &sample, sizeof(got));
	assert_int_equal(snapshot_find(&f.reader, 2, 0)->len, 5);
	assert_memory_equal(snapshot_find(&f.reader, 2, 0)->data, "hello", 5);
	assert_string_equal(snapshot_find(&f.reader, SECTION, 0)->name, "outer");
	assert_null(snapshot_find(&f.reader, SECTION, 1));
}

static void zeroes_at_the_end_of_an_array_take_no_room(void **state)
{
	struct outer zero = {0}, got = {0};
	size_t full;

	(void)state;
	write_file(&outer_table, &sample);
	full = f.len;
	write_file(&outer_table, &zero);
	assert_true(f.len < full);
	memset(&got, 0xff, sizeof(got));
	assert_int_equal(read_table(&outer_table, &got), 0);
	assert_memory_equal(&got, &zero, sizeof(got));
}

static void file_cut_anywhere_is_refused(void **state)
{
	struct outer got = {0};
	size_t whole;

	(void)state;
	write_file(&outer_table, &sample);
	whole = f.len;
	for (size_t len = 0; len < whole; len++) {
		uint8_t *cut = malloc(len ? len : 1); /* so that a sanitizer sees the end */

		memcpy(cut, f.data, len);
		assert_int_equal(snapshot_open(&f.reader, cut, len, known, &f.e), -EINVAL);
		free(cut);
	}
	f.len = whole;
	assert_int_equal(read_table(&outer_table, &got), 0);
}

static void empty_file_is_too_short(void **state)
{
	(void)state;
	assert_int_equal(snapshot_open(&f.reader, (const uint8_t *)"", 0, known, &f.e), -EINVAL);
	assert_non_null(strstr(f.e.msg, "too short"));
}

static void every_flipped_bit_is_seen(void **state)
{
	(void)state;
	write_file(&outer_table, &sample);
	for (size_t bit = 0; bit < f.len * 8; bit++) {
		f.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(open_file(), -EINVAL);
		f.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(open_file(), 0);
}

/* With the checksum put right, too: whatever a number is changed to, nothing is read outside. */
static void changed_bytes_are_never_believed(void **state)
{
	static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	struct outer got = {0};
	uint8_t old;

	(void)state;
	write_file(&outer_table, &sample);
	for (size_t at = 0; at < f.len - 8; at++) {
		old = f.data[at];
		for (size_t v = 0; v < NELEM(values); v++) {
			f.data[at] = values[v];
			fix_checksum();
			(void)!read_table(&outer_table, &got);
		}
		f.data[at] = old;
	}
	fix_checksum();
	assert_int_equal(read_table(&outer_table, &got), 0);
}

static void field_out_of_bounds_is_refused_by_name(void **state)
{
	struct outer bad = sample, got = {0};

	(void)state;
	bad.one.b = 101;
	write_file(&outer_table, &bad);
	assert_int_equal(read_table(&outer_table, &got), -EINVAL);
	assert_non_null(strstr(f.e.msg, "inner.b is 101"));
}

static void field_that_an_older_writer_did_not_know_is_zero(void **state)
{
	struct inner got = {9, 9}, old = {5, 0};

	(void)state;
	write_file(&inner_table, &old);
	/* Schema 1 has ids 1 and 2: to this reader 2 is gone, and 9 came with schema 2. */
	assert_int_equal(read_table(&newer_table, &got), 0);
	assert_int_equal(got.a, 5);
	assert_int_equal(got.b, 0);
}

static void missing_field_of_the_writers_schema_is_refused(void **state)
{
	struct inner got = {0}, old = {5, 0};

	(void)state;
	write_file(&inner_table, &old);
	set_schema(2);
	assert_int_equal(read_table(&newer_table, &got), -EINVAL);
	assert_non_null(strstr(f.e.msg, "inner.b is missing"));
}

static void unknown_required_field_of_a_newer_writer_is_refused_by_its_name(void **state)
{
	struct inner got = {0}, newer = {5, 6};

	(void)state;
	write_file(&newer_table, &newer);
	set_schema(FIELD_SCHEMA_VERSION + 1);
	f.reader.schema = 0;
	assert_int_equal(read_table(&inner_table, &got), -EINVAL);
	assert_non_null(strstr(f.e.msg, "inner.b (field 9) is not known"));
}

static const struct field first_fields[] = {
	FIELD(1, 1, struct inner, a, 0), FIELD(2, FIELD_SCHEMA_VERSION + 2, struct inner, b, 0)};
static const struct field_table first_table =
	FIELD_TABLE("inner", struct inner, first_fields, NULL);

static void unknown_field_that_may_be_left_out_is_skipped(void **state)
{
	struct inner got = {0}, newer = {5, 6};

	(void)state;
	write_file(&optional_table, &newer);
	set_schema(FIELD_SCHEMA_VERSION + 1);
	assert_int_equal(read_table(&first_table, &got), 0);
	assert_int_equal(got.a, 5);
	assert_int_equal(got.b, 0);
}

static void unknown_field_that_is_zero_is_skipped(void **state)
{
	struct inner got = {0}, newer = {5, 0};

	(void)state;
	write_file(&newer_table, &newer);
	set_schema(FIELD_SCHEMA_VERSION + 1);
	assert_int_equal(read_table(&first_table, &got), 0);
	assert_int_equal(got.a, 5);
}

static void section_of_a_newer_version(uint32_t flags)
{
	struct snapshot_writer w;

	snapshot_begin(&w);
	snapshot_put_bytes(&w, 99, 0, flags, "balloon", "x", 1);
	snapshot_put_table(&w, SECTION, 0, &outer_table, &sample);
	free(f.data);
	assert_int_equal(snapshot_finish(&w, &f.data, &f.len, NULL), 0);
}

static void unknown_sections_are_skipped_or_refused_by_name(void **state)
{
	struct outer got = {0};

	(void)state;
	section_of_a_newer_version(0);
	assert_int_equal(read_table(&outer_table, &got), 0);
	section_of_a_newer_version(SNAPSHOT_REQUIRED);
	assert_int_equal(open_file(), -EINVAL);
	assert_non_null(strstr(f.e.msg, "section balloon (99)"));
}

static void section_that_comes_twice_is_refused(void **state)
{
	struct snapshot_writer w;

	(void)state;
	snapshot_begin(&w);
	snapshot_put_bytes(&w, 3, 1, 0, "x", "", 0);
	snapshot_put_bytes(&w, 3, 1, 0, "x", "", 0);
	assert_int_equal(snapshot_finish(&w, &f.data, &f.len, NULL), 0);
	assert_int_equal(open_file(), -EINVAL);
	assert_non_null(strstr(f.e.msg, "twice"));
}

static void missing_section_is_named(void **state)
{
	struct outer got = {0};

	(void)state;
	write_file(&outer_table, &sample);
	assert_int_equal(open_file(), 0);
	assert_int_equal(snapshot_get_table(&f.reader, 5, 3, &outer_table, &got, &f.e), -ENOENT);
	assert_non_null(strstr(f.e.msg, "outer[3] is missing"));
}

static void other_formats_and_files_are_refused(void **state)
{
	uint32_t format = SNAPSHOT_FORMAT + 1;

	(void)state;
	write_file(&outer_table, &sample);
	memcpy(f.data + offsetof(struct wire_header, format), &format, sizeof(format));
	fix_checksum();
	assert_int_equal(open_file(), -EINVAL);
	assert_non_null(strstr(f.e.msg, "format 2"));
	f.data[0] ^= 1;
	assert_int_equal(open_file(), -EINVAL);
	assert_non_null(strstr(f.e.msg, "not a state file"));
}

static void checksum_is_the_standard_one(void **state)
{
	(void)state;
	assert_true(snapshot_crc(0, "123456789", 9) == 0x995dc9bbdf1939faull); /* CRC-64/XZ */
	assert_true(snapshot_crc(snapshot_crc(0, "1234", 4), "56789", 5) == 0x995dc9bbdf1939faull);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_is_written_comes_back, tear_down),
		cmocka_unit_test_teardown(zeroes_at_the_end_of_an_array_take_no_room, tear_down),
		cmocka_unit_test_teardown(file_cut_anywhere_is_refused, tear_down),
		cmocka_unit_test(empty_file_is_too_short),
		cmocka_unit_test_teardown(every_flipped_bit_is_seen, tear_down),
		cmocka_unit_test_teardown(changed_bytes_are_never_believed, tear_down),
		cmocka_unit_test_teardown(field_out_of_bounds_is_refused_by_name, tear_down),
		cmocka_unit_test_teardown(
			field_that_an_older_writer_did_not_know_is_zero, tear_down),
		cmocka_unit_test_teardown(
			missing_field_of_the_writers_schema_is_refused, tear_down),
		cmocka_unit_test_teardown(
			unknown_required_field_of_a_newer_writer_is_refused_by_its_name, tear_down),
		cmocka_unit_test_teardown(unknown_field_that_may_be_left_out_is_skipped, tear_down),
		cmocka_unit_test_teardown(unknown_field_that_is_zero_is_skipped, tear_down),
		cmocka_unit_test_teardown(
			unknown_sections_are_skipped_or_refused_by_name, tear_down),
		cmocka_unit_test_teardown(section_that_comes_twice_is_refused, tear_down),
		cmocka_unit_test_teardown(missing_section_is_named, tear_down),
		cmocka_unit_test_teardown(other_formats_and_files_are_refused, tear_down),
		cmocka_unit_test(checksum_is_the_standard_one),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("snapshot_format", tests, NULL, NULL);
}
