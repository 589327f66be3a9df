/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often a vsock device and its driver disturb each other: interrupts and kicks under load, and
 * packets that go to the host together.
 */
#include "virtio/vsock.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/vsock_rig.h"
#include "virtio/vsock_table.h"

#include <sys/socket.h>
#include <unistd.h>

#define GUEST_PORT 1234u

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

static uint16_t *event_of(unsigned q, bool used_event)
{
	const struct rig_ring *g = &rig.ring[q];

	return driver_at(&rig.drv,
		used_event ? g->avail + 4 + 2ull * RIG_QUEUE : g->used + 4 + 8ull * RIG_QUEUE);
}

/* `count` packets of one byte that the device sees at once. */
static void send_batch(uint32_t port, int fd, unsigned count)
{
	struct vsock_hdr h = vsock_rig_hdr(VSOCK_OP_RW, GUEST_PORT, port);
	char got[16];

	h.len = 1;
	for (unsigned i = 0; i < count; i++)
		vsock_rig_offer(&rig, &h, &"abcdefghijklmnop"[i], 1);
	virtio_dev_notify(rig.dev, RIG_TX);
	assert_int_equal(recv(fd, got, sizeof(got), 0), count);
	assert_memory_equal(got, "abcdefghijklmnop", count);
}

static void a_batch_of_packets_is_one_interrupt(void **state)
{
	static const unsigned char bytes[4 * RIG_RX_SIZE];
	uint32_t port;
	int fd;

	(void)state;
	rig.plain = true;
	vsock_rig_start(&rig, RIG_RX_COUNT);
	fd = vsock_rig_open(&rig, GUEST_PORT, &port);
	rig.drv.queue_irqs = 0;
	send_batch(port, fd, 6);
	assert_int_equal(rig.drv.queue_irqs, 1);
	assert_int_equal(send(fd, bytes, RIG_RX_SIZE, 0), RIG_RX_SIZE);
	assert_int_equal(send(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	vsock_rig_turn(&rig);
	assert_int_equal(rig.drv.queue_irqs, 2);
	(void)close(fd);
}

static void packets_to_the_host_make_one_interrupt_at_most(void **state)
{
	uint32_t port;
	int fd = vsock_rig_open(&rig, GUEST_PORT, &port);

	(void)state;
	*event_of(RIG_TX, true) = (uint16_t)(rig.ring[RIG_TX].avail_idx + 6); /* the seventh */
	rig.drv.queue_irqs = 0;
	send_batch(port, fd, 6);
	assert_int_equal(rig.drv.queue_irqs, 0);
	send_batch(port, fd, 6);
	assert_int_equal(rig.drv.queue_irqs, 1);
	assert_int_equal(*event_of(RIG_TX, false), rig.ring[RIG_TX].avail_idx);
	(void)close(fd);
}

static void packets_to_the_guest_make_one_interrupt_at_most(void **state)
{
	static const unsigned char bytes[6 * RIG_RX_SIZE];
	uint32_t port;
	int fd = vsock_rig_open(&rig, GUEST_PORT, &port);
	uint16_t had = rig.ring[RIG_RX].used_seen;

	(void)state;
	*event_of(RIG_RX, true) = (uint16_t)(had + 6); /* the seventh */
	rig.drv.queue_irqs = 0;
	assert_int_equal(send(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	vsock_rig_turn(&rig);
	assert_int_equal(rig.drv.queue_irqs, 0);
	assert_int_equal(send(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	vsock_rig_turn(&rig);
	assert_int_equal(rig.drv.queue_irqs, 1);
	(void)close(fd);
}

static void a_guest_that_refills_is_asked_for_few_kicks(void **state)
{
	static const unsigned char bytes[4 * RIG_RX_COUNT * RIG_RX_SIZE];
	const uint32_t len = RIG_RX_SIZE + VSOCK_HDR_SIZE;
	uint32_t port, slot = 0;
	unsigned kicks = 0;
	int fd = vsock_rig_open(&rig, GUEST_PORT, &port);

	(void)state;
	rig.hold_rx = true;
	assert_int_equal(send(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	vsock_rig_turn(&rig); /* all buffers are used up now */
	for (unsigned i = 0; i < 2 * RIG_RX_COUNT; i++, slot++) {
		uint16_t old = rig.ring[RIG_RX].avail_idx;

		vsock_rig_post(&rig, slot % RIG_RX_COUNT, len);
		if (*event_of(RIG_RX, false) != old)
			continue;
		kicks++;
		vsock_rig_post(&rig, ++slot % RIG_RX_COUNT, len); /* before it arrives */
		virtio_dev_notify(rig.dev, RIG_RX);
	}
	assert_in_range(kicks, 3, RIG_RX_COUNT / 2);
	/* Fewer than asked for are taken all the same. */
	vsock_rig_post(&rig, slot % RIG_RX_COUNT, len);
	for (unsigned i = 0; i < 10000; i++) {
		(void)usleep(1000);
		vsock_rig_turn(&rig);
		if (rig.dev->vqs[RIG_RX].st.next_used == rig.ring[RIG_RX].avail_idx)
			break;
	}
	assert_int_equal(rig.dev->vqs[RIG_RX].st.next_used, rig.ring[RIG_RX].avail_idx);
	(void)close(fd);
}

/* ---- packets that go to the host together ---- */

#define PIECE 4000u

static void what_the_socket_does_not_take_of_a_batch_follows_in_order(void **state)
{
	static unsigned char sent[8 * PIECE], got[8 * PIECE];
	struct vsock_hdr h;
	uint32_t port, seen = 0;
	int fd = vsock_rig_open(&rig, GUEST_PORT, &port), small = 8192;

	(void)state;
	for (uint32_t i = 0; i < sizeof(sent); i++)
		sent[i] = rig_pattern(i);
	assert_int_equal(
		setsockopt(vsock_table_find(vsock_rig_table(&rig), port, GUEST_PORT)->source.fd,
			SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)),
		0);
	h = vsock_rig_hdr(VSOCK_OP_RW, GUEST_PORT, port);
	h.len = PIECE;
	for (unsigned i = 0; i < 8; i++)
		vsock_rig_offer(&rig, &h, sent + (size_t)i * PIECE, PIECE);
	virtio_dev_notify(rig.dev, RIG_TX);
	assert_true(vsock_rig_counters(&rig)->tx_bytes_count > 0);
	assert_true(vsock_rig_counters(&rig)->tx_bytes_count < sizeof(sent));
	while (seen < sizeof(sent)) {
		ssize_t n = recv(fd, got + seen, sizeof(got) - seen, 0);

		assert_true(n > 0);
		seen += (uint32_t)n;
		vsock_rig_turn(&rig);
	}
	assert_memory_equal(got, sent, sizeof(sent));
	assert_int_equal(vsock_rig_counters(&rig)->tx_bytes_count, sizeof(sent));
	(void)close(fd);
}

static void packets_of_two_connections_in_one_batch_go_their_ways(void **state)
{
	uint32_t port[2];
	int fd[2] = {vsock_rig_open(&rig, GUEST_PORT, &port[0]),
		vsock_rig_open(&rig, GUEST_PORT + 1, &port[1])};
	struct vsock_hdr h;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		h = vsock_rig_hdr(VSOCK_OP_RW, GUEST_PORT + i / 2 % 2, port[i / 2 % 2]);
		h.len = 1;
		vsock_rig_offer(&rig, &h, &"abcdef"[i], 1);
	}
	h = vsock_rig_hdr(VSOCK_OP_SHUTDOWN, GUEST_PORT, port[0]);
	h.flags = VSOCK_SHUTDOWN_SEND;
	vsock_rig_offer(&rig, &h, "", 0);
	virtio_dev_notify(rig.dev, RIG_TX);
	rig_expect_bytes(fd[0], "abef", 4);
	assert_true(rig_at_end(fd[0]));
	rig_expect_bytes(fd[1], "cd", 2);
	(void)close(fd[0]);
	(void)close(fd[1]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_batch_of_packets_is_one_interrupt),
		T(packets_to_the_host_make_one_interrupt_at_most),
		T(packets_to_the_guest_make_one_interrupt_at_most),
		T(a_guest_that_refills_is_asked_for_few_kicks),
		T(what_the_socket_does_not_take_of_a_batch_follows_in_order),
		T(packets_of_two_connections_in_one_batch_go_their_ways),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("vsock_load", tests, NULL, NULL);
}
