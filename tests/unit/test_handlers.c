/* SPDX-License-Identifier: Apache-2.0 */
/* What single endpoints of the API do, before a start and without a machine. */
#include "api/handle.h"
#include "tests/unit/lib/api.h"
#include "tests/unit/lib/cm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char disk[] = "/tmp/mayfly-test-disk-XXXXXX";
static struct controller *c;

static int setup(void **state)
{
	(void)state;
	c = api_init();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	api_fini();
	return 0;
}

/* The request fails, and the fault has says in it. */
static void refuses(const char *method, const char *path, const char *body, const char *says)
{
	int status = api_send(method, path, body);

	if (status != 400 || !strstr(api_body(), says))
		fail_msg("%s %s %s\n  gave %d %s\n  not %s", method, path, body, status, api_body(),
			says);
}

static void accepts(const char *method, const char *path, const char *body)
{
	if (api_send(method, path, body) != 204)
		fail_msg("%s %s %s gave %s", method, path, body, api_body());
}

/* GET /vm/config has the text in it. */
static void shows(const char *text)
{
	char *config = api_config();

	if (!strstr(config, text))
		fail_msg("%s\n  lacks %s", config, text);
	free(config);
}

static void put_drive(const char *id, bool root)
{
	char path[64], body[512];

	(void)snprintf(path, sizeof(path), "/drives/%s", id);
	(void)snprintf(body, sizeof(body),
		"{\"drive_id\":\"%s\",\"is_root_device\":%s,\"path_on_host\":\"%s\"}", id,
		root ? "true" : "false", disk);
	accepts("PUT", path, body);
}

static void before_anything_is_said_defaults_are_shown(void **state)
{
	char *config;

	(void)state;
	assert_int_equal(api_send("GET", "/machine-config", NULL), 200);
	assert_string_equal(api_body(), "{\"vcpu_count\":1,\"mem_size_mib\":128,\"smt\":false,"
					"\"track_dirty_pages\":false,\"huge_pages\":\"None\"}");
	assert_int_equal(api_send("GET", "/", NULL), 200);
	assert_string_equal(api_body(),
		"{\"id\":\"test\",\"state\":\"Not started\",\"vmm_version\":"
		"\"" CONTROLLER_COMPATIBLE_VERSION "\",\"app_name\":\"Firecracker\"}");
	config = api_config();
	assert_string_equal(config,
		"{\"boot-source\":{\"kernel_image_path\":\"\",\"initrd_path\":null,\"boot_args\":"
		"null},\"machine-config\":{\"vcpu_count\":1,\"mem_size_mib\":128,\"smt\":false,"
		"\"track_dirty_pages\":false,\"huge_pages\":\"None\"},\"drives\":[],\"entropy\":"
		"null,\"logger\":null,\"metrics\":null,\"network-interfaces\":[],\"vsock\":null,"
		"\"balloon\":null,\"pmem\":[],\"mmds-config\":null,\"cpu-config\":null,"
		"\"memory-hotplug\":null}");
	free(config);
}

static void state_is_told_in_firecrackers_words(void **state)
{
	(void)state;
	api_phase(API_RUNNING);
	(void)api_send("GET", "/", NULL);
	assert_non_null(strstr(api_body(), "\"state\":\"Running\""));
	accepts("PATCH", "/vm", "{\"state\":\"Paused\"}");
	(void)api_send("GET", "/", NULL);
	assert_non_null(strstr(api_body(), "\"state\":\"Paused\""));
	accepts("PATCH", "/vm", "{\"state\":\"Paused\"}");
	accepts("PATCH", "/vm", "{\"state\":\"Resumed\"}");
	accepts("PATCH", "/vm", "{\"state\":\"Resumed\"}");
	assert_int_equal(c->state, API_RUNNING);
	assert_true(c->latencies.pause_vm > 0 && c->latencies.vmm_resume_vm > 0);
}

static void missing_fields_are_named_with_their_place(void **state)
{
	(void)state;
	refuses("PUT", "/machine-config", "{\"mem_size_mib\": 128}",
		"missing field `vcpu_count` at line 1 column 21");
	refuses("PUT", "/machine-config", "{\n \"vcpu_count\": 1\n}\n",
		"missing field `mem_size_mib` at line 3 column 1");
	refuses("PUT", "/machine-config",
		"{\"vcpu_count\":1,\"mem_size_mib\":18446744073709551616}", "invalid type");
}

