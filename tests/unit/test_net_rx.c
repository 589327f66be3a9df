/* SPDX-License-Identifier: Apache-2.0 */
/* Frames to the guest: where they land, and what happens when they cannot. */
#include "virtio/net_dev.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/net_rig.h"

#include <string.h>
#include <unistd.h>

#define HDR NET_HEADER_SIZE

static struct net_rig rig;

static int setup(void **state)
{
	(void)state;
	net_rig_init(&rig, (struct net_config){0}, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	net_rig_fini(&rig);
	return 0;
}

/* The next used buffer; its length. */
static uint32_t received(void)
{
	struct driver_used u;

	assert_true(driver_poll(&rig.q[NET_RIG_RX], &u));
	return u.len;
}

static void assert_nothing_received(void)
{
	struct driver_used u;

	assert_false(driver_poll(&rig.q[NET_RIG_RX], &u));
}

static void assert_frame(uint64_t at, uint64_t off, uint64_t len)
{
	const unsigned char *data = driver_at(&rig.q[0], at);

	for (uint64_t i = 0; i < len; i++)
		if (data[i] != net_rig_pattern(off + i))
			fail_msg("byte %llu is %#x", (unsigned long long)i, data[i]);
}

static void a_frame_lands_in_the_first_buffer(void **state)
{
	uint64_t at = net_rig_post(&rig, 0, 2, 2048);
	struct net_header h;

	(void)state;
	net_rig_arrive(&rig, 0, NULL, 60);
	assert_int_equal(net_rig_turn(&rig), 1);

	assert_int_equal(received(), HDR + 60);
	memcpy(&h, driver_at(&rig.q[0], at), sizeof(h));
	assert_int_equal(h.num_buffers, 1);
	assert_int_equal(h.flags, 0);
	assert_frame(at + HDR, 0, 60);
	assert_int_equal(*(unsigned char *)driver_at(&rig.q[0], at + HDR + 60), 0xee);
	assert_nothing_received();
	assert_int_equal(rig.q[0].queue_irqs, 1);
	assert_int_equal(net_rig_counters(&rig)->rx_bytes_count, 60);
	assert_int_equal(net_rig_counters(&rig)->rx_packets_count, 1);
}

static void a_large_frame_is_merged_over_buffers(void **state)
{
	uint64_t at = net_rig_post(&rig, 0, 50, 1500);
	const uint32_t len = 40000;
	struct net_header h;
	uint32_t left = HDR + len;

	(void)state;
	net_rig_arrive(&rig, 0, NULL, len);
	assert_int_equal(net_rig_turn(&rig), 1);

	memcpy(&h, driver_at(&rig.q[0], at), sizeof(h));
	assert_int_equal(h.num_buffers, 27);
	for (unsigned i = 0; i < 27; i++) {
		assert_int_equal(received(), MIN(left, 1500));
		left -= MIN(left, 1500);
	}
	assert_nothing_received();
	assert_frame(at + HDR, 0, len);
}

static void unused_buffers_take_the_next_frames(void **state)
{
	uint64_t at = net_rig_post(&rig, 0, 50, 1500);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		net_rig_arrive(&rig, 0, NULL, 1000 + i);
	(void)net_rig_turn(&rig);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(received(), HDR + 1000 + i);
		assert_frame(at + i * 1500 + HDR, 0, 1000 + i);
	}
	assert_int_equal(rig.q[0].queue_irqs, 1);
}

static void all_buffers_of_a_frame_appear_at_once(void **state)
{
	(void)state;
	(void)net_rig_post(&rig, 0, 4, 100);
	net_rig_arrive(&rig, 0, NULL, 300);
	assert_int_equal(driver_used_idx(&rig.q[0]), 0);
	(void)net_rig_turn(&rig);
	assert_int_equal(driver_used_idx(&rig.q[0]), 4);
}

static void a_frame_larger_than_the_buffers_is_dropped_and_counted(void **state)
{
	uint64_t at = net_rig_post(&rig, 0, 2, 100);

	(void)state;
	net_rig_arrive(&rig, 0, NULL, 189);
	net_rig_arrive(&rig, 0, NULL, 188);
	(void)net_rig_turn(&rig);

	assert_int_equal(net_rig_counters(&rig)->rx_fails, 1);
	assert_int_equal(received(), 100);
	assert_int_equal(received(), 100);
	assert_frame(at + HDR, 0, 188);
	assert_false(rig.dev->status & VIRTIO_STATUS_NEEDS_RESET);
}

