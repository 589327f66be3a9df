/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from the guest: what is sent, what is refused, and waiting for the host. */
#include "virtio/net.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/net_rig.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HDR NET_HEADER_SIZE

static const uint8_t mac[NET_MAC_SIZE] = {0x02, 0, 0, 0, 0, 0x11};
static struct net_rig rig;
static unsigned char frame[NET_FRAME_MAX + 1], out[HDR + NET_FRAME_MAX + 1];

static int setup(void **state)
{
	(void)state;
	net_rig_init(&rig, (struct net_config){.guest_mac = mac}, 1);
	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = net_rig_pattern(i);
	memcpy(frame + 6, mac, sizeof(mac));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	net_rig_fini(&rig);
	return 0;
}

static void transmit(struct net_header h, uint32_t len)
{
	net_rig_transmit(&rig, &h, frame, len);
}

static int sent(void)
{
	return net_rig_sent(&rig, 0, out, sizeof(out));
}

static void a_frame_goes_out_as_it_is(void **state)
{
	struct driver_used u;

	(void)state;
	transmit((struct net_header){0}, 1514);
	assert_int_equal(sent(), HDR + 1514);
	assert_memory_equal(out + HDR, frame, 1514);
	assert_true(driver_poll(&rig.q[NET_RIG_TX], &u));
	assert_int_equal(u.len, 0);
	assert_int_equal(net_rig_counters(&rig)->tx_bytes_count, 1514);
	assert_int_equal(net_rig_counters(&rig)->tx_packets_count, 1);
	assert_int_equal(net_rig_counters(&rig)->tx_spoofed_mac_count, 0);
	assert_int_equal(rig.q[0].queue_irqs, 1);
}

static void only_what_we_understand_of_a_header_goes_out(void **state)
{
	struct net_header h = {.flags = 0xfe, .csum_start = 7, .csum_offset = 8, .num_buffers = 9};

	(void)state;
	transmit(h, 60);
	assert_int_equal(sent(), HDR + 60);
	memcpy(&h, out, sizeof(h));
	assert_int_equal(h.flags, 0);
	assert_int_equal(h.csum_start + h.csum_offset + h.num_buffers, 0);
}

static void good_offloads_go_out_whole(void **state)
{
	static const struct net_header good[] = {
		{.flags = 1, .csum_start = 34, .csum_offset = 16},
		{.flags = 1, .csum_start = 0, .csum_offset = 598},
		{.flags = 1,
			.gso_type = 1,
			.gso_size = 100,
			.hdr_len = 54,
			.csum_start = 34,
			.csum_offset = 16},
		{.flags = 1,
			.gso_type = 4,
			.gso_size = 1,
			.hdr_len = 600,
			.csum_start = 54,
			.csum_offset = 16},
		{.flags = 1, .gso_type = 3, .gso_size = 100, .csum_start = 34, .csum_offset = 6},
		{.flags = 1, .gso_type = 5, .gso_size = 100, .csum_start = 34, .csum_offset = 6},
	};

	(void)state;
	for (size_t i = 0; i < NELEM(good); i++) {
		transmit(good[i], 600);
		assert_int_equal(sent(), HDR + 600);
		assert_memory_equal(out, &good[i], HDR);
	}
	assert_int_equal(net_rig_counters(&rig)->tx_malformed_frames, 0);
}

static void bad_headers_are_counted_and_not_sent(void **state)
{
	static const struct net_header bad[] = {
		{.flags = 1, .csum_start = 599, .csum_offset = 0},
		{.flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff},
		{.hdr_len = 601},
		{.gso_type = 1, .gso_size = 100},
		{.flags = 1, .gso_type = 1, .csum_start = 34, .csum_offset = 16},
		{.flags = 1, .gso_type = 2, .gso_size = 100},
		{.flags = 1, .gso_type = 6, .gso_size = 100},
		{.flags = 1, .gso_type = 0x81, .gso_size = 100},
		{.flags = 1, .gso_type = 0xff, .gso_size = 100},
	};
	struct driver_used u;

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		transmit(bad[i], 600);
		assert_int_equal(sent(), -1);
		assert_true(driver_poll(&rig.q[NET_RIG_TX], &u));
	}
	assert_int_equal(net_rig_counters(&rig)->tx_malformed_frames, NELEM(bad));
	assert_int_equal(rig.back->send_count, 0);
	assert_false(rig.dev->status & VIRTIO_STATUS_NEEDS_RESET);
}

static void offloads_that_were_not_accepted_are_malformed(void **state)
{
	static const struct net_header csum = {.flags = 1, .csum_start = 34, .csum_offset = 16};
	static const struct net_header tso = {
		.flags = 1, .gso_type = 1, .gso_size = 100, .csum_start = 34, .csum_offset = 16};

	(void)state;
	net_rig_start(&rig, DRIVER_FEATURES);
	transmit(csum, 600);
	net_rig_start(&rig, DRIVER_FEATURES | NET_RIG_CSUM);
	transmit(csum, 600);
	transmit(tso, 600);
	assert_int_equal(net_rig_counters(&rig)->tx_malformed_frames, 2);
	assert_int_equal(sent(), HDR + 600);
	assert_int_equal(sent(), -1);
}