static void patch_of_the_machine_keeps_what_it_does_not_say(void **state)
{
	(void)state;
	accepts("PUT", "/machine-config",
		"{\"vcpu_count\":2,\"mem_size_mib\":256,\"smt\":true,\"huge_pages\":\"2M\"}");
	accepts("PATCH", "/machine-config", "{\"vcpu_count\":4}");
	shows("\"vcpu_count\":4,\"mem_size_mib\":256,\"smt\":true,\"track_dirty_pages\":false,"
	      "\"huge_pages\":\"2M\"");
	refuses("PATCH", "/machine-config", "{\"vcpu_count\":3}", "vcpu_count: 3 is odd");
	refuses("PATCH", "/machine-config", "{\"mem_size_mib\":3}", "mem_size_mib: 3 is odd");
	refuses("PATCH", "/machine-config", "{}", "Empty PATCH request");
	refuses("PATCH", "/machine-config", "{\"smt\":null}", "Empty PATCH request");
	accepts("PATCH", "/machine-config", "{\"mem_size_mib\":9223372036854775806}");
	accepts("PUT", "/machine-config", "{\"vcpu_count\":1,\"mem_size_mib\":3}");
	shows("\"smt\":false,\"track_dirty_pages\":false,\"huge_pages\":\"None\"");
}

static void templates_by_name_and_by_value_exclude_each_other(void **state)
{
	(void)state;
	accepts("PUT", "/machine-config",
		"{\"vcpu_count\":1,\"mem_size_mib\":128,\"cpu_template\":\"C3\"}");
	assert_true(api_deprecated());
	shows("\"cpu_template\":\"C3\"");
	accepts("PUT", "/cpu-config", "{}");
	assert_false(api_deprecated());
	assert_non_null(c->config.cpu_config);
	assert_int_equal(c->config.cpu_template, CPU_TEMPLATE_NONE);
	accepts("PATCH", "/machine-config", "{\"cpu_template\":\"T2\"}");
	assert_true(api_deprecated());
	assert_null(c->config.cpu_config);
	accepts("PATCH", "/machine-config", "{\"cpu_template\":\"None\"}");
	shows("\"cpu-config\":null");
}

static void kernel_and_initrd_are_opened_at_once(void **state)
{
	char body[512];

	(void)state;
	refuses("PUT", "/boot-source", "{\"kernel_image_path\":\"/nowhere/k\"}",
		"The kernel file cannot be opened: /nowhere/k: No such file or directory (os error "
		"2)");
	(void)snprintf(body, sizeof(body),
		"{\"kernel_image_path\":\"%s\",\"initrd_path\":\"/nowhere/i\"}", disk);
	refuses("PUT", "/boot-source", body, "The initrd file cannot be opened");
	shows("\"kernel_image_path\":\"\"");
	(void)snprintf(
		body, sizeof(body), "{\"kernel_image_path\":\"%s\",\"boot_args\":\"x\"}", disk);
	accepts("PUT", "/boot-source", body);
	shows("\"boot_args\":\"x\"");
	(void)snprintf(body, sizeof(body), "{\"kernel_image_path\":\"%s\"}", disk);
	accepts("PUT", "/boot-source", body);
	shows("\"boot_args\":null");
}

static void drives_keep_their_order_with_the_root_first(void **state)
{
	(void)state;
	put_drive("a", false);
	put_drive("b", false);
	put_drive("r", true);
	put_drive("d", false);
	put_drive("a", false); /* again: stays where it is */
	assert_int_equal(c->config.drive_count, 4);
	assert_string_equal(c->config.drives[0].drive_id, "r");
	assert_string_equal(c->config.drives[1].drive_id, "a");
	assert_string_equal(c->config.drives[2].drive_id, "b");
	assert_string_equal(c->config.drives[3].drive_id, "d");
	refuses("PUT", "/drives/e",
		"{\"drive_id\":\"e\",\"is_root_device\":true,\"path_on_host\":\"/dev/null\"}",
		"A root block device already exists!");
	put_drive("r", false);
	put_drive("b", true); /* changes places with the first */
	assert_string_equal(c->config.drives[0].drive_id, "b");
	assert_string_equal(c->config.drives[2].drive_id, "r");
}

static void drives_are_opened_at_once(void **state)
{
	(void)state;
	refuses("PUT", "/drives/a",
		"{\"drive_id\":\"a\",\"is_root_device\":false,\"path_on_host\":\"/nowhere/d\"}",
		"Error manipulating the backing file: No such file or directory (os error 2) "
		"/nowhere/d");
	refuses("PUT", "/drives/a",
		"{\"drive_id\":\"a\",\"is_root_device\":false,\"path_on_host\":\"/tmp\"}",
		"drives.a.path_on_host: ");
	refuses("PUT", "/drives/a",
		"{\"drive_id\":\"a\",\"is_root_device\":false,\"socket\":\"/s\"}",
		"socket: not supported by this version");
}

