/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vsock device with real sockets: handshakes and data; ends and limits are in
 * test_vsock_ends.c.
 */
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

/* ---- handshakes ---- */

static void a_client_of_the_host_reaches_the_guest(void **state)
{
	uint32_t port;
	int fd = vsock_rig_open(&rig, GUEST_PORT, &port);

	(void)state;
	vsock_rig_send(&rig, VSOCK_OP_RW, GUEST_PORT, port, "hello", 5);
	rig_expect_bytes(fd, "hello", 5);
	assert_int_equal(send(fd, "world", 5, 0), 5);
	assert_int_equal(vsock_rig_expect(&rig, VSOCK_OP_RW).len, 5);
	assert_int_equal(vsock_rig_counters(&rig)->conns_added, 1);
	(void)close(fd);
}

static void bytes_behind_the_greeting_belong_to_the_stream(void **state)
{
	const unsigned char *data;
	struct vsock_hdr h;
	int fd = vsock_rig_connect(&rig);

	(void)state;
	assert_int_equal(send(fd, "connect  99 \nearly", 18, 0), 18);
	h = vsock_rig_expect(&rig, VSOCK_OP_REQUEST);
	vsock_rig_send(&rig, VSOCK_OP_RESPONSE, 99, h.src_port, NULL, 0);
	assert_true(vsock_rig_recv(&rig, &h, &data));
	assert_int_equal(h.op, VSOCK_OP_RW);
	assert_int_equal(h.len, 5);
	assert_memory_equal(data, "early", 5);
	(void)close(fd);
}

static void a_greeting_may_come_in_pieces(void **state)
{
	const char *line = "CONNECT 4294967295\n";
	int fd = vsock_rig_connect(&rig);

	(void)state;
	for (size_t i = 0; line[i]; i++) {
		vsock_rig_expect_none(&rig);
		assert_int_equal(send(fd, line + i, 1, 0), 1);
	}
	assert_int_equal(vsock_rig_expect(&rig, VSOCK_OP_REQUEST).dst_port, UINT32_MAX);
	(void)close(fd);
}

static void greetings_are_judged(void **state)
{
	static const struct {
		const char *line;
		bool good;
		uint32_t port;
	} rows[] = {
		{"CONNECT 1", true, 1},
		{"connect 0", true, 0},
		{"Connect\t77\r", true, 77},
		{"CONNECT 4294967295", true, UINT32_MAX},
		{"CONNECT 4294967296", false, 0},
		{"CONNECT 99999999999999999999999", false, 0},
		{"CONNECT", false, 0},
		{"CONNECT ", false, 0},
		{"CONNECT x", false, 0},
		{"CONNECT -1", false, 0},
		{"CONNECT 1 2", false, 0},
		{"CONNECT 1x", false, 0},
		{"CONNECTX 1", false, 0},
		{"CONNECT1", false, 0},
		{"GET / HTTP/1.1", false, 0},
		{"", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < NELEM(rows); i++) {
		uint32_t port = 7;

		if (vsock_greeting_parse(rows[i].line, strlen(rows[i].line), &port) != rows[i].good)
			fail_msg("\"%s\" is judged wrongly", rows[i].line);
		assert_int_equal(port, rows[i].good ? rows[i].port : 7);
	}
}

static void a_bad_greeting_closes_the_client(void **state)
{
	static const char *const bad[] = {
		"HELLO 1\n", "CONNECT 5x\n", "CONNECT 1111111111111111111111111111111111\n", "\n"};

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		int fd = vsock_rig_connect(&rig);
		char c;

		assert_int_equal(send(fd, bad[i], strlen(bad[i]), 0), strlen(bad[i]));
		vsock_rig_expect_none(&rig);
		assert_true(recv(fd, &c, 1, 0) <= 0);
		(void)close(fd);
	}
	assert_int_equal(vsock_rig_table(&rig)->count, 0);
}

static void a_client_that_leaves_before_its_greeting_frees_its_place(void **state)
{
	int fd = vsock_rig_connect(&rig);

	(void)state;
	assert_int_equal(send(fd, "CONN", 4, 0), 4);
	vsock_rig_turn(&rig);
	assert_int_equal(vsock_rig_table(&rig)->count, 1);
	(void)close(fd);
	vsock_rig_turn(&rig);
	assert_int_equal(vsock_rig_table(&rig)->count, 0);
}

