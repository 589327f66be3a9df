/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network device apart from its frames: features, configuration space, control queue, link,
 * limits, state.
 */
#include "virtio/net.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/net_rig.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define HDR  NET_HEADER_SIZE
#define CTRL (2 * NET_PAIRS_MAX)

static const uint8_t mac[NET_MAC_SIZE] = {0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee};
static struct net_rig rig;

static int setup(void **state)
{
	(void)state;
	net_rig_init(&rig, (struct net_config){.guest_mac = mac, .mtu = 9000}, NET_PAIRS_MAX);
	return 0;
}

static int setup_plain(void **state)
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

static void configuration_space_tells_what_was_configured(void **state)
{
	unsigned char space[12];

	(void)state;
	virtio_dev_config_read(rig.dev, 0, space, sizeof(space));
	assert_memory_equal(space, mac, sizeof(mac));
	assert_int_equal(space[6] | space[7] << 8, 1);
	assert_int_equal(space[8] | space[9] << 8, NET_PAIRS_MAX);
	assert_int_equal(space[10] | space[11] << 8, 9000);
	/* CSUM, GUEST_CSUM, MTU, MAC, GUEST_TSO4/6, GUEST_UFO, HOST_TSO4/6, HOST_UFO, MRG_RXBUF,
	 * STATUS, CTRL_VQ, MQ */
	assert_int_equal(rig.dev->features & 0xffffff, 0x43dda3 + 0x8);
	assert_int_equal(rig.dev->queue_count, CTRL + 1);
}

static void a_plain_device_offers_no_more_than_it_has(void **state)
{
	(void)state;
	assert_int_equal(rig.dev->queue_count, 2);
	assert_false(rig.dev->features & (NET_BIT(3) | NET_BIT(5) | NET_BIT(17) | NET_BIT(22)));
}

static void mac_addresses_are_parsed_strictly(void **state)
{
	static const char *const bad[] = {"", "02:aa:bb:cc:dd", "02:aa:bb:cc:dd:ee:ff",
		"02-aa-bb-cc-dd-ee", "02:aa:bb:cc:dd:eg", "02:aa:bb:cc:dd:e", " 2:aa:bb:cc:dd:ee",
		"02:aa:bb:cc:dd:ee "};
	uint8_t got[NET_MAC_SIZE] = {0};

	(void)state;
	assert_int_equal(net_mac_parse("02:aA:Bb:cc:DD:eE", got), 0);
	assert_memory_equal(got, mac, sizeof(mac));
	for (size_t i = 0; i < NELEM(bad); i++)
		assert_int_equal(net_mac_parse(bad[i], got), -EINVAL);
	assert_memory_equal(got, mac, sizeof(mac));
}

/* The answer to a command, 0xff if there is none. */
static uint8_t command(unsigned q, const void *cmd, uint32_t len)
{
	uint64_t at = driver_alloc(&rig.q[0], len + 1, 1);
	uint64_t ack = driver_alloc(&rig.q[0], 1, 1);
	struct driver_used u;

	memcpy(driver_at(&rig.q[0], at), cmd, len);
	*(uint8_t *)driver_at(&rig.q[0], ack) = 0xff;
	(void)driver_chain(&rig.q[q], (struct driver_buf[]){{at, len, false}, {ack, 1, true}}, 2);
	virtio_dev_notify(rig.dev, (uint16_t)q);
	return driver_poll(&rig.q[q], &u) ? *(uint8_t *)driver_at(&rig.q[0], ack) : 0xff;
}

static void only_the_first_pair_works_until_more_are_asked_for(void **state)
{
	const uint8_t three[] = {4, 0, 3, 0}, one[] = {4, 0, 1, 0};
	struct driver_used u;

	(void)state;
	assert_int_equal(rig.back->pairs, 1);
	(void)net_rig_post(&rig, 4, 2, 2048);
	net_rig_arrive(&rig, 2, NULL, 60);
	assert_int_equal(net_rig_turn(&rig), 0);

	assert_int_equal(command(CTRL, three, sizeof(three)), 0);
	assert_int_equal(rig.back->pairs, 3);
	assert_true(driver_poll(&rig.q[4], &u));
	assert_int_equal(u.len, HDR + 60);

	assert_int_equal(command(CTRL, one, sizeof(one)), 0);
	net_rig_arrive(&rig, 2, NULL, 60);
	assert_int_equal(net_rig_turn(&rig), 0);
	assert_int_equal(rig.dev->vqs[4].st.next_avail, 1); /* the other buffer went back */
}

static void bad_commands_are_refused(void **state)
{
	static const uint8_t bad[][4] = {{4, 0, 0, 0}, {4, 0, 4, 0}, {4, 0, 0xff, 0xff},
		{4, 1, 2, 0}, {0, 0, 1, 0}, {1, 0, 1, 0}, {3, 0, 1, 0}, {0xff, 0xff, 1, 0}};

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++)
		assert_int_equal(command(CTRL, bad[i], 4), 1);
	assert_int_equal(command(CTRL, "\4\0\2", 3), 1);
	assert_int_equal(command(CTRL, "\4\0\2\0\0", 5), 1);
	assert_int_equal(rig.back->pairs, 1);
	assert_int_equal(net_rig_counters(&rig)->cfg_fails, NELEM(bad) + 2);
}

