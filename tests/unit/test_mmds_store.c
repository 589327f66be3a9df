/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata object: what is put, merged, refused, and how it is looked up. */
#include "api/mmds/store.h"

#include "tests/unit/lib/cm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct store store;
static struct err e;

static int setup(void **state)
{
	(void)state;
	store_init(&store, 200);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_fini(&store);
	return 0;
}

static int put(const char *text)
{
	return store_put(&store, text, strlen(text), &e);
}

static int patch(const char *text)
{
	return store_patch(&store, text, strlen(text), &e);
}

static void assert_store(const char *want)
{
	char *text = NULL;
	size_t len = 0;

	assert_int_equal(store_print(&store, &text, &len), 0);
	assert_string_equal(text, want);
	assert_int_equal(len, strlen(want));
	free(text);
}

static void assert_get(const char *path, bool as_json, const char *want)
{
	char *text = NULL;
	size_t len = 0;

	assert_int_equal(store_get(&store, path, as_json, &text, &len), 0);
	assert_string_equal(text, want);
	assert_int_equal(len, strlen(want));
	free(text);
}

static int get_error(const char *path, bool as_json)
{
	char *text = NULL;
	size_t len;

	return store_get(&store, path, as_json, &text, &len);
}

static void before_anything_is_put_it_is_empty(void **state)
{
	(void)state;
	assert_store("{}");
	assert_int_equal(get_error("/", true), -ENOENT);
	assert_int_equal(patch("{}"), -ENOENT);
	assert_non_null(strstr(e.msg, "The MMDS data store is not initialized."));
}

static void a_put_replaces_everything(void **state)
{
	(void)state;
	assert_int_equal(put("{\"b\": 1, \"a\": {\"x\": [1, \"two\", null, 2.5]}}"), 0);
	assert_store("{\"a\":{\"x\":[1,\"two\",null,2.5]},\"b\":1}");
	assert_int_equal(put("{}"), 0);
	assert_store("{}");
}

static void only_objects_are_taken(void **state)
{
	static const char *const bad[] = {"", "[]", "1", "\"a\"", "null", "{", "{} {}", "{\"a\":}",
		"\xff", "{\"a\": \"\\u0000\"}"};

	(void)state;
	assert_int_equal(put("{\"a\":1}"), 0);
	for (size_t i = 0; i < NELEM(bad); i++) {
		assert_int_equal(put(bad[i]), -EINVAL);
		assert_non_null(strstr(e.msg, "metadata provided not valid json"));
		assert_int_equal(patch(bad[i]), -EINVAL);
	}
	assert_store("{\"a\":1}");
}

static void every_truncation_is_refused(void **state)
{
	static const char text[] = "{\"a\": {\"b\": [1.5e3, true, \"\\u00e9\"]}}";

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		assert_int_equal(store_put(&store, text, len, &e), -EINVAL);
	assert_int_equal(store_put(&store, text, sizeof(text) - 1, &e), 0);
}

