/* SPDX-License-Identifier: Apache-2.0 */
/* The passt back end against a peer that speaks its stream protocol, well and badly. */
#include "virtio/net_backend.h"

#include "tests/unit/lib/cm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HDR NET_HEADER_SIZE

static struct net_backend *b;
static int peer, listener;
static char path[108];
static unsigned char frame[NET_FRAME_MAX], got[4 + HDR + NET_FRAME_MAX + 16];

static int setup(void **state)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct net_config c = {.iface_id = "eth0", .passt_socket = path, .queue_pairs = 1};
	struct err e = {0};

	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/mayfly-passt-%d", getpid());
	(void)unlink(path);
	memcpy(a.sun_path, path, sizeof(path));
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(net_passt_open(&c, &b, &e), 0);
	peer = accept(listener, NULL, NULL);
	assert_true(peer >= 0);
	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = (unsigned char)(i ^ i >> 8);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	b->ops->close(b);
	(void)close(peer);
	(void)close(listener);
	(void)unlink(path);
	return 0;
}

static ssize_t receive(size_t max)
{
	struct iovec iov[2] = {{got, max < 20 ? max : 20}, {got + 20, max < 20 ? 0 : max - 20}};

	memset(got, 0xee, sizeof(got));
	return b->ops->receive(b, 0, iov, 2);
}

static int transmit(uint32_t len)
{
	static unsigned char head[HDR + 14];
	struct iovec iov[2] = {{head, sizeof(head)}, {frame + 14, len - 14}};

	memcpy(head + HDR, frame, 14);
	return b->ops->send(b, 0, iov, 2);
}

static void put(const void *data, size_t len)
{
	assert_int_equal(send(peer, data, len, 0), (ssize_t)len);
}

static void put_frame(uint32_t len)
{
	uint32_t prefix = htonl(len);

	put(&prefix, sizeof(prefix));
	put(frame, len);
}

static void frames_arrive_with_a_plain_header(void **state)
{
	static const unsigned char plain[HDR];

	(void)state;
	put_frame(60);
	put_frame(1514);
	assert_int_equal(receive(2000), HDR + 60);
	assert_memory_equal(got, plain, HDR);
	assert_memory_equal(got + HDR, frame, 60);
	assert_int_equal(receive(2000), HDR + 1514);
	assert_memory_equal(got + HDR, frame, 1514);
	assert_int_equal(receive(2000), -EAGAIN);
}

static void a_frame_in_single_bytes_is_put_together(void **state)
{
	uint32_t prefix = htonl(60);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(receive(2000), -EAGAIN);
		put((char *)&prefix + i, 1);
	}
	for (unsigned i = 0; i < 60; i++) {
		assert_int_equal(receive(2000), -EAGAIN);
		put(frame + i, 1);
	}
	assert_int_equal(receive(2000), HDR + 60);
	assert_memory_equal(got + HDR, frame, 60);
}

static void a_frame_larger_than_its_room_is_cut_alone(void **state)
{
	(void)state;
	put_frame(1000);
	put_frame(50);
	assert_int_equal(receive(HDR + 100), HDR + 100);
	assert_int_equal(receive(2000), HDR + 50);
	assert_memory_equal(got + HDR, frame, 50);
}

static void the_largest_frame_passes_both_ways(void **state)
{
	uint32_t prefix;

	(void)state;
	put_frame(NET_FRAME_MAX);
	assert_int_equal(receive(sizeof(got)), HDR + NET_FRAME_MAX);
	assert_memory_equal(got + HDR, frame, NET_FRAME_MAX);

	assert_int_equal(transmit(NET_FRAME_MAX), 0);
	assert_int_equal(recv(peer, got, 4 + NET_FRAME_MAX, MSG_WAITALL), 4 + NET_FRAME_MAX);
	memcpy(&prefix, got, 4);
	assert_int_equal(ntohl(prefix), NET_FRAME_MAX);
	assert_memory_equal(got + 4, frame, NET_FRAME_MAX);
}

static void impossible_lengths_end_the_stream(void **state)
{
	const uint32_t bad[] = {0, 13, NET_FRAME_MAX + 1, UINT32_MAX};

	for (size_t i = 0; i < NELEM(bad); i++) {
		uint32_t prefix = htonl(bad[i]);
		ssize_t rc;

		put(&prefix, sizeof(prefix));
		rc = receive(2000);
		assert_int_equal(rc, -EPROTO);
		assert_true(net_backend_lost((int)rc));
		assert_int_equal(teardown(state) + setup(state), 0);
	}
}

static void a_full_socket_takes_frames_whole_or_not_at_all(void **state)
{
	unsigned sent = 0, seen = 0;
	int rc;

	(void)state;
	while ((rc = transmit(30000)) == 0)
		sent++;
	assert_int_equal(rc, -EAGAIN);
	for (unsigned turn = 0; seen < sent; turn++) {
		ssize_t n = recv(peer, got, 4, MSG_DONTWAIT | MSG_PEEK);

		assert_true(turn < 1000);
		if (b->unfinished && n < 4)
			(void)b->ops->flush(b);
		n = recv(peer, got, 4 + 15000, MSG_WAITALL);
		assert_int_equal(n, 4 + 15000);
		if (b->unfinished)
			(void)b->ops->flush(b);
		n = recv(peer, got + n, 15000, MSG_WAITALL);
		assert_int_equal(n, 15000);
		assert_memory_equal(got + 4, frame, 30000);
		seen++;
		if (b->unfinished)
			(void)b->ops->flush(b);
	}
	assert_false(b->unfinished);
	assert_int_equal(recv(peer, got, 1, MSG_DONTWAIT), -1);
	assert_int_equal(transmit(60), 0);
}

static void a_peer_that_leaves_is_noticed(void **state)
{
	(void)state;
	(void)shutdown(peer, SHUT_RDWR);
	assert_true(net_backend_lost((int)receive(2000)));
	assert_true(net_backend_lost(transmit(60)));
}

static void a_socket_that_nobody_listens_on_is_named(void **state)
{
	struct net_config c = {
		.iface_id = "eth0", .passt_socket = "/nowhere/passt", .queue_pairs = 1};
	struct net_backend *other;
	struct err e = {0};
	char too_long[200];

	(void)state;
	assert_int_equal(net_passt_open(&c, &other, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/nowhere/passt"));
	memset(too_long, 'x', sizeof(too_long));
	too_long[sizeof(too_long) - 1] = 0;
	c.passt_socket = too_long;
	assert_int_equal(net_passt_open(&c, &other, &e), -ENAMETOOLONG);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(frames_arrive_with_a_plain_header),
		T(a_frame_in_single_bytes_is_put_together),
		T(a_frame_larger_than_its_room_is_cut_alone),
		T(the_largest_frame_passes_both_ways),
		T(impossible_lengths_end_the_stream),
		T(a_full_socket_takes_frames_whole_or_not_at_all),
		T(a_peer_that_leaves_is_noticed),
		cmocka_unit_test(a_socket_that_nobody_listens_on_is_named),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("net_passt", tests, NULL, NULL);
}
