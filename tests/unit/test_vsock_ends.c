/* SPDX-License-Identifier: Apache-2.0 */
/* The vsock device with real sockets: how connections end, limits, creation. */
#include "virtio/vsock.h"
#include "virtio/vsock_unix.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/vsock_rig.h"
#include "vmm/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define GUEST_PORT 1234u
#define HOST_PORT  52u

static struct vsock_rig rig;

static int setup(void **state)
{
	(void)state;
	vsock_rig_init(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vsock_rig_fini(&rig);
	return 0;
}

/* ---- ends ---- */

static void the_host_may_end_its_half_and_still_hear(void **state)
{
	uint32_t port;
	int fd = vsock_rig_open(&rig, GUEST_PORT, &port);

	(void)state;
	assert_int_equal(send(fd, "last", 4, 0), 4);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(vsock_rig_expect(&rig, VSOCK_OP_RW).len, 4);
	assert_int_equal(vsock_rig_expect(&rig, VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_SEND);
	vsock_rig_send(&rig, VSOCK_OP_RW, GUEST_PORT, port, "more", 4);
	rig_expect_bytes(fd, "more", 4);
	vsock_rig_expect_none(&rig);
	assert_null(vsock_timer_first(vsock_rig_table(&rig)));
	(void)close(fd);
	assert_int_equal(vsock_rig_expect(&rig, VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_BOTH);
	vsock_rig_send(&rig, VSOCK_OP_RST, GUEST_PORT, port, NULL, 0);
	assert_int_equal(vsock_rig_table(&rig)->count, 0);
}

static void the_guest_may_end_its_half_and_still_hear(void **state)
{
	uint32_t port;
	int fd = vsock_rig_open(&rig, GUEST_PORT, &port);
	struct vsock_hdr h = vsock_rig_hdr(VSOCK_OP_SHUTDOWN, GUEST_PORT, port);

	(void)state;
	vsock_rig_send(&rig, VSOCK_OP_RW, GUEST_PORT, port, "last", 4);
	h.flags = VSOCK_SHUTDOWN_SEND;
	vsock_rig_send_raw(&rig, &h, NULL, 0);
	rig_expect_bytes(fd, "last", 4);
	assert_true(rig_at_end(fd));
	assert_int_equal(send(fd, "more", 4, 0), 4);
	assert_int_equal(vsock_rig_expect(&rig, VSOCK_OP_RW).len, 4);
	vsock_rig_send(&rig, VSOCK_OP_RW, GUEST_PORT, port, "liar", 4);
	(void)vsock_rig_expect(&rig, VSOCK_OP_RST);
	(void)close(fd);
}

static void a_guest_that_does_not_receive_stops_the_hosts_writes(void **state)
{
	uint32_t port;
	int fd = vsock_rig_open(&rig, GUEST_PORT, &port);
	struct vsock_hdr h = vsock_rig_hdr(VSOCK_OP_SHUTDOWN, GUEST_PORT, port);

	(void)state;
	h.flags = VSOCK_SHUTDOWN_RCV;
	vsock_rig_send_raw(&rig, &h, NULL, 0);
	vsock_rig_send_raw(&rig, &h, NULL, 0); /* twice says no more than once */
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	vsock_rig_send(&rig, VSOCK_OP_RW, GUEST_PORT, port, "ok", 2);
	rig_expect_bytes(fd, "ok", 2);
	(void)close(fd);
	assert_int_equal(vsock_rig_expect(&rig, VSOCK_OP_SHUTDOWN).flags, VSOCK_SHUTDOWN_BOTH);
}

static void a_guest_that_closes_gets_an_rst_when_all_is_delivered(void **state)
{
	static unsigned char got[1 << 20];
	int fd = vsock_rig_open_guest(&rig, GUEST_PORT, HOST_PORT);
	struct vsock_hdr h = vsock_rig_hdr(VSOCK_OP_SHUTDOWN, GUEST_PORT, HOST_PORT), answer;
	uint32_t total = vsock_rig_fill(&rig, GUEST_PORT, HOST_PORT), seen = 0;

	(void)state;
	h.flags = VSOCK_SHUTDOWN_BOTH;
	vsock_rig_send_raw(&rig, &h, NULL, 0);
	vsock_rig_expect_none(&rig);
	assert_non_null(vsock_timer_first(vsock_rig_table(&rig)));
	for (;;) {
		ssize_t n = recv(fd, got, sizeof(got), 0);

		assert_true(n >= 0);
		seen += (uint32_t)n;
		if (n == 0)
			break;
		vsock_rig_turn(&rig);
	}
	assert_int_equal(seen, total);
	do {
		assert_true(vsock_rig_recv(&rig, &answer, NULL));
	} while (answer.op == VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(answer.op, VSOCK_OP_RST);
	assert_int_equal(vsock_rig_table(&rig)->count, 0);
	(void)close(fd);
}

static void a_host_that_never_reads_is_cut_off_two_seconds_after_the_guests_end(void **state)
{
	int fd = vsock_rig_open_guest(&rig, GUEST_PORT, HOST_PORT);
	struct vsock_hdr h = vsock_rig_hdr(VSOCK_OP_SHUTDOWN, GUEST_PORT, HOST_PORT);

	(void)state;
	(void)vsock_rig_fill(&rig, GUEST_PORT, HOST_PORT);
	h.flags = VSOCK_SHUTDOWN_BOTH;
	vsock_rig_send_raw(&rig, &h, NULL, 0);
	vsock_muxer_expire(vsock_rig_muxer(&rig), clock_mono_ns() + VSOCK_TIMEOUT_NS);
	virtio_dev_notify(rig.dev, RIG_RX);
	(void)vsock_rig_expect(&rig, VSOCK_OP_RST);
	assert_int_equal(vsock_rig_table(&rig)->count, 0);
	(void)close(fd);
}

/* The host writes and is gone at once: its bytes still arrive, then both directions end. */
static void a_host_that_closes_has_its_last_bytes_delivered(void **state)
{
	static unsigned char data[100000];
	uint32_t port, got = 0;
	struct vsock_hdr h;
	int fd = vsock_rig_open(&rig, GUEST_PORT, &port);

	(void)state;
	assert_int_equal(send(fd, data, sizeof(data), 0), sizeof(data));
	(void)close(fd);
	vsock_rig_send(&rig, VSOCK_OP_RW, GUEST_PORT, port, "too late", 8);
	while (got < sizeof(data)) {
		assert_true(vsock_rig_recv(&rig, &h, NULL));
		if (h.op == VSOCK_OP_RW)
			got += h.len;
		else
			assert_int_equal(h.op, VSOCK_OP_SHUTDOWN);
	}
	assert_int_equal(got, sizeof(data));
	h = vsock_rig_expect(&rig, VSOCK_OP_SHUTDOWN);
	assert_int_equal(h.flags, VSOCK_SHUTDOWN_BOTH);
	vsock_muxer_expire(vsock_rig_muxer(&rig), clock_mono_ns() + VSOCK_TIMEOUT_NS);
	virtio_dev_notify(rig.dev, RIG_RX);
	(void)vsock_rig_expect(&rig, VSOCK_OP_RST);
}

static void a_reset_of_the_device_closes_the_hosts_ends(void **state)
{
	uint32_t port;
	int fd = vsock_rig_open(&rig, GUEST_PORT, &port);

	(void)state;
	virtio_dev_write_status(rig.dev, 0);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	vsock_rig_turn(&rig);
	assert_int_equal(vsock_rig_table(&rig)->count, 0);
	vsock_rig_turn(&rig);
	assert_int_equal(rig.events, 0);
	(void)close(fd);
	/* A client that comes meanwhile waits for the next driver. */
	fd = vsock_rig_connect(&rig);
	assert_int_equal(send(fd, "CONNECT 3\n", 10, 0), 10);
	vsock_rig_turn(&rig);
	vsock_rig_start(&rig, RIG_RX_COUNT);
	(void)vsock_rig_expect(&rig, VSOCK_OP_REQUEST);
	(void)close(fd);
}

static void a_broken_driver_costs_nothing_until_its_reset(void **state)
{
	uint32_t port;
	int fd = vsock_rig_open(&rig, GUEST_PORT, &port);

	(void)state;
	rig.hold_rx = true;
	vsock_rig_start(&rig, 0);
	vsock_rig_post(&rig, 0, VSOCK_HDR_SIZE); /* no room for a byte */
	virtio_dev_notify(rig.dev, RIG_RX);
	(void)close(fd);
	fd = vsock_rig_connect(&rig);
	assert_int_equal(send(fd, "CONNECT 3\n", 10, 0), 10);
	vsock_rig_turn(&rig);
	assert_true(rig.dev->status & VIRTIO_STATUS_NEEDS_RESET);
	vsock_rig_turn(&rig);
	assert_int_equal(rig.events, 0);
	rig.hold_rx = false;
	vsock_rig_start(&rig, RIG_RX_COUNT);
	(void)close(fd);
	fd = vsock_rig_open(&rig, GUEST_PORT, &port);
	(void)close(fd);
}

/* ---- limits ---- */

static void a_thousand_connections_live_side_by_side(void **state)
{
	static int fds[VSOCK_CONNS_MAX];
	static uint32_t ports[VSOCK_CONNS_MAX];
	struct rlimit files = {.rlim_cur = 4096, .rlim_max = 4096};
	struct rlimit had;
	struct vsock_hdr h;
	int extra;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &had), 0);
	files.rlim_max = had.rlim_max;
	if (had.rlim_max < 4096) {
		skip();
		return;
	}
	if (had.rlim_cur < 4096)
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	for (uint32_t i = 0; i < VSOCK_CONNS_MAX; i++)
		fds[i] = vsock_rig_open(&rig, i % 7, &ports[i]);
	assert_int_equal(vsock_rig_table(&rig)->count, VSOCK_CONNS_MAX);
	extra = vsock_rig_connect(&rig);
	assert_true(rig_at_end(extra));
	(void)close(extra);
	vsock_rig_send(&rig, VSOCK_OP_REQUEST, 1, 1, NULL, 0);
	(void)vsock_rig_expect(&rig, VSOCK_OP_RST);
	for (uint32_t i = 0; i < VSOCK_CONNS_MAX; i++) {
		vsock_rig_send(&rig, VSOCK_OP_RW, i % 7, ports[i], &i, sizeof(i));
		rig_expect_bytes(fds[i], &i, sizeof(i));
		assert_int_equal(send(fds[i], &i, sizeof(i), 0), sizeof(i));
		assert_int_equal(vsock_rig_expect(&rig, VSOCK_OP_RW).src_port, ports[i]);
	}
	for (uint32_t i = 0; i < VSOCK_CONNS_MAX; i++) {
		(void)close(fds[i]);
		h = vsock_rig_expect(&rig, VSOCK_OP_SHUTDOWN);
		vsock_rig_send(&rig, VSOCK_OP_RST, h.dst_port, h.src_port, NULL, 0);
	}
	assert_int_equal(vsock_rig_table(&rig)->count, 0);
	extra = vsock_rig_open(&rig, 1, &ports[0]);
	(void)close(extra);
}

/* More RST are due than can wait: the tx queue rests, then every packet is answered. */
static void a_storm_of_strays_is_answered_packet_by_packet(void **state)
{
	struct vsock_hdr h = vsock_rig_hdr(VSOCK_OP_RW, 0, 1);
	uint32_t sent = 0, got = 0;

	(void)state;
	vsock_rig_start(&rig, 0);
	rig.hold_rx = true;
	for (; sent < VSOCK_RESETS_MAX; sent++) {
		if (!vsock_muxer_has_room(vsock_rig_muxer(&rig), VIRTIO_BATCH_MAX))
			break;
		h.src_port = sent;
		vsock_rig_send_raw(&rig, &h, NULL, 0);
	}
	assert_in_range(sent, VSOCK_RESETS_MAX - VIRTIO_BATCH_MAX, VSOCK_RESETS_MAX - 1);
	h.src_port = sent++;
	vsock_rig_send_raw(&rig, &h, NULL, 0); /* stays in the queue */
	assert_int_equal(vsock_rig_counters(&rig)->tx_packets_count, sent - 1);
	vsock_rig_turn(&rig);
	assert_in_range(rig.events, 0, 2);
	while (got < sent) {
		vsock_rig_post(&rig, 0, RIG_RX_SIZE);
		virtio_dev_notify(rig.dev, RIG_RX);
		assert_int_equal(vsock_rig_expect(&rig, VSOCK_OP_RST).dst_port, got++);
	}
	vsock_rig_expect_none(&rig);
}

static void bad_packets_are_dropped_or_reset(void **state)
{
	const struct vsock_hdr good = vsock_rig_hdr(VSOCK_OP_RW, 5, 6);
	struct vsock_hdr h = good;

	(void)state;
	h.src_cid = RIG_CID + 1;
	vsock_rig_send_raw(&rig, &h, NULL, 0);
	h = good;
	h.src_cid |= 1ull << 32;
	vsock_rig_send_raw(&rig, &h, NULL, 0);
	h = good;
	h.dst_cid = 3;
	vsock_rig_send_raw(&rig, &h, NULL, 0);
	h = good;
	h.len = 5;
	vsock_rig_send_raw(&rig, &h, "four", 4);
	h.len = UINT32_MAX;
	vsock_rig_send_raw(&rig, &h, "four", 4);
	vsock_rig_expect_none(&rig);
	assert_int_equal(vsock_rig_counters(&rig)->tx_queue_event_fails, 5);
	h = good;
	h.type = 2;
	vsock_rig_send_raw(&rig, &h, NULL, 0);
	(void)vsock_rig_expect(&rig, VSOCK_OP_RST);
	h.op = VSOCK_OP_RST;
	vsock_rig_send_raw(&rig, &h, NULL, 0);
	vsock_rig_expect_none(&rig);
}

/* ---- creation and state ---- */

static struct virtio_dev *second(const char *path, struct err *e)
{
	const struct vsock_config c = {.guest_cid = 3, .uds_path = path};
	struct virtio_dev *d = NULL;

	return vsock_create(&rig.drv.mem, &rig.loop, &c, &d, e) == 0 ? d : NULL;
}

static void a_stale_socket_is_replaced_and_a_served_one_is_not(void **state)
{
	char path[128];
	struct virtio_dev *d;
	struct err e = {0};

	(void)state;
	assert_null(second(rig.path, &e));
	assert_int_equal(e.code, -EADDRINUSE);
	assert_non_null(strstr(e.msg, rig.path));
	assert_non_null(strstr(e.msg, "Address already in use"));
	(void)snprintf(path, sizeof(path), "%s/other", rig.dir);
	d = second(path, &e);
	if (!d)
		fail_msg("%s", e.msg);
	else
		d->ops->destroy(d);
	assert_int_equal(access(path, F_OK), 0);
	d = second(path, &e);
	if (!d)
		fail_msg("%s", e.msg);
	else
		d->ops->destroy(d);
}

static void other_files_and_bad_paths_are_refused(void **state)
{
	char path[256];
	struct err e = {0};
	FILE *f;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/file", rig.dir);
	f = fopen(path, "w");
	assert_non_null(f);
	(void)fclose(f);
	assert_null(second(path, &e));
	assert_non_null(strstr(e.msg, "is no socket"));
	assert_int_equal(access(path, F_OK), 0);
	(void)snprintf(path, sizeof(path), "%s/no/such", rig.dir);
	assert_null(second(path, &e));
	assert_int_equal(e.code, -ENOENT);
	memset(path, 'x', 200);
	path[200] = 0;
	assert_null(second(path, &e));
	assert_int_equal(e.code, -ENAMETOOLONG);
}

static void the_address_is_in_configuration_space_and_in_the_state(void **state)
{
	struct vsock_state saved = *(struct vsock_state *)rig.dev->state;
	struct err e = {0};
	uint64_t cid = 0;

	(void)state;
	virtio_dev_config_read(rig.dev, 0, &cid, sizeof(cid));
	assert_int_equal(cid, RIG_CID);
	assert_int_equal(rig.dev->features & 0xffffff, 0);
	assert_true(field_table_sound(&vsock_state_table, &e));
	assert_int_equal(field_table_check(&vsock_state_table, &saved, &e), 0);
	saved.guest_cid = 77;
	assert_int_equal(rig.dev->ops->load(rig.dev, &saved, &e), 0);
	virtio_dev_config_read(rig.dev, 0, &cid, sizeof(cid));
	assert_int_equal(cid, 77);
	saved.guest_cid = 2;
	assert_int_equal(field_table_check(&vsock_state_table, &saved, &e), -EINVAL);
	saved = (struct vsock_state){.guest_cid = 3, .reserved = 1};
	assert_int_equal(field_table_check(&vsock_state_table, &saved, &e), -EINVAL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_host_may_end_its_half_and_still_hear),
		T(the_guest_may_end_its_half_and_still_hear),
		T(a_guest_that_does_not_receive_stops_the_hosts_writes),
		T(a_guest_that_closes_gets_an_rst_when_all_is_delivered),
		T(a_host_that_never_reads_is_cut_off_two_seconds_after_the_guests_end),
		T(a_host_that_closes_has_its_last_bytes_delivered),
		T(a_reset_of_the_device_closes_the_hosts_ends),
		T(a_broken_driver_costs_nothing_until_its_reset),
		T(a_thousand_connections_live_side_by_side),
		T(a_storm_of_strays_is_answered_packet_by_packet),
		T(bad_packets_are_dropped_or_reset),
		T(a_stale_socket_is_replaced_and_a_served_one_is_not),
		T(other_files_and_bad_paths_are_refused),
		T(the_address_is_in_configuration_space_and_in_the_state),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("vsock_ends", tests, NULL, NULL);
}
