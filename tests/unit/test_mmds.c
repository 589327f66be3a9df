/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata service put together: configuration, first contents, and a network device in front of
 * it, as far as a guest that does not answer sees it.
 */
#include "api/mmds/mmds.h"

#include "api/config_file.h"
#include "api/schema.h"
#include "api/vm_schema.h"
#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/mmds_peer.h"
#include "tests/unit/lib/net_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOOT "\"boot-source\":{\"kernel_image_path\":\"k\"},\"drives\":[]"
#define NETS                                                                                       \
	"\"network-interfaces\":[{\"iface_id\":\"eth0\",\"host_dev_name\":\"t0\"},"                \
	"{\"iface_id\":\"eth1\",\"host_dev_name\":\"t1\"}]"

static struct mmds mmds;
static struct vm_config config;
static struct err e;

static int setup(void **state)
{
	(void)state;
	mmds_init(&mmds, 100);
	vm_config_init(&config);
	e = (struct err){0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mmds_fini(&mmds);
	vm_config_fini(&config);
	return 0;
}

static int parse(const char *section)
{
	char text[2048];
	int len = snprintf(text, sizeof(text), "{" BOOT "," NETS ",\"mmds-config\":%s}", section);

	vm_config_fini(&config);
	vm_config_init(&config);
	return config_file_parse(text, (size_t)len, &config, &e);
}

static void the_configuration_is_read_and_shown(void **state)
{
	json_t *shown;
	char *text;

	(void)state;
	assert_int_equal(parse("{\"version\":\"V2\",\"network_interfaces\":[\"eth1\",\"eth0\"],"
			       "\"ipv4_address\":\"169.254.170.2\",\"imds_compat\":true}"),
		0);
	assert_true(config.has_mmds && config.mmds_imds_compat);
	assert_int_equal(config.mmds_version, 2);
	assert_string_equal(config.mmds_ipv4, "169.254.170.2");
	assert_string_equal(config.mmds_interfaces[0], "eth1");
	assert_string_equal(config.mmds_interfaces[1], "eth0");
	assert_null(config.mmds_interfaces[2]);
	shown = schema_print(&mmds_schema, &config);
	text = json_dumps(shown, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(text, "{\"imds_compat\":true,\"ipv4_address\":\"169.254.170.2\","
				  "\"network_interfaces\":[\"eth1\",\"eth0\"],\"version\":\"V2\"}");
	free(text);
	json_decref(shown);
}

static void defaults_are_firecrackers(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"network_interfaces\":[\"eth0\"]}"), 0);
	assert_int_equal(config.mmds_version, 1);
	assert_null(config.mmds_ipv4);
	assert_false(config.mmds_imds_compat);
	mmds_configure(&mmds, &config);
	assert_int_equal(mmds.ip, PEER_MMDS_IP);
	assert_int_equal(parse("null"), 0);
	assert_false(config.has_mmds);
}

static void what_cannot_be_is_refused_by_name(void **state)
{
	static const struct {
		const char *section, *want;
	} bad[] = {
		{"{}", "missing field `network_interfaces`"},
		{"{\"network_interfaces\":[]}", "mmds-config.network_interfaces: 0 items"},
		{"{\"network_interfaces\":\"eth0\"}", "array of strings"},
		{"{\"network_interfaces\":[\"eth0\",7]}", "network_interfaces[1]"},
		{"{\"network_interfaces\":[\"\"]}", "1 to 255 bytes"},
		{"{\"network_interfaces\":[\"eth0\",\"eth2\"]}",
			"network_interfaces[1]: there is no"},
		{"{\"network_interfaces\":[\"eth0\"],\"version\":\"V3\"}", "V3"},
		{"{\"network_interfaces\":[\"eth0\"],\"ipv4_address\":\"1.2.3\"}", "1.2.3"},
		{"{\"network_interfaces\":[\"eth0\"],\"ipv4_address\":\"10.0.0.1\"}", "link-local"},
		{"{\"network_interfaces\":[\"eth0\"],\"ipv4_address\":\"169.254.0.255\"}",
			"169.254.1.0"},
		{"{\"network_interfaces\":[\"eth0\"],\"ipv4_address\":\"169.254.255.0\"}",
			"169.254.254.255"},
		{"{\"network_interfaces\":[\"eth0\"],\"more\":1}", "more"},
	};

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		assert_int_equal(parse(bad[i].section), -EINVAL);
		if (!strstr(e.msg, bad[i].want))
			fail_msg("no \"%s\" in: %s", bad[i].want, e.msg);
	}
	assert_int_equal(parse("{\"network_interfaces\":[\"eth0\"],"
			       "\"ipv4_address\":\"169.254.1.0\"}"),
		0);
	assert_int_equal(parse("{\"network_interfaces\":[\"eth0\"],"
			       "\"ipv4_address\":\"169.254.254.255\"}"),
		0);
}

static int preload(const char *text)
{
	char path[] = "/tmp/mmds-XXXXXX";
	int fd = mkstemp(path);
	int rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
	rc = mmds_preload(&mmds, path, &e);
	(void)unlink(path);
	return rc;
}

static void first_contents_come_from_a_file(void **state)
{
	char big[200] = "{\"a\":\"";

	(void)state;
	assert_int_equal(preload("{\"a\": 1}"), 0);
	assert_non_null(mmds.store.root);
	assert_int_equal(preload("{\"a\": "), -EINVAL);
	assert_memory_equal(e.msg, "MMDS error: metadata provided not valid json", 44);
	memset(big + 6, 'x', 100);
	memcpy(big + 106, "\"}", 3);
	assert_int_equal(preload(big), -EFBIG);
	assert_memory_equal(
		e.msg, "Populating MMDS from file failed: The MMDS patch request doesn't fit.", 69);
	assert_int_equal(mmds_preload(&mmds, "/nonexistent/x", &e), -ENOENT);
}

