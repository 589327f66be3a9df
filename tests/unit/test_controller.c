/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of endpoints as a whole: routes, phases, bodies, and that a request which fails has
 * changed nothing. What single handlers do is in test_handlers.c.
 */
#include "tests/unit/lib/api.h"
#include "tests/unit/lib/cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char disk[] = "/tmp/mayfly-test-disk-XXXXXX";

/* For each endpoint that takes a body, one that its schema takes. %s is a file that is there. */
static const struct {
	const char *method, *path, *body;
} valid[] = {
	{"PATCH", "/vm", "{\"state\":\"Paused\"}"},
	{"PUT", "/actions", "{\"action_type\":\"InstanceStart\"}"},
	{"PUT", "/boot-source",
		"{\"kernel_image_path\":\"%s\",\"initrd_path\":null,\"boot_args\":\"a\"}"},
	{"PUT", "/cpu-config",
		"{\"kvm_capabilities\":[\"!56\"],\"cpuid_modifiers\":[],\"msr_modifiers\":[]}"},
	{"PUT", "/machine-config",
		"{\"vcpu_count\":2,\"mem_size_mib\":9000000000000,\"smt\":true,"
		"\"cpu_template\":\"T2\",\"track_dirty_pages\":true,\"huge_pages\":\"2M\"}"},
	{"PATCH", "/machine-config",
		"{\"vcpu_count\":4,\"mem_size_mib\":9000000000000,\"smt\":false,"
		"\"cpu_template\":\"None\",\"track_dirty_pages\":true,\"huge_pages\":\"None\"}"},
	{"PUT", "/drives/{drive_id}",
		"{\"drive_id\":\"one\",\"is_root_device\":true,\"path_on_host\":\"%s\","
		"\"partuuid\":\"p\",\"is_read_only\":true,\"cache_type\":\"Writeback\","
		"\"io_engine\":\"Sync\",\"socket\":null,\"rate_limiter\":{\"ops\":{\"size\":1,"
		"\"refill_time\":1},\"bandwidth\":null}}"},
	{"PATCH", "/drives/{drive_id}", "{\"drive_id\":\"one\",\"path_on_host\":\"%s\"}"},
	{"PUT", "/network-interfaces/{iface_id}",
		"{\"iface_id\":\"one\",\"passt_socket\":\"/p\",\"guest_mac\":"
		"\"02:00:00:00:00:01\",\"mtu\":1500,\"rx_rate_limiter\":null}"},
	{"PATCH", "/network-interfaces/{iface_id}",
		"{\"iface_id\":\"one\",\"rx_rate_limiter\":{\"ops\":null}}"},
	{"PUT", "/vsock", "{\"guest_cid\":3,\"uds_path\":\"/nowhere/v\",\"vsock_id\":\"v\"}"},
	{"PUT", "/entropy", "{\"rate_limiter\":{\"ops\":{\"size\":1,\"refill_time\":1}}}"},
	{"PUT", "/serial",
		"{\"serial_out_path\":\"/dev/null\",\"rate_limiter\":{\"size\":1,\"refill_time\":1}"
		"}"},
	{"PUT", "/logger",
		"{\"level\":\"Off\",\"show_level\":true,\"show_log_origin\":true,\"module\":"
		"\"m\"}"},
	{"PUT", "/metrics", "{\"metrics_path\":\"/dev/null\",\"emit_id\":true}"},
	{"PUT", "/mmds", "{\"a\":1}"},
	{"PATCH", "/mmds", "{\"a\":2}"},
	{"PUT", "/mmds/config", "{\"network_interfaces\":[\"one\"],\"version\":\"V2\"}"},
	{"PUT", "/pmem/{id}", "{\"id\":\"one\",\"path_on_host\":\"%s\",\"root_device\":true}"},
	{"PATCH", "/pmem/{id}", "{\"id\":\"one\",\"rate_limiter\":{\"ops\":null}}"},
	{"PUT", "/balloon", "{\"amount_mib\":1,\"deflate_on_oom\":true}"},
	{"PATCH", "/balloon", "{\"amount_mib\":1}"},
	{"PATCH", "/balloon/statistics", "{\"stats_polling_interval_s\":1}"},
	{"PATCH", "/balloon/hinting/start", "{\"acknowledge_on_stop\":true}"},
	{"PUT", "/hotplug/memory", "{\"total_size_mib\":1024,\"slot_size_mib\":null}"},
	{"PATCH", "/hotplug/memory", "{\"requested_size_mib\":1}"},
	{"PUT", "/snapshot/create", "{\"snapshot_path\":\"s\",\"mem_file_path\":\"m\"}"},
	{"PUT", "/snapshot/fork", "{\"socket_path\":\"/nowhere/s\",\"children\":2}"},
	{"PUT", "/snapshot/load",
		"{\"snapshot_path\":\"s\",\"mem_backend\":{\"backend_type\":\"File\","
		"\"backend_path\":\"m\"},\"network_overrides\":[{\"iface_id\":\"a\","
		"\"host_dev_name\":\"b\"}]}"},
};

