/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walkers over schema tables, with tables of their own that use every kind of row, and what
 * both do with text that is no JSON and with memory that runs out.
 */
#include "api/schema.h"

#include "api/config_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bucket {
	uint64_t size;
	uint8_t weight;
};

struct thing {
	char *name;
	bool flag;
	uint8_t small;
	uint32_t middle;
	uint64_t large;
	uint32_t mode; /* an enum */
	bool fast;     /* an enum of two */
	bool has_bucket;
	struct bucket bucket;
	uint32_t item_count;
	struct bucket items[2];
};

static const struct schema_name mode_names[] = {{"Slow", 7}, {"Fast", 9}, {"Quick", 9}, {NULL, 0}};
static const struct schema_name fast_names[] = {{"No", false}, {"Yes", true}, {NULL, 0}};
static const struct schema_row bucket_rows[] = {
	SCHEMA_UINT("size", struct bucket, size, 0, INT64_MAX, 0, SCHEMA_REQUIRED),
	SCHEMA_UINT("weight", struct bucket, weight, 1, UINT8_MAX, 5, SCHEMA_NULLABLE),
};
static const struct schema bucket_schema = SCHEMA("bucket", bucket_rows, 0);
static const struct schema_row thing_rows[] = {
	SCHEMA_STR("name", struct thing, name, 1, 8, SCHEMA_NULLABLE | SCHEMA_ID),
	SCHEMA_BOOL("flag", struct thing, flag, true, 0),
	SCHEMA_UINT("small", struct thing, small, 0, UINT8_MAX, 1, 0),
	SCHEMA_UINT("middle", struct thing, middle, 0, UINT32_MAX, 2, 0),
	SCHEMA_UINT("large", struct thing, large, 0, UINT64_MAX, 3, 0),
	SCHEMA_ENUM("mode", struct thing, mode, mode_names, 7, SCHEMA_ANY_CASE),
	SCHEMA_ENUM("fast", struct thing, fast, fast_names, false, 0),
	SCHEMA_OBJECT("bucket", struct thing, bucket, has_bucket, &bucket_schema, SCHEMA_NULLABLE),
	SCHEMA_ARRAY("items", struct thing, items, item_count, &bucket_schema, "no more", 0),
};
static const struct schema thing_schema = SCHEMA("thing", thing_rows, 0);

static int thing_parse(const char *text, struct thing *t, struct err *e)
{
	json_t *root = NULL;
	int rc = schema_load_text(text, strlen(text), &root, e);

	memset(t, 0, sizeof(*t));
	if (rc == 0)
		rc = schema_parse(&thing_schema, root, "", t, e);
	json_decref(root);
	return rc;
}

static void absent_keys_get_their_defaults(void **state)
{
	struct thing t;
	struct err e;

	(void)state;
	assert_int_equal(thing_parse("{\"items\":[{\"size\":4}]}", &t, &e), 0);

	assert_null(t.name);
	assert_true(t.flag);
	assert_int_equal(t.small, 1);
	assert_int_equal(t.middle, 2);
	assert_int_equal(t.large, 3);
	assert_int_equal(t.mode, 7);
	assert_false(t.fast || t.has_bucket);
	assert_int_equal(t.item_count, 1);
	assert_int_equal(t.items[0].weight, 5);
}

static void largest_values_fill_their_members_and_no_others(void **state)
{
	struct thing t;
	struct err e;

	(void)state;
	assert_int_equal(thing_parse("{\"small\":255,\"middle\":4294967295,"
				     "\"large\":9223372036854775807,\"mode\":\"quick\","
				     "\"fast\":\"Yes\",\"bucket\":{\"size\":0,\"weight\":255}}",
				 &t, &e),
		0);

	assert_int_equal(t.small, UINT8_MAX);
	assert_int_equal(t.middle, UINT32_MAX);
	assert_int_equal(t.large, INT64_MAX);
	assert_int_equal(t.mode, 9);
	assert_true(t.flag && t.fast && t.has_bucket);
	assert_int_equal(t.bucket.size, 0);
	assert_int_equal(t.bucket.weight, 255);
	assert_int_equal(t.item_count, 0);
}