static void a_guest_that_refuses_closes_the_client(void **state)
{
	int fd = vsock_rig_connect(&rig);
	struct vsock_hdr h;

	(void)state;
	assert_int_equal(send(fd, "CONNECT 5\n", 10, 0), 10);
	h = vsock_rig_expect(&rig, VSOCK_OP_REQUEST);
	vsock_rig_send(&rig, VSOCK_OP_RST, 5, h.src_port, NULL, 0);
	assert_true(rig_at_end(fd));
	vsock_rig_expect_none(&rig); /* an RST is not answered */
	(void)close(fd);
}

static void a_guest_that_does_not_answer_is_given_two_seconds(void **state)
{
	int fd = vsock_rig_connect(&rig);
	uint64_t deadline;

	(void)state;
	assert_int_equal(send(fd, "CONNECT 5\n", 10, 0), 10);
	(void)vsock_rig_expect(&rig, VSOCK_OP_REQUEST);
	assert_non_null(vsock_timer_first(vsock_rig_table(&rig)));
	deadline = vsock_timer_first(vsock_rig_table(&rig))->deadline_ns;
	assert_in_range(deadline - clock_mono_ns(), 1900 * CLOCK_NS_PER_MS, 2 * CLOCK_NS_PER_S);
	vsock_muxer_expire(vsock_rig_muxer(&rig), deadline - 1);
	assert_false(rig_at_end(fd));
	vsock_muxer_expire(vsock_rig_muxer(&rig), deadline);
	assert_true(rig_at_end(fd));
	virtio_dev_notify(rig.dev, RIG_RX);
	(void)vsock_rig_expect(&rig, VSOCK_OP_RST);
	assert_int_equal(vsock_rig_table(&rig)->count, 0);
	assert_int_equal(vsock_rig_counters(&rig)->conns_killed, 1);
	(void)close(fd);
}

static void the_timer_really_fires(void **state)
{
	int fd = vsock_rig_connect(&rig);
	struct epoll_event ev;

	(void)state;
	assert_int_equal(send(fd, "CONNECT 5\n", 10, 0), 10);
	(void)vsock_rig_expect(&rig, VSOCK_OP_REQUEST);
	assert_int_equal(epoll_wait(rig.loop.epoll_fd, &ev, 1, 3000), 1);
	(void)vsock_rig_expect(&rig, VSOCK_OP_RST);
	assert_true(rig_at_end(fd));
	(void)close(fd);
}

static void the_guest_reaches_a_listener_of_the_host(void **state)
{
	int fd = vsock_rig_open_guest(&rig, GUEST_PORT, HOST_PORT);

	(void)state;
	vsock_rig_send(&rig, VSOCK_OP_RW, GUEST_PORT, HOST_PORT, "ping", 4);
	rig_expect_bytes(fd, "ping", 4);
	assert_int_equal(send(fd, "pong", 4, 0), 4);
	assert_int_equal(vsock_rig_expect(&rig, VSOCK_OP_RW).fwd_cnt, 4);
	assert_int_equal(vsock_rig_counters(&rig)->tx_bytes_count, 4);
	assert_int_equal(vsock_rig_counters(&rig)->rx_bytes_count, 4);
	(void)close(fd);
}

static void a_port_that_nobody_serves_is_reset(void **state)
{
	struct vsock_hdr h;

	(void)state;
	vsock_rig_send(&rig, VSOCK_OP_REQUEST, GUEST_PORT, 9999, NULL, 0);
	h = vsock_rig_expect(&rig, VSOCK_OP_RST);
	assert_int_equal(h.src_port, 9999);
	assert_int_equal(h.dst_port, GUEST_PORT);
	assert_int_equal(vsock_rig_table(&rig)->count, 0);
}

/* ---- data ---- */