/* The valid body of an endpoint as JSON; NULL: it takes none. */
static json_t *valid_body(const struct endpoint *p)
{
	char text[2048];
	json_t *j;

	for (size_t i = 0; i < NELEM(valid); i++) {
		const char *body = valid[i].body, *at = strstr(body, "%s");

		if (strcmp(valid[i].method, p->method) != 0 || strcmp(valid[i].path, p->path) != 0)
			continue;
		if (at)
			(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - body), body, disk,
				at + 2);
		j = json_loads(at ? text : body, 0, NULL);
		assert_non_null(j);
		return j;
	}
	return NULL;
}

/* The path with its variable part filled in. */
static const char *path_of(const struct endpoint *p)
{
	static char path[256];
	const char *open = strchr(p->path, '{');

	if (!open)
		return p->path;
	(void)snprintf(path, sizeof(path), "%.*sone", (int)(open - p->path), p->path);
	return path;
}

static int setup(void **state)
{
	(void)state;
	(void)api_init();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	api_fini();
	return 0;
}

static void every_endpoint_with_a_body_is_tried_here(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < endpoint_count; i++) {
		json_t *j = valid_body(&endpoint_table[i]);

		if ((j != NULL) != (endpoint_table[i].body != ENDPOINT_NO_BODY))
			fail_msg("%s %s", endpoint_table[i].method, endpoint_table[i].path);
		json_decref(j);
	}
}

static void endpoints_are_found_once_and_have_a_handler_or_a_reason(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < endpoint_count; i++) {
		const struct endpoint *p = &endpoint_table[i];
		char id[ENDPOINT_ID_SIZE];
		struct err e;

		assert_ptr_equal(endpoint_find(p->method, path_of(p), id, &e), p);
		assert_string_equal(id, strchr(p->path, '{') ? "one" : "");
		assert_true((p->fn != NULL) != (p->later != NULL));
	}
}

static void other_methods_and_paths_are_refused(void **state)
{
	static const char *const cases[][2] = {{"PATCH", "/boot-source"}, {"PATCH", "/logger"},
		{"GET", "/boot-source"}, {"POST", "/balloon/hinting/start"}, {"PUT", "/"},
		{"PUT", "/drive/one"}, {"PUT", "/drives/one/two"}, {"put", "/vsock"}, {"PUT", ""},
		{"GET", "/vm/configs"}, {"GET", "/versio"}};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		assert_int_equal(api_send(cases[i][0], cases[i][1], "{}"), 400);
		if (!strstr(api_body(), "\"fault_message\":\"Invalid request method and/or path: "))
			fail_msg("%s %s: %s", cases[i][0], cases[i][1], api_body());
	}
}

static void ids_of_paths_have_rules(void **state)
{
	static const char *const bad[] = {"/drives/", "/drives", "/drives/a-b", "/drives/a.b",
		"/drives/\xc3\xa4", "/drives/%61"};
	char longest[ENDPOINT_ID_SIZE + 16] = "/drives/";

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		assert_int_equal(api_send("PUT", bad[i], "{}"), 400);
		assert_non_null(strstr(api_body(), "PUT /drives/{drive_id}: the id"));
	}
	memset(longest + 8, 'a', ENDPOINT_ID_SIZE);
	assert_int_equal(api_send("PUT", longest, "{}"), 400);
	assert_non_null(strstr(api_body(), "is not one"));
	longest[8 + ENDPOINT_ID_SIZE - 1] = '\0';
	assert_int_equal(api_send("PUT", longest, "{}"), 400);
	assert_non_null(strstr(api_body(), "missing field"));
}