static void messages_name_the_path_to_the_key(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"{\"small\":256}", "small: 256 is out of range; it must be 0 to 255"},
		{"{\"middle\":4294967296}", "middle: 4294967296 is out of range"},
		{"{\"large\":-1}", "large: -1 is out of range"},
		{"{\"bucket\":{\"size\":-1}}", "bucket.size: -1 is out of range"},
		{"{\"bucket\":{}}", "bucket: missing field `size`"},
		{"{\"items\":[{\"size\":1},{\"size\":1,\"weight\":0}]}", "items[1].weight: 0 is"},
		{"{\"items\":[{},{},{}]}", "items: 3 is too many; the most is 2: no more"},
		{"{\"name\":\"123456789\"}", "name: 9 bytes is too long; at most 8 fit"},
		{"{\"x\":1}", "thing: unknown field `x`, expected one of `name`, `flag`, `small`"},
		{"{\"a\\u0007b\":1}", "unknown field `a?b`"},
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct thing t;
		struct err e = {0};

		assert_int_equal(thing_parse(cases[i].text, &t, &e), -EINVAL);
		if (!strstr(e.msg, cases[i].says))
			fail_msg("%s gave \"%s\"", cases[i].text, e.msg);
	}
}

static void printing_and_parsing_again_changes_nothing(void **state)
{
	static const char text[] =
		"{\"name\": \"n_1\", \"flag\": false, \"small\": 255, \"middle\": 1, \"large\": 0, "
		"\"mode\": \"Fast\", \"fast\": \"Yes\", \"bucket\": {\"size\": 1, \"weight\": 2}, "
		"\"items\": [{\"size\": 3, \"weight\": 4}, {\"size\": 5, \"weight\": 6}]}";
	struct thing t;
	struct err e;
	json_t *printed;
	char *again;

	(void)state;
	assert_int_equal(thing_parse(text, &t, &e), 0);
	printed = schema_print(&thing_schema, &t);
	again = json_dumps(printed, 0);
	assert_string_equal(again, text);
	json_decref(printed);
	free(again);
	free(t.name);
}

static void a_second_value_replaces_an_owned_string(void **state)
{
	struct thing t = {0};
	json_t *one = json_pack("{s:s}", "name", "one"), *two = json_pack("{s:s}", "name", "two");
	struct err e;

	(void)state;
	assert_int_equal(schema_parse(&thing_schema, one, "", &t, &e), 0);
	assert_int_equal(schema_parse(&thing_schema, two, "", &t, &e), 0);
	assert_string_equal(t.name, "two");
	json_decref(one);
	json_decref(two);
	free(t.name);
}

static void broken_json_is_refused_with_its_place(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"", "at line 1 column 0"},
		{"{", "at line 1 column 1"},
		{"{\n\n  \"flag\" 1}", "at line 3 column 10"},
		{"{} x", "end of file expected near 'x' at line 1"},
		{"{\"flag\":true,\"flag\":true}", "duplicate object key"},
		{"{\"bucket\":{\"size\":1,\"size\":1}}", "duplicate object key"},
		{"{\"large\":18446744073709551616}", "invalid type: too big integer"},
		{"{\"flag\":NaN}", "line 1"},
		{"{\"name\":\"\xff\"}", "line 1"},
		{"{\"name\":\"\\u0000\"}", "line 1"},
		{"[]", "thing: invalid type: array, expected an object"},
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct thing t;
		struct err e = {0};

		assert_int_equal(thing_parse(cases[i].text, &t, &e), -EINVAL);
		if (!strstr(e.msg, cases[i].says))
			fail_msg("%s gave \"%s\"", cases[i].text, e.msg);
	}
}

static void deep_nesting_is_refused(void **state)
{
	static char text[100001];
	struct thing t;
	struct err e;

	(void)state;
	memset(text, '[', sizeof(text) - 1);
	assert_int_equal(thing_parse(text, &t, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "depth"));
}