/* The machine has room for fewer: that is said when it starts. */
static void more_drives_than_fit_are_taken_up_to_a_bound(void **state)
{
	char id[16], body[256], path[32];

	(void)state;
	for (unsigned i = 0; i < VM_CONFIG_DRIVES_MAX; i++) {
		(void)snprintf(id, sizeof(id), "d%u", i);
		put_drive(id, i == 20);
	}
	(void)snprintf(path, sizeof(path), "/drives/more");
	(void)snprintf(body, sizeof(body),
		"{\"drive_id\":\"more\",\"is_root_device\":false,\"path_on_host\":\"%s\"}", disk);
	refuses("PUT", path, body, "Could not allocate GSI: The requested resource is not");
	assert_string_equal(c->config.drives[0].drive_id, "d20");
	assert_string_equal(c->config.drives[1].drive_id, "d0");
	put_drive("d3", false);
}

static void limits_without_size_are_none(void **state)
{
	char body[512];

	(void)state;
	(void)snprintf(body, sizeof(body),
		"{\"drive_id\":\"a\",\"is_root_device\":false,\"path_on_host\":\"%s\","
		"\"rate_limiter\":{\"bandwidth\":{\"size\":0,\"refill_time\":0},\"ops\":{\"size\":"
		"5,"
		"\"refill_time\":0}}}",
		disk);
	accepts("PUT", "/drives/a", body);
	shows("\"rate_limiter\":null");
	accepts("PUT", "/entropy",
		"{\"rate_limiter\":{\"ops\":{\"size\":2,\"refill_time\":3,\"more\":1},"
		"\"bandwidth\":{\"size\":0,\"refill_time\":1}}}");
	shows("\"entropy\":{\"rate_limiter\":{\"bandwidth\":null,\"ops\":{\"size\":2,"
	      "\"refill_time\":3,\"one_time_burst\":null}}}");
}

static void patches_of_limits_merge(void **state)
{
	struct rate_limiter_config to = {.has_ops = true, .ops = {.size = 1, .refill_time_ms = 2}};
	struct rate_limiter_config patch = {
		.has_bandwidth = true, .bandwidth = {.size = 3, .refill_time_ms = 4}};
	bool has = true;

	(void)state;
	handle_merge_limiter(&has, &to, &patch);
	assert_true(has && to.has_ops && to.has_bandwidth);
	assert_int_equal(to.ops.size, 1);
	assert_int_equal(to.bandwidth.size, 3);
	patch = (struct rate_limiter_config){.has_bandwidth = true, .has_ops = true};
	handle_merge_limiter(&has, &to, &patch);
	assert_false(has);
}

static void updates_of_devices_that_are_not_there_say_so(void **state)
{
	(void)state;
	put_drive("a", false);
	api_phase(API_RUNNING);
	refuses("PATCH", "/drives/b", "{\"drive_id\":\"b\"}", "drives.b: there is no drive");
	refuses("PATCH", "/network-interfaces/n", "{\"iface_id\":\"n\"}", "there is no interface");
	refuses("PUT", "/drives/b",
		"{\"drive_id\":\"b\",\"is_root_device\":false,\"path_on_host\":\"/dev/null\"}",
		"hotplug needs PCI");
}

static void interfaces_have_unique_addresses_and_keep_their_order(void **state)
{
	(void)state;
	accepts("PUT", "/network-interfaces/a",
		"{\"iface_id\":\"a\",\"passt_socket\":\"/p\",\"guest_mac\":\"02:00:00:00:00:01\"}");
	accepts("PUT", "/network-interfaces/b", "{\"iface_id\":\"b\",\"passt_socket\":\"/p\"}");
	accepts("PUT", "/network-interfaces/a",
		"{\"iface_id\":\"a\",\"passt_socket\":\"/q\",\"guest_mac\":\"02:00:00:00:00:01\"}");
	assert_int_equal(c->config.net_count, 2);
	assert_string_equal(c->config.nets[0].iface_id, "a");
	assert_string_equal(c->config.nets[0].passt_socket, "/q");
	refuses("PUT", "/network-interfaces/c",
		"{\"iface_id\":\"c\",\"passt_socket\":\"/p\",\"guest_mac\":\"02:00:00:00:00:01\"}",
		"The MAC address is already in use: 02:00:00:00:00:01");
	refuses("PUT", "/network-interfaces/c", "{\"iface_id\":\"c\"}",
		"missing field `host_dev_name`");
	refuses("PUT", "/network-interfaces/c",
		"{\"iface_id\":\"c\",\"passt_socket\":\"/p\",\"mtu\":67}", "67 is out of range");
}