static void only_the_interfaces_named_get_the_service(void **state)
{
	struct net_diverter *d;
	struct loop loop;

	(void)state;
	assert_int_equal(loop_init(&loop, &e), 0);
	assert_int_equal(mmds_open_interface(&mmds, "eth0", &loop, &d, &e), 0);
	assert_null(d); /* nothing is configured */
	assert_int_equal(parse("{\"network_interfaces\":[\"eth1\"]}"), 0);
	mmds_configure(&mmds, &config);
	assert_int_equal(mmds_open_interface(&mmds, "eth0", &loop, &d, &e), 0);
	assert_null(d);
	assert_int_equal(mmds_open_interface(&mmds, "eth1", &loop, &d, &e), 0);
	assert_non_null(d);
	d->ops->close(d);
	loop_fini(&loop);
}

/* The flags of the TCP segment in the nth receive buffer, or -1. */
static int received_flags(struct net_rig *r, uint64_t at)
{
	struct driver_used u;
	struct frame f;

	if (!driver_poll(&r->q[NET_RIG_RX], &u))
		return -1;
	frame_parse((uint8_t *)driver_at(&r->q[0], at) + NET_HEADER_SIZE, u.len - NET_HEADER_SIZE,
		PEER_IP, false, &f);
	assert_int_equal(f.kind, FRAME_KIND_TCP);
	return f.tcp.flags;
}

static void a_guest_that_is_silent_is_asked_again_by_the_timer(void **state)
{
	struct net_config nc = {.guest_mac = NULL};
	struct peer p = {.port = 9, .window = 1000};
	struct frame_tcp syn;
	struct net_rig rig;
	uint8_t frame[128];
	size_t len;
	uint64_t at;
	int flags = -1;

	(void)state;
	assert_int_equal(parse("{\"network_interfaces\":[\"eth0\"]}"), 0);
	mmds_configure(&mmds, &config);
	/* Without a loop: the test looks at the timer itself. */
	assert_int_equal(mmds_open_interface(&mmds, "eth0", NULL, &nc.diverter, &e), 0);
	net_rig_init(&rig, nc, 1);
	at = net_rig_post(&rig, NET_RIG_RX, 2, 2048);
	syn = peer_segment(&p, FRAME_SYN, NULL, 0);
	len = frame_build_tcp(&syn, frame);
	net_rig_transmit(&rig, &(struct net_header){0}, frame, (uint32_t)len);
	assert_int_equal(received_flags(&rig, at), FRAME_SYN | FRAME_ACK);
	assert_int_equal(mmds.counters.rx_accepted, 1);

	struct mmds_interface *i = (struct mmds_interface *)nc.diverter;
	struct pollfd pfd = {.fd = i->timer.fd, .events = POLLIN};

	assert_true(i->timer.armed);
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	i->timer.source.fn(i->timer.source.ctx, EPOLLIN);
	flags = received_flags(&rig, at + 2048);
	assert_int_equal(flags, FRAME_SYN | FRAME_ACK);
	assert_true(i->timer.armed);
	net_rig_fini(&rig);
	assert_int_equal(mmds.counters.connections_destroyed, 1);
}

static void a_timer_that_finds_no_room_is_not_set_again(void **state)
{
	struct net_config nc = {.guest_mac = NULL};
	struct peer p = {.port = 9, .window = 1000};
	struct frame_tcp syn;
	struct mmds_interface *i;
	struct net_rig rig;
	uint8_t frame[128];
	uint64_t at;

	(void)state;
	assert_int_equal(parse("{\"network_interfaces\":[\"eth0\"]}"), 0);
	mmds_configure(&mmds, &config);
	assert_int_equal(mmds_open_interface(&mmds, "eth0", NULL, &nc.diverter, &e), 0);
	net_rig_init(&rig, nc, 1);
	at = net_rig_post(&rig, NET_RIG_RX, 1, 2048);
	syn = peer_segment(&p, FRAME_SYN, NULL, 0);
	net_rig_transmit(
		&rig, &(struct net_header){0}, frame, (uint32_t)frame_build_tcp(&syn, frame));
	assert_int_equal(received_flags(&rig, at), FRAME_SYN | FRAME_ACK);
	i = (struct mmds_interface *)nc.diverter;
	struct pollfd pfd = {.fd = i->timer.fd, .events = POLLIN};

	assert_int_equal(poll(&pfd, 1, 10000), 1);
	i->timer.source.fn(i->timer.source.ctx, EPOLLIN);
	assert_false(i->timer.armed);
	/* The guest gives room: what is due goes out. */
	at = net_rig_post(&rig, NET_RIG_RX, 1, 2048);
	assert_int_equal(received_flags(&rig, at), FRAME_SYN | FRAME_ACK);
	assert_true(i->timer.armed);
	net_rig_fini(&rig);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_configuration_is_read_and_shown),
		T(defaults_are_firecrackers),
		T(what_cannot_be_is_refused_by_name),
		T(first_contents_come_from_a_file),
		T(only_the_interfaces_named_get_the_service),
		T(a_guest_that_is_silent_is_asked_again_by_the_timer),
		T(a_timer_that_finds_no_room_is_not_set_again),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("mmds", tests, NULL, NULL);
}