static void without_mq_the_control_queue_is_the_third(void **state)
{
	const uint8_t two[] = {4, 0, 2, 0};

	(void)state;
	net_rig_start(&rig, rig.dev->features & ~NET_BIT(22));
	assert_int_equal(command(2, two, sizeof(two)), 1);
	assert_int_equal(rig.back->pairs, 1);
}

static void a_reset_goes_back_to_one_pair(void **state)
{
	const uint8_t three[] = {4, 0, 3, 0};

	(void)state;
	assert_int_equal(command(CTRL, three, sizeof(three)), 0);
	net_rig_start(&rig, rig.dev->features);
	assert_int_equal(rig.back->pairs, 1);
}

static void a_lost_back_end_takes_the_link_down_and_goes_quiet(void **state)
{
	uint64_t frame = driver_alloc(&rig.q[0], HDR + 60, 1);
	unsigned char link[2];
	struct driver_used u;

	(void)state;
	(void)net_rig_post(&rig, 0, 2, 2048);
	assert_int_equal(send(rig.far[0], "", 0, 0), 0); /* read as the end */
	assert_int_equal(net_rig_turn(&rig), 1);
	assert_int_equal(net_rig_turn(&rig), 0);
	virtio_dev_config_read(rig.dev, 6, link, 2);
	assert_int_equal(link[0], 0);
	assert_int_equal(rig.q[0].config_irqs, 1);
	assert_int_equal(net_rig_counters(&rig)->link_down_count, 1);

	(void)driver_chain(&rig.q[NET_RIG_TX], &(struct driver_buf){frame, HDR + 60, false}, 1);
	virtio_dev_notify(rig.dev, NET_RIG_TX);
	assert_true(driver_poll(&rig.q[NET_RIG_TX], &u));
	assert_int_equal(rig.back->send_count, 0);
	assert_false(rig.dev->status & VIRTIO_STATUS_NEEDS_RESET);
}

static void refused_offloads_are_counted_and_frames_flow(void **state)
{
	struct driver_used u;

	(void)state;
	rig.back->offloads_err = -EINVAL;
	net_rig_start(&rig, rig.dev->features);
	assert_int_equal(net_rig_counters(&rig)->activate_fails, 1);
	(void)net_rig_post(&rig, 0, 2, 2048);
	net_rig_arrive(&rig, 0, NULL, 60);
	(void)net_rig_turn(&rig);
	assert_true(driver_poll(&rig.q[0], &u));
}

static void segmentation_without_checksums_is_not_asked_for(void **state)
{
	(void)state;
	net_rig_start(&rig, DRIVER_FEATURES | NET_BIT(7));
	assert_int_equal(rig.back->accepted, 0);
	net_rig_start(&rig, DRIVER_FEATURES | NET_BIT(7) | NET_BIT(1));
	assert_int_equal(rig.back->accepted, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4);
}

/* Turns until a buffer is used; the time is the limiter's business, here it only has to come. */
static bool wait_used(unsigned q)
{
	struct timespec nap = {.tv_nsec = 1000000};
	struct driver_used u;

	for (int i = 0; i < 2000; i++) {
		if (driver_poll(&rig.q[q], &u))
			return true;
		(void)net_rig_turn(&rig);
		(void)nanosleep(&nap, NULL);
	}
	return false;
}

static void limited_frames_wait_and_then_pass_both_ways(void **state)
{
	const struct rate_limiter_config one = {
		.has_ops = true, .ops = {.size = 1, .refill_time_ms = 20}};
	uint64_t frame = driver_alloc(&rig.q[0], HDR + 60, 1);
	struct driver_used u;

	(void)state;
	net_set_limits(rig.dev, &one, &one);
	(void)net_rig_post(&rig, 0, 4, 2048);
	net_rig_arrive(&rig, 0, NULL, 60);
	net_rig_arrive(&rig, 0, NULL, 60);
	(void)net_rig_turn(&rig);
	assert_true(driver_poll(&rig.q[0], &u));
	assert_false(driver_poll(&rig.q[0], &u));
	assert_int_equal(net_rig_counters(&rig)->rx_rate_limiter_throttled, 1);
	assert_true(wait_used(0));
	assert_int_equal(
		net_rig_counters(&rig)->rx_event_rate_limiter_count, 2); /* one by net_set_limits */

	for (int i = 0; i < 2; i++)
		(void)driver_chain(
			&rig.q[NET_RIG_TX], &(struct driver_buf){frame, HDR + 60, false}, 1);
	virtio_dev_notify(rig.dev, NET_RIG_TX);
	assert_int_equal(driver_used_idx(&rig.q[NET_RIG_TX]), 1);
	assert_int_equal(net_rig_counters(&rig)->tx_rate_limiter_throttled, 1);
	assert_true(wait_used(NET_RIG_TX));
	assert_true(wait_used(NET_RIG_TX));
}