static void vsock_may_be_said_again_and_its_id_is_never_shown(void **state)
{
	char body[512];

	(void)state;
	accepts("PUT", "/vsock",
		"{\"guest_cid\":3,\"uds_path\":\"/nowhere/v\",\"vsock_id\":\"v\"}");
	assert_true(api_deprecated());
	accepts("PUT", "/vsock", "{\"guest_cid\":4,\"uds_path\":\"/nowhere/v\"}");
	assert_false(api_deprecated());
	shows("\"vsock\":{\"guest_cid\":4,\"uds_path\":\"/nowhere/v\"}");
	(void)snprintf(body, sizeof(body), "{\"guest_cid\":3,\"uds_path\":\"%s\"}", disk);
	refuses("PUT", "/vsock", body, "Address already in use");
	refuses("PUT", "/vsock", "{\"guest_cid\":2,\"uds_path\":\"/nowhere/v\"}", "guest_cid: 2");
}

static void metrics_are_set_once(void **state)
{
	(void)state;
	refuses("PUT", "/metrics", "{\"metrics_path\":\"/nowhere/m\"}", "metrics_path");
	accepts("PUT", "/metrics", "{\"metrics_path\":\"/dev/null\",\"properties\":{\"a\":\"b\"}}");
	refuses("PUT", "/metrics", "{\"metrics_path\":\"/dev/null\"}",
		"Reinitialization of metrics not allowed");
	shows("\"metrics\":null");
	assert_int_equal(api_send("GET", "/metrics", NULL), 200);
	assert_non_null(strstr(api_body(), "# TYPE "));
}

static void logger_may_be_set_again(void **state)
{
	(void)state;
	accepts("PUT", "/logger", "{\"level\":\"error\",\"show_level\":true}");
	assert_int_equal(log_config_get()->level, LOG_ERROR);
	accepts("PUT", "/logger", "{\"show_log_origin\":true}");
	assert_int_equal(log_config_get()->level, LOG_ERROR);
	assert_true(log_config_get()->show_level && log_config_get()->show_origin);
	refuses("PUT", "/logger", "{\"log_path\":\"/nowhere/l\",\"level\":\"Info\"}", "log_path");
	assert_int_equal(log_config_get()->level, LOG_ERROR);
	accepts("PUT", "/logger", "{\"level\":\"Off\"}");
}

static void serial_goes_where_it_can_be_opened(void **state)
{
	(void)state;
	refuses("PUT", "/serial", "{\"serial_out_path\":\"/nowhere/s\"}", "serial_out_path");
	assert_null(c->config.serial_out_path);
	accepts("PUT", "/serial",
		"{\"serial_out_path\":\"/dev/null\",\"rate_limiter\":{\"size\":1,\"refill_time\":1}"
		"}");
	assert_true(c->config.has_serial_limiter);
	accepts("PUT", "/serial", "{}");
	assert_false(c->config.has_serial_limiter);
	assert_null(c->config.serial_out_path);
}

static void metadata_is_put_merged_and_bounded(void **state)
{
	static char large[HTTP_BODY_MAX + 100];

	(void)state;
	assert_int_equal(api_send("GET", "/mmds", NULL), 200);
	assert_string_equal(api_body(), "{}");
	refuses("PATCH", "/mmds", "{\"a\":1}", "not initialized");
	accepts("PUT", "/mmds", "{\"a\":{\"b\":1},\"c\":2}");
	accepts("PATCH", "/mmds", "{\"a\":{\"d\":3},\"c\":null}");
	assert_int_equal(api_send("GET", "/mmds", NULL), 200);
	assert_string_equal(api_body(), "{\"a\":{\"b\":1,\"d\":3}}");
	(void)snprintf(large, sizeof(large), "{\"x\":\"");
	memset(large + 6, 'y', sizeof(large) - 9);
	memcpy(large + sizeof(large) - 3, "\"}", 3);
	assert_int_equal(api_send("PUT", "/mmds", large), 413);
	assert_int_equal(api_send("PATCH", "/mmds", large), 413);
	assert_int_equal(api_send("GET", "/mmds", NULL), 200);
	assert_string_equal(api_body(), "{\"a\":{\"b\":1,\"d\":3}}");
	refuses("PUT", "/mmds", "[1]", "");
	api_phase(API_RUNNING);
	accepts("PUT", "/mmds", "{}");
	api_fini();
	c = api_init();
	api_phase(API_RUNNING);
	refuses("GET", "/mmds", NULL, "The MMDS resource does not exist");
}