static void a_slash_at_the_end_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(api_send("GET", "/machine-config/", NULL), 200);
	assert_int_equal(api_send("PATCH", "/drives/one/", "{\"drive_id\":\"one\"}"), 400);
	assert_non_null(strstr(api_body(), "not supported before starting"));
}

static void id_of_the_body_is_that_of_the_path(void **state)
{
	(void)state;
	assert_int_equal(api_send("PUT", "/drives/one",
				 "{\"drive_id\":\"two\",\"is_root_device\":false,"
				 "\"path_on_host\":\"/dev/null\"}"),
		400);
	assert_non_null(strstr(api_body(),
		"The id from the path [one] does not match the id from the body [two]!"));
}

static void bodies_are_there_where_they_belong(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < endpoint_count; i++) {
		const struct endpoint *p = &endpoint_table[i];

		if (p->body == ENDPOINT_NO_BODY) {
			assert_int_equal(api_send(p->method, path_of(p), "{}"), 400);
			assert_non_null(strstr(api_body(), "cannot have a body"));
		} else if (p->body == ENDPOINT_BODY) {
			assert_int_equal(api_send(p->method, path_of(p), NULL), 400);
			assert_non_null(strstr(api_body(), "Empty "));
		}
	}
}

/* The phase comes after the body, and before everything else. */
static void endpoints_answer_in_their_phase_only(void **state)
{
	static const enum api_state states[] = {API_NOT_STARTED, API_RUNNING, API_PAUSED};

	(void)state;
	for (uint32_t i = 0; i < 3 * endpoint_count; i++) {
		const struct endpoint *p = &endpoint_table[i / 3];
		bool started = states[i % 3] != API_NOT_STARTED;
		json_t *j = valid_body(p);
		char *text = j ? json_dumps(j, 0) : NULL;
		const char *says = started ? "not supported after starting the microVM."
					   : "not supported before starting the microVM.";

		if (!(p->phases & (started ? ENDPOINT_POST : ENDPOINT_PRE))) {
			api_phase(states[i % 3]);
			assert_int_equal(api_send(p->method, path_of(p), text), 400);
			assert_non_null(strstr(api_body(), says));
		}
		free(text);
		json_decref(j);
	}
	api_phase(API_NOT_STARTED);
}

static void missing_features_are_named_after_body_and_phase(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < endpoint_count; i++) {
		const struct endpoint *p = &endpoint_table[i];
		json_t *j = valid_body(p);
		char *text = j ? json_dumps(j, 0) : NULL;

		if (p->later) {
			api_phase(p->phases & ENDPOINT_PRE ? API_NOT_STARTED : API_RUNNING);
			assert_int_equal(api_send(p->method, path_of(p), text), 400);
			assert_non_null(strstr(api_body(), p->later));
			assert_non_null(strstr(api_body(), "not supported by this version"));
		}
		free(text);
		json_decref(j);
	}
	api_phase(API_NOT_STARTED);
}

/* ---- requests that fail ---- */

/* If it fails, the configuration is what it was. Returns whether it failed. */
static bool send_and_compare(const struct endpoint *p, const char *body)
{
	char *before = api_config(), *after;
	int status = api_send(p->method, path_of(p), body);
	bool failed = status >= 400;

	assert_true(failed ? strstr(api_body(), "{\"fault_message\":\"") == api_body()
			   : status == 204 || status == 200);
	after = api_config();
	if (failed && strcmp(before, after) != 0)
		fail_msg("%s %s %s\n  from %s\n  to   %s", p->method, p->path, body, before, after);
	free(before);
	free(after);
	return failed;
}

/* Each value of obj, at any depth, replaced by each of the broken ones. */
static void break_each_value(const struct endpoint *p, json_t *root, json_t *obj)
{
	static const char *const broken[] = {"null", "true", "-1", "0", "1.5", "\"\"", "\"x\"",
		"[]", "[1]", "{}", "{\"a\":1}", "9223372036854775807", "\"\\u00e4/../\""};
	const char *key;
	json_t *v;
	void *next;

	json_object_foreach_safe(obj, next, key, v)
	{
		json_incref(v);
		for (size_t i = 0; i < NELEM(broken); i++) {
			char *text;

			(void)json_object_set_new(
				obj, key, json_loads(broken[i], JSON_DECODE_ANY, NULL));
			text = json_dumps(root, 0);
			(void)send_and_compare(p, text);
			free(text);
		}
		(void)json_object_set(obj, key, v);
		if (json_is_object(v))
			break_each_value(p, root, v);
		json_decref(v);
	}
}