static const char whole_file[] =
	"{\"boot-source\":{\"kernel_image_path\":\"k\",\"initrd_path\":\"i\",\"boot_args\":\"b\"},"
	"\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":\"p\",\"is_root_device\":true,"
	"\"partuuid\":\"u\"}],\"logger\":{\"log_path\":\"l\",\"level\":\"Off\",\"module\":\"m\"},"
	"\"metrics\":{\"metrics_path\":\"x\"},\"vsock\":null,\"pmem\":[]}";

static void file_cut_at_any_byte_is_refused(void **state)
{
	(void)state;
	for (size_t len = 0; len < strlen(whole_file); len++) {
		struct vm_config c;
		struct err e = {0};

		vm_config_init(&c);
		assert_int_equal(config_file_parse(whole_file, len, &c, &e), -EINVAL);
		assert_non_null(strstr(e.msg, " at line 1 column "));
		vm_config_fini(&c);
	}
}

/* Allocations of jansson and of strdup, counted together; the one that brings left to 0 fails. */
static unsigned alloc_left;
static int alloc_held;

static void *counted_malloc(size_t size)
{
	if (alloc_left && --alloc_left == 0)
		return NULL;
	alloc_held++;
	return malloc(size);
}

static void counted_free(void *p)
{
	alloc_held -= p != NULL;
	free(p);
}

/* Stands in front of the C library's, for the whole program. */
char *strdup(const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = NULL;

	if (!alloc_left || --alloc_left != 0)
		copy = malloc(size);
	return copy ? memcpy(copy, s, size) : NULL;
}

static void failure_of_any_allocation_is_reported_and_leaks_nothing(void **state)
{
	unsigned nth = 0;
	int rc;

	(void)state;
	json_set_alloc_funcs(counted_malloc, counted_free);
	do {
		struct vm_config c;
		struct err e = {0};

		alloc_left = ++nth;
		vm_config_init(&c);
		rc = config_file_parse(whole_file, strlen(whole_file), &c, &e);
		if (rc != 0)
			assert_true(e.code == rc && e.msg[0]);
		else
			assert_true(c.kernel_image_path && c.initrd_path && c.boot_args &&
				    c.drives[0].drive_id && c.drives[0].path_on_host &&
				    c.drives[0].partuuid && c.log_path && c.log_module &&
				    c.metrics_path);
		vm_config_fini(&c);
		assert_int_equal(alloc_held, 0);
	} while (rc != 0 && nth < 1000);
	json_set_alloc_funcs(malloc, free);
	alloc_left = 0;

	assert_int_equal(rc, 0);
	assert_true(nth > 60);
}

static void printing_without_memory_gives_nothing_and_leaks_nothing(void **state)
{
	struct thing t = {.has_bucket = true, .item_count = 2, .mode = 7};
	json_t *printed = NULL;
	unsigned nth = 0;

	(void)state;
	json_set_alloc_funcs(counted_malloc, counted_free);
	while (!printed && nth < 1000) {
		assert_int_equal(alloc_held, 0);
		alloc_left = ++nth;
		printed = schema_print(&thing_schema, &t);
	}
	json_decref(printed);
	json_set_alloc_funcs(malloc, free);
	alloc_left = 0;

	assert_true(nth > 20 && nth < 1000);
	assert_int_equal(alloc_held, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absent_keys_get_their_defaults),
		cmocka_unit_test(largest_values_fill_their_members_and_no_others),
		cmocka_unit_test(messages_name_the_path_to_the_key),
		cmocka_unit_test(printing_and_parsing_again_changes_nothing),
		cmocka_unit_test(a_second_value_replaces_an_owned_string),
		cmocka_unit_test(broken_json_is_refused_with_its_place),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(file_cut_at_any_byte_is_refused),
		cmocka_unit_test(failure_of_any_allocation_is_reported_and_leaks_nothing),
		cmocka_unit_test(printing_without_memory_gives_nothing_and_leaks_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