static void without_merging_a_frame_must_fit_one_buffer(void **state)
{
	uint64_t at;
	struct net_header h;

	(void)state;
	net_rig_start(&rig, rig.dev->features & ~NET_RIG_MRG);
	at = net_rig_post(&rig, 0, 3, 1526);
	net_rig_arrive(&rig, 0, NULL, 1515);
	net_rig_arrive(&rig, 0, NULL, 1514);
	(void)net_rig_turn(&rig);

	assert_int_equal(net_rig_counters(&rig)->rx_fails, 1);
	assert_int_equal(received(), 1526);
	assert_nothing_received();
	memcpy(&h, driver_at(&rig.q[0], at), sizeof(h));
	assert_int_equal(h.num_buffers, 1);
	assert_frame(at + HDR, 0, 1514);
}

static void header_and_frame_may_be_cut_anywhere(void **state)
{
	uint64_t at = driver_alloc(&rig.q[0], 2048, 1);

	(void)state;
	(void)driver_chain(&rig.q[0],
		(struct driver_buf[]){{at, 5, true}, {at + 5, 8, true}, {at + 13, 1, true},
			{at + 14, 2000, true}},
		4);
	virtio_dev_notify(rig.dev, 0);
	net_rig_arrive(&rig, 0, NULL, 1400);
	(void)net_rig_turn(&rig);
	assert_int_equal(received(), HDR + 1400);
	assert_frame(at + HDR, 0, 1400);
}

static void without_buffers_the_tap_is_not_watched_until_a_kick(void **state)
{
	(void)state;
	net_rig_arrive(&rig, 0, NULL, 60);
	assert_int_equal(net_rig_turn(&rig), 0);
	assert_int_equal(net_rig_counters(&rig)->no_rx_avail_buffer, 1);

	(void)net_rig_post(&rig, 0, 1, 2048);
	assert_int_equal(received(), HDR + 60);
	net_rig_arrive(&rig, 0, NULL, 60);
	assert_int_equal(net_rig_turn(&rig), 0); /* the one buffer is used up again */
	assert_int_equal(net_rig_counters(&rig)->rx_queue_event_count, 2);
}

static void a_driver_that_ran_low_is_waited_for(void **state)
{
	(void)state;
	(void)net_rig_post(&rig, 0, 45, 1500);
	net_rig_arrive(&rig, 0, NULL, 60000);
	net_rig_arrive(&rig, 0, NULL, 20000);
	(void)net_rig_turn(&rig);
	assert_int_equal(driver_used_idx(&rig.q[0]), 41);
	assert_int_equal(net_rig_counters(&rig)->rx_fails, 0);
	assert_int_equal(net_rig_turn(&rig), 0); /* and costs no time meanwhile */

	rig.q[0].free_desc = 0;
	(void)net_rig_post(&rig, 0, 41, 1500);
	assert_int_equal(driver_used_idx(&rig.q[0]), 41 + 14);
	assert_int_equal(net_rig_counters(&rig)->rx_fails, 0);
}

static void buffers_too_small_for_a_header_are_returned_empty(void **state)
{
	(void)state;
	(void)net_rig_post(&rig, 0, 1, HDR - 1);
	(void)net_rig_post(&rig, 0, 1, 500);
	assert_int_equal(received(), 0);
	net_rig_arrive(&rig, 0, NULL, 60);
	(void)net_rig_turn(&rig);
	assert_int_equal(received(), HDR + 60);
	assert_int_equal(net_rig_counters(&rig)->rx_fails, 1);
}

static void segments_that_nobody_accepted_are_dropped(void **state)
{
	const struct net_header tso = {.gso_type = 1, .gso_size = 1448, .flags = 1};
	const struct net_header csum = {.flags = 1, .csum_start = 34, .csum_offset = 16};

	(void)state;
	net_rig_start(&rig, DRIVER_FEATURES);
	assert_int_equal(rig.back->accepted, 0);
	(void)net_rig_post(&rig, 0, 4, 2048);
	net_rig_arrive(&rig, 0, &tso, 1000);
	net_rig_arrive(&rig, 0, &csum, 1000);
	(void)net_rig_turn(&rig);
	assert_nothing_received();
	assert_int_equal(net_rig_counters(&rig)->rx_fails, 2);

	net_rig_start(&rig, rig.dev->features);
	assert_int_equal(rig.back->accepted, NET_RIG_OFFLOADS);
	(void)net_rig_post(&rig, 0, 4, 2048);
	net_rig_arrive(&rig, 0, &tso, 1000);
	(void)net_rig_turn(&rig);
	assert_int_equal(received(), HDR + 1000);
}

static void a_flood_is_taken_in_batches(void **state)
{
	(void)state;
	(void)net_rig_post(&rig, 0, NET_RIG_QUEUE, 1600);
	for (unsigned i = 0; i < 10; i++)
		net_rig_arrive(&rig, 0, NULL, 5);
	for (unsigned i = 0; i < VIRTIO_BATCH_MAX / 2 / 10; i++)
		(void)net_rig_turn(&rig);
	assert_int_equal(
		net_rig_counters(&rig)->rx_fails, 10); /* runts: no buffer is used for them */
	assert_nothing_received();
}