static void frame_sizes_are_bounded(void **state)
{
	(void)state;
	transmit((struct net_header){0}, 13);
	transmit((struct net_header){0}, NET_FRAME_MAX + 1);
	assert_int_equal(net_rig_counters(&rig)->tx_malformed_frames, 2);
	assert_int_equal(sent(), -1);
	transmit((struct net_header){0}, 14);
	assert_int_equal(sent(), HDR + 14);
	transmit((struct net_header){0}, NET_FRAME_MAX);
	assert_int_equal(sent(), HDR + NET_FRAME_MAX);
	assert_memory_equal(out + HDR, frame, NET_FRAME_MAX);
}

static void short_and_writable_chains_are_malformed(void **state)
{
	uint64_t at = driver_alloc(&rig.q[0], 64, 1);

	(void)state;
	for (uint32_t len = 0; len < HDR + 14; len++) {
		(void)driver_chain(&rig.q[NET_RIG_TX], &(struct driver_buf){at, len, false}, 1);
		virtio_dev_notify(rig.dev, NET_RIG_TX);
	}
	(void)driver_chain(&rig.q[NET_RIG_TX], &(struct driver_buf){at, 64, true}, 1);
	virtio_dev_notify(rig.dev, NET_RIG_TX);
	assert_int_equal(net_rig_counters(&rig)->tx_malformed_frames, HDR + 14 + 1);
	assert_int_equal(rig.back->send_count, 0);
}

static void the_cuts_between_buffers_do_not_matter(void **state)
{
	uint64_t at = driver_alloc(&rig.q[0], HDR + 100, 1);

	(void)state;
	memset(driver_at(&rig.q[0], at), 0, HDR);
	memcpy(driver_at(&rig.q[0], at + HDR), frame, 100);
	(void)driver_chain(&rig.q[NET_RIG_TX],
		(struct driver_buf[]){{at, 7, false}, {at + 7, 6, false}, {at + 13, 20, false},
			{at + 33, HDR + 100 - 33, false}},
		4);
	virtio_dev_notify(rig.dev, NET_RIG_TX);
	assert_int_equal(sent(), HDR + 100);
	assert_memory_equal(out + HDR, frame, 100);
}

static void another_source_address_is_counted_but_sent(void **state)
{
	(void)state;
	frame[11] ^= 1;
	transmit((struct net_header){0}, 60);
	assert_int_equal(sent(), HDR + 60);
	assert_int_equal(net_rig_counters(&rig)->tx_spoofed_mac_count, 1);
}

static void a_full_host_queue_is_waited_for(void **state)
{
	struct driver_used u;

	(void)state;
	rig.back->send_err = -EAGAIN;
	transmit((struct net_header){0}, 60);
	assert_false(driver_poll(&rig.q[NET_RIG_TX], &u));
	assert_int_equal(net_rig_counters(&rig)->tx_remaining_reqs_count, 1);
	rig.back->send_err = 0;
	assert_int_equal(net_rig_turn(&rig), 1); /* writable */
	assert_true(driver_poll(&rig.q[NET_RIG_TX], &u));
	assert_int_equal(sent(), HDR + 60);
	assert_int_equal(net_rig_turn(&rig), 0);
}

static void a_host_that_refuses_a_frame_loses_it_alone(void **state)
{
	(void)state;
	rig.back->send_err = -EIO; /* a tap that is down */
	transmit((struct net_header){0}, 60);
	rig.back->send_err = 0;
	transmit((struct net_header){0}, 61);
	assert_int_equal(sent(), HDR + 61);
	assert_int_equal(net_rig_counters(&rig)->tap_write_fails, 1);
	assert_int_equal(net_rig_counters(&rig)->tx_fails, 1);
	assert_int_equal(net_rig_counters(&rig)->link_down_count, 0);
}

static void many_frames_are_taken_in_batches(void **state)
{
	uint64_t at = driver_alloc(&rig.q[0], HDR + 60, 1);

	(void)state;
	rig.back->send_err = -EIO;
	for (unsigned i = 0; i < NET_RIG_QUEUE; i++)
		(void)driver_chain(
			&rig.q[NET_RIG_TX], &(struct driver_buf){at, HDR + 60, false}, 1);
	rig.q[0].kicks = 0;
	virtio_dev_notify(rig.dev, NET_RIG_TX);
	assert_int_equal(driver_used_idx(&rig.q[NET_RIG_TX]), VIRTIO_BATCH_MAX);
	assert_int_equal(rig.q[0].kicks, 1); /* it will look again by itself */
	assert_int_equal(rig.q[0].queue_irqs, 1);
}

static void a_broken_ring_breaks_the_device(void **state)
{
	(void)state;
	driver_idx_set(&rig.q[NET_RIG_TX], NET_RIG_QUEUE + 1);
	virtio_dev_notify(rig.dev, NET_RIG_TX);
	assert_true(rig.dev->status & VIRTIO_STATUS_NEEDS_RESET);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_frame_goes_out_as_it_is),
		T(only_what_we_understand_of_a_header_goes_out),
		T(good_offloads_go_out_whole),
		T(bad_headers_are_counted_and_not_sent),
		T(offloads_that_were_not_accepted_are_malformed),
		T(frame_sizes_are_bounded),
		T(short_and_writable_chains_are_malformed),
		T(the_cuts_between_buffers_do_not_matter),
		T(another_source_address_is_counted_but_sent),
		T(a_full_host_queue_is_waited_for),
		T(a_host_that_refuses_a_frame_loses_it_alone),
		T(many_frames_are_taken_in_batches),
		T(a_broken_ring_breaks_the_device),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("net_tx", tests, NULL, NULL);
}
