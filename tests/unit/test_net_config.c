/* SPDX-License-Identifier: Apache-2.0 */
/* The section network-interfaces of the configuration file. */
#include "api/config_file.h"

#include "tests/unit/lib/cm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BOOT "\"boot-source\":{\"kernel_image_path\":\"k\"}"
#define TAP  "\"iface_id\":\"eth0\",\"host_dev_name\":\"tap0\""

/* Parses a file with these interfaces. The caller releases *c. */
static int parse(const char *interfaces, struct vm_config *c, struct err *e)
{
	char text[2048];
	int len = snprintf(text, sizeof(text), "{" BOOT ",\"drives\":[],\"network-interfaces\":%s}",
		interfaces);

	*e = (struct err){0};
	vm_config_init(c);
	return config_file_parse(text, (size_t)len, c, e);
}

static void all_keys_are_read(void **state)
{
	struct vm_config c;
	struct err e;

	(void)state;
	assert_int_equal(
		parse("[{" TAP ",\"guest_mac\":\"02:00:00:00:00:01\",\"mtu\":9000,"
		      "\"queue_pairs\":3,\"rx_rate_limiter\":{\"bandwidth\":{\"size\":1000,"
		      "\"refill_time\":100}},\"tx_rate_limiter\":{\"ops\":{\"size\":7,"
		      "\"one_time_burst\":3,\"refill_time\":100}}},"
		      "{\"iface_id\":\"user\",\"passt_socket\":\"/p\"}]",
			&c, &e),
		0);
	assert_int_equal(c.net_count, 2);
	assert_string_equal(c.nets[0].iface_id, "eth0");
	assert_string_equal(c.nets[0].host_dev_name, "tap0");
	assert_string_equal(c.nets[0].guest_mac, "02:00:00:00:00:01");
	assert_int_equal(c.nets[0].mtu, 9000);
	assert_int_equal(c.nets[0].queue_pairs, 3);
	assert_true(c.nets[0].has_rx_rate_limiter && c.nets[0].has_tx_rate_limiter);
	assert_int_equal(c.nets[0].rx_rate_limiter.bandwidth.size, 1000);
	assert_int_equal(c.nets[0].tx_rate_limiter.ops.one_time_burst, 3);
	assert_string_equal(c.nets[1].passt_socket, "/p");
	assert_null(c.nets[1].guest_mac);
	assert_int_equal(c.nets[1].mtu, 0);
	assert_int_equal(c.nets[1].queue_pairs, 1);
	vm_config_fini(&c);
}

static void absent_and_null_mean_the_default(void **state)
{
	struct vm_config c;
	struct err e;

	(void)state;
	assert_int_equal(parse("null", &c, &e), 0);
	assert_int_equal(c.net_count, 0);
	vm_config_fini(&c);
	assert_int_equal(parse("[{" TAP ",\"guest_mac\":null,\"mtu\":null,"
			       "\"rx_rate_limiter\":null,\"tx_rate_limiter\":null}]",
				 &c, &e),
		0);
	assert_int_equal(c.nets[0].mtu, 0);
	assert_false(c.nets[0].has_rx_rate_limiter || c.nets[0].has_tx_rate_limiter);
	vm_config_fini(&c);
}

static void bad_interfaces_are_refused_by_name(void **state)
{
	static const struct {
		const char *text, *want;
	} bad[] = {
		{"{}", "network-interfaces: invalid type"},
		{"[{}]", "network-interfaces[0]: missing field `iface_id`"},
		{"[{\"iface_id\":\"e\"}]", "network-interfaces[0]: missing field `host_dev_name`"},
		{"[{\"iface_id\":\"e-0\",\"host_dev_name\":\"t\"}]", "is not an id"},
		{"[{" TAP ",\"passt_socket\":\"/p\"}]", "excludes host_dev_name"},
		{"[{\"iface_id\":\"e\",\"passt_socket\":\"/p\",\"queue_pairs\":2}]",
			"network-interfaces[0].queue_pairs: 2"},
		{"[{" TAP ",\"mtu\":67}]", "network-interfaces[0].mtu: 67 is out of range"},
		{"[{" TAP ",\"mtu\":65536}]", "it must be 68 to 65535"},
		{"[{" TAP ",\"queue_pairs\":0}]", "it must be 1 to 3"},
		{"[{" TAP ",\"queue_pairs\":4}]", "it must be 1 to 3"},
		{"[{" TAP ",\"guest_mac\":\"02:00\"}]", "\"02:00\" is not a MAC address"},
		{"[{" TAP ",\"guest_mac\":7}]", "network-interfaces[0].guest_mac: invalid type"},
		{"[{" TAP "},{" TAP "}]", "network-interfaces[1].iface_id: \"eth0\" is already"},
		{"[{" TAP ",\"guest_mac\":\"02:00:00:00:00:0a\"},{\"iface_id\":\"eth1\","
		 "\"host_dev_name\":\"t\",\"guest_mac\":\"02:00:00:00:00:0A\"}]",
			"The MAC address is already in use: 02:00:00:00:00:0A"},
	};
	struct vm_config c;
	struct err e;

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		assert_int_equal(parse(bad[i].text, &c, &e), -EINVAL);
		vm_config_fini(&c);
		if (!strstr(e.msg, bad[i].want))
			fail_msg("%s: %s", bad[i].text, e.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_keys_are_read),
		cmocka_unit_test(absent_and_null_mean_the_default),
		cmocka_unit_test(bad_interfaces_are_refused_by_name),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("net_config", tests, NULL, NULL);
}