static void what_the_host_does_not_take_waits_and_follows_in_order(void **state)
{
	static unsigned char got[1 << 20];
	int fd = vsock_rig_open_guest(&rig, GUEST_PORT, HOST_PORT);
	uint32_t told = 0, total = vsock_rig_fill(&rig, GUEST_PORT, HOST_PORT);
	struct vsock_hdr h;

	(void)state;
	for (uint32_t at = 0; at < total;) {
		ssize_t n = recv(fd, got + at, sizeof(got) - at, 0);

		assert_true(n > 0);
		at += (uint32_t)n;
		vsock_rig_turn(&rig);
	}
	for (uint32_t i = 0; i < total; i++)
		if (got[i] != rig_pattern(i))
			fail_msg("byte %u is %#x", i, got[i]);
	while (vsock_rig_recv(&rig, &h, NULL))
		told = h.fwd_cnt;
	assert_in_range(total - told, 0, VSOCK_BUFFER_SIZE / 2);
	(void)close(fd);
}

static void more_than_the_credit_ends_the_connection(void **state)
{
	static unsigned char data[VSOCK_BUFFER_SIZE + 1];
	int fd = vsock_rig_open_guest(&rig, GUEST_PORT, HOST_PORT);

	(void)state;
	vsock_rig_send(&rig, VSOCK_OP_RW, GUEST_PORT, HOST_PORT, data, sizeof(data));
	(void)vsock_rig_expect(&rig, VSOCK_OP_RST);
	assert_true(rig_at_end(fd));
	(void)close(fd);
}

static void the_guests_credit_is_kept_and_asked_for_once(void **state)
{
	static unsigned char data[5000];
	uint32_t port, got = 0;
	int fd = vsock_rig_open(&rig, GUEST_PORT, &port);
	struct vsock_hdr h = vsock_rig_hdr(VSOCK_OP_CREDIT_UPDATE, GUEST_PORT, port);

	(void)state;
	h.buf_alloc = 3000;
	vsock_rig_send_raw(&rig, &h, NULL, 0);
	assert_int_equal(send(fd, data, sizeof(data), 0), sizeof(data));
	while (got < 3000)
		got += vsock_rig_expect(&rig, VSOCK_OP_RW).len;
	assert_int_equal(got, 3000);
	(void)vsock_rig_expect(&rig, VSOCK_OP_CREDIT_REQUEST);
	vsock_rig_send_raw(&rig, &h, NULL, 0); /* "still none" */
	vsock_rig_expect_none(&rig);
	h.fwd_cnt = 1;
	vsock_rig_send_raw(&rig, &h, NULL, 0);
	assert_int_equal(vsock_rig_expect(&rig, VSOCK_OP_RW).len, 1);
	h.fwd_cnt = 3000;
	h.buf_alloc = 0x40000;
	(void)vsock_rig_expect(&rig, VSOCK_OP_CREDIT_REQUEST);
	vsock_rig_send_raw(&rig, &h, NULL, 0);
	for (got = 0; got < 1999;)
		got += vsock_rig_expect(&rig, VSOCK_OP_RW).len;
	assert_int_equal(got, 1999);
	(void)close(fd);
}

static void without_guest_buffers_nothing_spins_and_nothing_is_lost(void **state)
{
	static unsigned char data[10000];
	uint32_t port, got = 0;
	const unsigned char *at;
	struct vsock_hdr h;
	int fd = vsock_rig_open(&rig, GUEST_PORT, &port);

	(void)state;
	rig.hold_rx = true;
	vsock_rig_start(&rig, 0);
	(void)close(fd);
	fd = vsock_rig_connect(&rig);
	assert_int_equal(send(fd, "CONNECT 7\n", 10, 0), 10);
	vsock_rig_turn(&rig);
	vsock_rig_expect_none(&rig);
	vsock_rig_turn(&rig);
	assert_int_equal(rig.events, 0);
	vsock_rig_post(&rig, 0, RIG_RX_SIZE);
	virtio_dev_notify(rig.dev, RIG_RX);
	h = vsock_rig_expect(&rig, VSOCK_OP_REQUEST);
	port = h.src_port;
	vsock_rig_send(&rig, VSOCK_OP_RESPONSE, 7, port, NULL, 0);
	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = rig_pattern(i);
	assert_int_equal(send(fd, data, sizeof(data), 0), sizeof(data));
	vsock_rig_turn(&rig);
	vsock_rig_turn(&rig);
	assert_int_equal(rig.events, 0);
	while (got < sizeof(data)) {
		vsock_rig_post(&rig, 1, RIG_RX_SIZE);
		virtio_dev_notify(rig.dev, RIG_RX);
		assert_true(vsock_rig_recv(&rig, &h, &at));
		assert_memory_equal(at, data + got, h.len);
		got += h.len;
	}
	(void)close(fd);
}