static void state_round_trips_and_is_checked(void **state)
{
	struct net_state saved = *(struct net_state *)rig.dev->state, bad;
	struct err e = {0};

	(void)state;
	assert_true(field_table_sound(rig.dev->ops->state, &e));
	assert_int_equal(field_table_check(rig.dev->ops->state, &saved, &e), 0);
	saved.mac[5] = 0x55;
	saved.active_pairs = 2;
	assert_int_equal(rig.dev->ops->load(rig.dev, &saved, &e), 0);
	assert_memory_equal(rig.dev->state, &saved, sizeof(saved));

	bad = saved, bad.active_pairs = 0;
	assert_int_equal(field_table_check(rig.dev->ops->state, &bad, &e), -EINVAL);
	bad = saved, bad.active_pairs = NET_PAIRS_MAX + 1;
	assert_int_equal(field_table_check(rig.dev->ops->state, &bad, &e), -EINVAL);
	bad = saved, bad.mtu = 67;
	assert_int_equal(field_table_check(rig.dev->ops->state, &bad, &e), -EINVAL);
	bad = saved, bad.has_mac = 0;
	assert_int_equal(field_table_check(rig.dev->ops->state, &bad, &e), -EINVAL);
	bad = saved, bad.reserved[4] = 1;
	assert_int_equal(field_table_check(rig.dev->ops->state, &bad, &e), -EINVAL);
	bad = saved, bad.mtu = 0;
	assert_int_equal(rig.dev->ops->load(rig.dev, &bad, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "eth0"));
}

/* What bridges learn the guest's new place from: once, by the first kick after a load. */
static void a_restored_guest_is_announced_once(void **state)
{
	static const uint8_t start[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0xaa, 0xbb, 0xcc,
		0xdd, 0x55, 0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3, 0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0x55};
	struct net_state saved = *(struct net_state *)rig.dev->state;
	unsigned char got[256];
	struct err e;

	(void)state;
	saved.mac[5] = 0x55;
	assert_int_equal(rig.dev->ops->load(rig.dev, &saved, &e), 0);
	net_rig_start(&rig, rig.dev->features);
	(void)net_rig_post(&rig, NET_RIG_RX, 1, 2048);
	assert_int_equal(net_rig_sent(&rig, 0, got, sizeof(got)), HDR + 60);
	for (unsigned i = 0; i < HDR; i++)
		assert_int_equal(got[i], 0);
	assert_memory_equal(got + HDR, start, sizeof(start));
	assert_memory_equal(got + HDR + 32, saved.mac, sizeof(saved.mac));
	(void)net_rig_post(&rig, NET_RIG_RX, 1, 2048);
	assert_int_equal(net_rig_sent(&rig, 0, got, sizeof(got)), -1);
}

static void a_guest_that_starts_is_not_announced(void **state)
{
	unsigned char got[256];

	(void)state;
	net_rig_start(&rig, rig.dev->features);
	(void)net_rig_post(&rig, NET_RIG_RX, 1, 2048);
	assert_int_equal(net_rig_sent(&rig, 0, got, sizeof(got)), -1);
}

static void a_restored_guest_of_unknown_address_is_not_announced(void **state)
{
	struct net_state saved = *(struct net_state *)rig.dev->state;
	unsigned char got[256];
	struct err e;

	(void)state;
	assert_int_equal(rig.dev->ops->load(rig.dev, &saved, &e), 0);
	net_rig_start(&rig, rig.dev->features);
	(void)net_rig_post(&rig, NET_RIG_RX, 1, 2048);
	assert_int_equal(net_rig_sent(&rig, 0, got, sizeof(got)), -1);
}

#define T(f)       cmocka_unit_test_setup_teardown(f, setup, teardown)
#define T_PLAIN(f) cmocka_unit_test_setup_teardown(f, setup_plain, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(configuration_space_tells_what_was_configured),
		T_PLAIN(a_plain_device_offers_no_more_than_it_has),
		cmocka_unit_test(mac_addresses_are_parsed_strictly),
		T(only_the_first_pair_works_until_more_are_asked_for),
		T(bad_commands_are_refused),
		T(without_mq_the_control_queue_is_the_third),
		T(a_reset_goes_back_to_one_pair),
		T(a_lost_back_end_takes_the_link_down_and_goes_quiet),
		T(refused_offloads_are_counted_and_frames_flow),
		T(segmentation_without_checksums_is_not_asked_for),
		T_PLAIN(limited_frames_wait_and_then_pass_both_ways),
		T(state_round_trips_and_is_checked),
		T(a_restored_guest_is_announced_once),
		T(a_guest_that_starts_is_not_announced),
		T_PLAIN(a_restored_guest_of_unknown_address_is_not_announced),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