static void break_endpoint(const struct endpoint *p)
{
	static const char *const texts[] = {"{", "}", "[]", "null", "1", "\"x\"", "{\"a\":}",
		"{\"nope\":1}", "{\"a\":1,\"a\":1}", "\xff\xfe", "{\"x\":18446744073709551616}",
		"{} {}"};
	json_t *j = valid_body(p);

	if (!j)
		return;
	for (size_t i = 0; i < NELEM(texts); i++)
		assert_true(send_and_compare(p, texts[i]) || !p->schema);
	break_each_value(p, j, j);
	json_decref(j);
}

static void requests_that_fail_change_nothing(void **state)
{
	static const enum api_state states[] = {API_NOT_STARTED, API_RUNNING, API_PAUSED};

	(void)state;
	for (size_t s = 0; s < NELEM(states); s++) {
		for (uint32_t i = 0; i < endpoint_count; i++) {
			api_phase(states[s]);
			break_endpoint(&endpoint_table[i]);
		}
	}
	api_phase(API_NOT_STARTED);
}

static void requests_are_counted_and_so_are_those_that_fail(void **state)
{
	struct controller *c;

	(void)state;
	api_fini();
	c = api_init();
	(void)api_send("GET", "/", NULL);
	(void)api_send("PUT", "/machine-config", "{\"vcpu_count\":1,\"mem_size_mib\":1}");
	(void)api_send("PUT", "/machine-config", "{\"vcpu_count\":0,\"mem_size_mib\":1}");
	(void)api_send("PUT", "/vsock",
		"{\"guest_cid\":3,\"uds_path\":\"/nowhere/v\",\"vsock_id\":\"v\"}");
	assert_int_equal(c->counters.get.instance_info_count, 1);
	assert_int_equal(c->counters.put.machine_cfg_count, 2);
	assert_int_equal(c->counters.put.machine_cfg_fails, 1);
	assert_int_equal(c->counters.put.vsock_count, 1);
	assert_int_equal(c->counters.put.vsock_fails, 0);
	assert_int_equal(c->counters.deprecated_http_api_calls, 1);
}

/* A path that is no UTF-8 cannot be said in JSON as it is. */
static void faults_are_json_whatever_they_quote(void **state)
{
	char path[600];

	(void)state;
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	for (size_t at = 150; at < 260; at++) {
		json_t *j;

		memcpy(path + at, "\xc3\xa4", 2);
		path[sizeof(path) - 1] = '\0';
		assert_int_equal(api_send("GET", path, NULL), 400);
		j = json_loads(api_body(), 0, NULL);
		assert_non_null(j);
		json_decref(j);
		memcpy(path + at, "aa", 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_endpoint_with_a_body_is_tried_here),
		cmocka_unit_test(endpoints_are_found_once_and_have_a_handler_or_a_reason),
		cmocka_unit_test(other_methods_and_paths_are_refused),
		cmocka_unit_test(ids_of_paths_have_rules),
		cmocka_unit_test(a_slash_at_the_end_changes_nothing),
		cmocka_unit_test(id_of_the_body_is_that_of_the_path),
		cmocka_unit_test(bodies_are_there_where_they_belong),
		cmocka_unit_test(endpoints_answer_in_their_phase_only),
		cmocka_unit_test(missing_features_are_named_after_body_and_phase),
		cmocka_unit_test(requests_that_fail_change_nothing),
		cmocka_unit_test(requests_are_counted_and_so_are_those_that_fail),
		cmocka_unit_test(faults_are_json_whatever_they_quote),
	};
	char dir[] = "/tmp/mayfly-test-dir-XXXXXX";
	int fd = mkstemp(disk), failed;

	/* Some of the broken bodies name a file "x" for output, which is made. */
	if (fd < 0 || ftruncate(fd, 1 << 20) < 0 || !mkdtemp(dir) || chdir(dir) < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	failed = cmocka_run_group_tests(tests, setup, teardown);
	(void)close(fd);
	(void)unlink(disk);
	(void)unlink("x");
	(void)rmdir(dir);
	return failed;
}