/* The examples of RFC 7396 appendix A whose target is an object. */
static void a_patch_merges_as_the_standard_says(void **state)
{
	static const struct {
		const char *target, *patch, *want;
	} cases[] = {
		{"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
		{"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
		{"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
		{"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
		{"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
		{"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
		{"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
			"{\"a\":{\"b\":\"d\"}}"},
		{"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
		{"{\"e\":null}", "{\"a\":1}", "{\"a\":1,\"e\":null}"},
		{"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
		{"{\"a\":1}", "{\"a\":{\"b\":{\"c\":null,\"d\":2}}}", "{\"a\":{\"b\":{\"d\":2}}}"},
		{"{\"a\":{\"b\":1}}", "{}", "{\"a\":{\"b\":1}}"},
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		assert_int_equal(put(cases[i].target), 0);
		assert_int_equal(patch(cases[i].patch), 0);
		assert_store(cases[i].want);
	}
}

static void the_limit_counts_the_printed_object(void **state)
{
	char text[400];

	(void)state;
	/* {"a":"..."} has 8 bytes beside the string. */
	(void)snprintf(text, sizeof(text), "{  \"a\" :  \"%0192d\"  }", 0);
	assert_int_equal(put(text), 0);
	(void)snprintf(text, sizeof(text), "{\"a\":\"%0193d\"}", 0);
	assert_int_equal(put(text), -EFBIG);
	assert_non_null(strstr(e.msg, "The MMDS patch request doesn't fit."));
	assert_int_equal(patch("{\"b\":1}"), -EFBIG);
	assert_non_null(strstr(e.msg, "The MMDS patch request doesn't fit."));
	(void)snprintf(text, sizeof(text), "{\"a\":\"%0192d\"}", 0);
	assert_store(text);
	assert_int_equal(patch("{\"a\":null,\"b\":1}"), 0);
	assert_store("{\"b\":1}");
}

static void deep_nesting_is_taken_or_refused_but_harmless(void **state)
{
	char *text = malloc(200000);
	char *p = text;

	(void)state;
	for (int i = 0; i < 30000; i++)
		p = stpcpy(p, "{\"a\":");
	p = stpcpy(p, "1");
	for (int i = 0; i < 30000; i++)
		*p++ = '}';
	assert_int_equal(store_put(&store, text, (size_t)(p - text), &e), -EINVAL);
	free(text);
}

static void a_path_leads_through_objects_and_arrays(void **state)
{
	(void)state;
	assert_int_equal(put("{\"a\":{\"b\":\"text\",\"/\":\"s\",\"~\":\"t\",\"\":\"e\"},"
			     "\"l\":[\"x\",{\"y\":\"z\"}],\"n\":5}"),
		0);
	assert_get("/a/b", false, "text");
	assert_get("/a/b/", false, "text");
	assert_get("//a///b", false, "text");
	assert_get("/a/~1", false, "s");
	assert_get("/a/~0", false, "t");
	assert_get("/l/0", false, "x");
	assert_get("/l/1/y", false, "z");
	assert_get("/a/b", true, "\"text\"");
	assert_get("/l", true, "[\"x\",{\"y\":\"z\"}]");
	assert_get("/n", true, "5");
}

static void what_is_not_there_is_not_found(void **state)
{
	static const char *const none[] = {"/b", "/a/b/c", "/l/2", "/l/00", "/l/+1", "/l/-1",
		"/l/x", "/l/1000000000000000000000", "/a/~2", "/a/~", "/l/0/0", "/n/0"};

	(void)state;
	assert_int_equal(put("{\"a\":{\"b\":\"text\"},\"l\":[\"x\",\"y\"],\"n\":5}"), 0);
	for (size_t i = 0; i < NELEM(none); i++)
		assert_int_equal(get_error(none[i], i % 2), -ENOENT);
}

static void text_lists_keys_and_shows_strings(void **state)
{
	(void)state;
	assert_int_equal(put("{\"z\":\"1\",\"o\":{\"k\":{}},\"l\":[1],\"b\":true,\"u\":null,"
			     "\"e\":{}}"),
		0);
	assert_get("/", false, "b\ne/\nl\no/\nu\nz");
	assert_get("/o", false, "k/");
	assert_get("/e", false, "");
	assert_int_equal(get_error("/l", false), -EOPNOTSUPP);
	assert_int_equal(get_error("/l/0", false), -EOPNOTSUPP);
	assert_int_equal(get_error("/b", false), -EOPNOTSUPP);
	assert_int_equal(get_error("/u", false), -EOPNOTSUPP);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(before_anything_is_put_it_is_empty),
		T(a_put_replaces_everything),
		T(only_objects_are_taken),
		T(every_truncation_is_refused),
		T(a_patch_merges_as_the_standard_says),
		T(the_limit_counts_the_printed_object),
		T(deep_nesting_is_taken_or_refused_but_harmless),
		T(a_path_leads_through_objects_and_arrays),
		T(what_is_not_there_is_not_found),
		T(text_lists_keys_and_shows_strings),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("mmds_store", tests, NULL, NULL);
}