/* A turn is one read: whoever asks next is served before the second read of the first. */
static void an_interactive_stream_waits_one_turn_of_a_bulk_stream(void **state)
{
	static unsigned char bulk[150000];
	uint32_t bulk_port, other_port, before = 0;
	struct vsock_hdr h;
	int a = vsock_rig_open(&rig, 1, &bulk_port);
	int b = vsock_rig_open(&rig, 2, &other_port);

	(void)state;
	/* Both are ready while the guest has no buffers; then it gives one after the other. */
	rig.hold_rx = true;
	for (uint32_t i = 0; i < 2 * RIG_RX_COUNT; i++) {
		assert_int_equal(send(a, bulk, RIG_RX_SIZE, 0), RIG_RX_SIZE);
		if (!vsock_rig_recv(&rig, &h, NULL))
			break;
	}
	assert_int_equal(send(a, bulk, sizeof(bulk), 0), sizeof(bulk));
	vsock_rig_turn(&rig);
	assert_int_equal(send(b, "x", 1, 0), 1);
	vsock_rig_turn(&rig);
	for (uint32_t i = 0; i < 63; i++)
		vsock_rig_post(&rig, i, RIG_RX_SIZE + VSOCK_HDR_SIZE);
	virtio_dev_notify(rig.dev, RIG_RX);
	for (;;) {
		assert_true(vsock_rig_recv(&rig, &h, NULL));
		if (h.dst_port == 2)
			break;
		before += h.len;
	}
	assert_in_range(before, 0, VSOCK_BUFFER_SIZE);
	(void)close(a);
	(void)close(b);
}

/* Two bulk streams get the same, to one turn. */
static void equal_streams_get_equal_shares(void **state)
{
	static unsigned char bulk[200000];
	uint32_t ports[2], got[2] = {0, 0};
	int fds[2] = {vsock_rig_open(&rig, 0, &ports[0]), vsock_rig_open(&rig, 1, &ports[1])};
	struct vsock_hdr h;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_true(send(fds[i], bulk, sizeof(bulk), MSG_DONTWAIT) > 150000);
	/* The first to be heard has all buffers that lie ready. */
	for (uint32_t i = 0; i < RIG_RX_COUNT; i++)
		(void)vsock_rig_expect(&rig, VSOCK_OP_RW);
	for (int i = 0; i < 200; i++) {
		assert_true(vsock_rig_recv(&rig, &h, NULL));
		got[h.dst_port] += h.len;
	}
	assert_in_range(got[0] + 16 * RIG_RX_SIZE - got[1], 0, 32 * RIG_RX_SIZE);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_client_of_the_host_reaches_the_guest),
		T(bytes_behind_the_greeting_belong_to_the_stream),
		T(a_greeting_may_come_in_pieces),
		cmocka_unit_test(greetings_are_judged),
		T(a_bad_greeting_closes_the_client),
		T(a_client_that_leaves_before_its_greeting_frees_its_place),
		T(a_guest_that_refuses_closes_the_client),
		T(a_guest_that_does_not_answer_is_given_two_seconds),
		T(the_timer_really_fires),
		T(the_guest_reaches_a_listener_of_the_host),
		T(a_port_that_nobody_serves_is_reset),
		T(what_the_host_does_not_take_waits_and_follows_in_order),
		T(more_than_the_credit_ends_the_connection),
		T(the_guests_credit_is_kept_and_asked_for_once),
		T(without_guest_buffers_nothing_spins_and_nothing_is_lost),
		T(an_interactive_stream_waits_one_turn_of_a_bulk_stream),
		T(equal_streams_get_equal_shares),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("vsock", tests, NULL, NULL);
}