static void metadata_service_needs_its_interfaces(void **state)
{
	(void)state;
	refuses("PUT", "/mmds/config", "{\"network_interfaces\":[\"a\"]}", "no network interface");
	assert_true(api_deprecated());
	accepts("PUT", "/network-interfaces/a", "{\"iface_id\":\"a\",\"passt_socket\":\"/p\"}");
	accepts("PUT", "/mmds/config", "{\"network_interfaces\":[\"a\"]}");
	assert_true(api_deprecated());
	accepts("PUT", "/mmds/config", "{\"network_interfaces\":[\"a\"],\"version\":\"V2\"}");
	assert_false(api_deprecated());
	refuses("PUT", "/mmds/config",
		"{\"network_interfaces\":[\"a\"],\"ipv4_address\":\"10.0.0.1\"}", "link-local");
}

static void deprecated_fields_are_told_on_faults_too(void **state)
{
	(void)state;
	refuses("PUT", "/snapshot/load", "{\"snapshot_path\":\"s\",\"mem_file_path\":\"m\"}",
		"No such file or directory");
	assert_true(api_deprecated());
	refuses("PUT", "/snapshot/load",
		"{\"snapshot_path\":\"s\",\"resume_vm\":1,"
		"\"enable_diff_snapshots\":true}",
		"resume_vm: invalid type");
	assert_true(api_deprecated());
}

/* With or without a KVM: there is no kernel in that file. */
static void a_start_that_fails_can_be_tried_again(void **state)
{
	char body[256], *before, *after;

	(void)state;
	refuses("PUT", "/actions", "{\"action_type\":\"InstanceStart\"}",
		"Cannot start microvm without kernel configuration");
	(void)snprintf(body, sizeof(body), "{\"kernel_image_path\":\"%s\"}", disk);
	accepts("PUT", "/boot-source", body);
	before = api_config();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
			api_send("PUT", "/actions", "{\"action_type\":\"InstanceStart\"}"), 400);
		assert_int_equal(c->state, API_NOT_STARTED);
	}
	after = api_config();
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void actions_have_their_phases(void **state)
{
	(void)state;
	refuses("PUT", "/actions", "{\"action_type\":\"FlushMetrics\"}",
		"not supported before starting the microVM. (action_type FlushMetrics)");
	refuses("PUT", "/actions", "{\"action_type\":\"SendCtrlAltDel\"}",
		"not supported before starting the microVM.");
	api_phase(API_RUNNING);
	refuses("PUT", "/actions", "{\"action_type\":\"InstanceStart\"}",
		"not supported after starting the microVM.");
	accepts("PUT", "/actions", "{\"action_type\":\"FlushMetrics\"}");
	refuses("PUT", "/actions", "{\"action_type\":\"Reboot\"}",
		"unknown variant `Reboot`, expected one of `FlushMetrics`, `InstanceStart`, "
		"`SendCtrlAltDel`");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(before_anything_is_said_defaults_are_shown),
		TEST(state_is_told_in_firecrackers_words),
		TEST(missing_fields_are_named_with_their_place),
		TEST(patch_of_the_machine_keeps_what_it_does_not_say),
		TEST(templates_by_name_and_by_value_exclude_each_other),
		TEST(kernel_and_initrd_are_opened_at_once),
		TEST(drives_keep_their_order_with_the_root_first),
		TEST(drives_are_opened_at_once),
		TEST(more_drives_than_fit_are_taken_up_to_a_bound),
		TEST(limits_without_size_are_none),
		TEST(patches_of_limits_merge),
		TEST(updates_of_devices_that_are_not_there_say_so),
		TEST(interfaces_have_unique_addresses_and_keep_their_order),
		TEST(vsock_may_be_said_again_and_its_id_is_never_shown),
		TEST(metrics_are_set_once),
		TEST(logger_may_be_set_again),
		TEST(serial_goes_where_it_can_be_opened),
		TEST(metadata_is_put_merged_and_bounded),
		TEST(metadata_service_needs_its_interfaces),
		TEST(deprecated_fields_are_told_on_faults_too),
		TEST(a_start_that_fails_can_be_tried_again),
		TEST(actions_have_their_phases),
	};
	int fd = mkstemp(disk), failed;

	if (fd < 0 || ftruncate(fd, 1 << 20) < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)close(fd);
	(void)unlink(disk);
	return failed;
}