static void every_byte_written_is_marked_dirty(void **state)
{
	uint64_t bits[DRIVER_RAM_SIZE / GMEM_PAGE_SIZE / 64] = {0};
	uint64_t at = driver_alloc(&rig.q[0], 3 * GMEM_PAGE_SIZE, GMEM_PAGE_SIZE);
	uint64_t page = (at - DRIVER_RAM_START) / GMEM_PAGE_SIZE;

	(void)state;
	rig.q[0].mem.dirty = bits;
	(void)driver_chain(&rig.q[0], &(struct driver_buf){at, 3 * GMEM_PAGE_SIZE, true}, 1);
	virtio_dev_notify(rig.dev, 0);
	net_rig_arrive(&rig, 0, NULL, 5000);
	(void)net_rig_turn(&rig);
	rig.q[0].mem.dirty = NULL;
	assert_true(bits[page / 64] >> (page % 64) & 1);
	assert_true(bits[(page + 1) / 64] >> ((page + 1) % 64) & 1);
	assert_false(bits[(page + 2) / 64] >> ((page + 2) % 64) & 1);
}

static void drain_gives_unused_buffers_back(void **state)
{
	(void)state;
	(void)net_rig_post(&rig, 0, 8, 2048);
	assert_int_equal(rig.dev->vqs[0].st.next_avail, 8);
	rig.dev->ops->drain(rig.dev);
	assert_int_equal(rig.dev->vqs[0].st.next_avail, 0);
	assert_int_equal(rig.dev->vqs[0].st.next_used, 0);
	net_rig_arrive(&rig, 0, NULL, 60);
	(void)net_rig_turn(&rig);
	assert_int_equal(received(), HDR + 60);
}

static void reset_forgets_buffers_and_stops_watching(void **state)
{
	uint64_t at = net_rig_post(&rig, 0, 2, 2048);

	(void)state;
	net_rig_arrive(&rig, 0, NULL, 60);
	virtio_dev_write_status(rig.dev, 0);
	assert_int_equal(net_rig_turn(&rig), 1); /* off the loop by this */
	assert_int_equal(net_rig_turn(&rig), 0);
	assert_int_equal(*(unsigned char *)driver_at(&rig.q[0], at), 0xee);

	net_rig_start(&rig, rig.dev->features);
	(void)net_rig_post(&rig, 0, 1, 2048);
	assert_int_equal(received(), HDR + 60);
}

static void a_broken_ring_breaks_the_device_once(void **state)
{
	(void)state;
	driver_idx_set(&rig.q[0], NET_RIG_QUEUE + 1);
	virtio_dev_notify(rig.dev, 0);
	assert_true(rig.dev->status & VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(rig.dev->counters.broken_count, 1);
	net_rig_arrive(&rig, 0, NULL, 60);
	assert_int_equal(net_rig_turn(&rig), 0);
}

static void a_stopped_queue_gets_no_frames(void **state)
{
	uint64_t at = net_rig_post(&rig, 0, 2, 2048);

	(void)state;
	virtio_dev_lock(rig.dev);
	virtio_dev_queue_stop(rig.dev, 0);
	virtio_dev_unlock(rig.dev);
	assert_int_equal(net_of(rig.dev)->pairs[0].rx.buf_count, 0);
	net_rig_arrive(&rig, 0, NULL, 60);
	(void)net_rig_turn(&rig);
	assert_int_equal(net_rig_turn(&rig), 0);
	assert_int_equal(*(unsigned char *)driver_at(&rig.q[0], at), 0xee);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_frame_lands_in_the_first_buffer),
		T(a_large_frame_is_merged_over_buffers),
		T(unused_buffers_take_the_next_frames),
		T(all_buffers_of_a_frame_appear_at_once),
		T(a_frame_larger_than_the_buffers_is_dropped_and_counted),
		T(without_merging_a_frame_must_fit_one_buffer),
		T(header_and_frame_may_be_cut_anywhere),
		T(without_buffers_the_tap_is_not_watched_until_a_kick),
		T(a_driver_that_ran_low_is_waited_for),
		T(buffers_too_small_for_a_header_are_returned_empty),
		T(segments_that_nobody_accepted_are_dropped),
		T(a_flood_is_taken_in_batches),
		T(every_byte_written_is_marked_dirty),
		T(drain_gives_unused_buffers_back),
		T(reset_forgets_buffers_and_stops_watching),
		T(a_broken_ring_breaks_the_device_once),
		T(a_stopped_queue_gets_no_frames),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("net_rx", tests, NULL, NULL);
}
