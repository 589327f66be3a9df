/* SPDX-License-Identifier: Apache-2.0 */
/* A service inside the monitor: which frames it gets, and how its own reach the guest. */
#include "virtio/net_divert.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/net_rig.h"

#include <string.h>
#include <unistd.h>

#define HDR  NET_HEADER_SIZE
#define MINE 0x77 /* the first byte of a frame for the service */

static struct {
	struct net_diverter d; /* first */
	unsigned taken, dropped, closed;
	size_t taken_len;
	bool csum_partial;
	unsigned char last[NET_DIVERT_FRAME_MAX];
	unsigned waiting; /* frames for the guest */
	size_t len;       /* of each */
} service;

static bool service_wants(struct net_diverter *d, const void *head, size_t len)
{
	(void)d;
	assert_true(len > 0 && len <= NET_DIVERT_HEAD);
	return *(const unsigned char *)head == MINE;
}

static void service_tx(struct net_diverter *d, const void *frame, size_t len, bool csum_partial)
{
	(void)d;
	service.taken++;
	service.taken_len = len;
	service.csum_partial = csum_partial;
	memcpy(service.last, frame, len);
	service.waiting++;
}

static void service_tx_dropped(struct net_diverter *d)
{
	(void)d;
	service.dropped++;
}

static size_t service_rx(struct net_diverter *d, void *buf)
{
	(void)d;
	if (service.waiting == 0)
		return 0;
	service.waiting--;
	memset(buf, MINE, service.len);
	return service.len;
}

static void service_close(struct net_diverter *d)
{
	(void)d;
	service.closed++;
}

static const struct net_diverter_ops service_ops = {
	.wants = service_wants,
	.tx = service_tx,
	.tx_dropped = service_tx_dropped,
	.rx = service_rx,
	.close = service_close,
};

static struct net_rig rig;
static unsigned char frame[NET_FRAME_MAX], out[HDR + NET_FRAME_MAX];

static void init(const struct rate_limiter_config *limit)
{
	memset(&service, 0, sizeof(service));
	service.d.ops = &service_ops;
	service.len = 60;
	net_rig_init(&rig,
		(struct net_config){
			.diverter = &service.d, .rx_rate_limiter = limit, .tx_rate_limiter = limit},
		1);
	memset(frame, 1, sizeof(frame));
}

static int setup(void **state)
{
	(void)state;
	init(NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	net_rig_fini(&rig);
	assert_int_equal(service.closed, 1);
	return 0;
}

static void transmit(unsigned char first, uint32_t len)
{
	frame[0] = first;
	net_rig_transmit(&rig, &(struct net_header){0}, frame, len);
}

/* How many buffers came back, and the first byte of the last one's frame. */
static unsigned received(uint64_t at, uint32_t len, unsigned char *first)
{
	struct driver_used u;
	unsigned count = 0;

	while (driver_poll(&rig.q[NET_RIG_RX], &u)) {
		first[count] = *(unsigned char *)driver_at(&rig.q[0], at + count * len + HDR);
		count++;
	}
	return count;
}

static void its_frames_do_not_reach_the_host_and_others_do(void **state)
{
	struct driver_used u;

	(void)state;
	transmit(MINE, 100);
	assert_int_equal(net_rig_sent(&rig, 0, out, sizeof(out)), -1);
	assert_int_equal(service.taken, 1);
	assert_int_equal(service.taken_len, 100);
	assert_memory_equal(service.last, frame, 100);
	assert_true(driver_poll(&rig.q[NET_RIG_TX], &u));
	transmit(1, 100);
	assert_int_equal(net_rig_sent(&rig, 0, out, sizeof(out)), HDR + 100);
	assert_int_equal(service.taken, 1);
}

static void lengths_are_bounded(void **state)
{
	(void)state;
	transmit(MINE, 14);
	transmit(MINE, NET_DIVERT_FRAME_MAX);
	assert_int_equal(service.taken, 2);
	transmit(MINE, NET_DIVERT_FRAME_MAX + 1);
	transmit(MINE, NET_FRAME_MAX);
	assert_int_equal(service.taken, 2);
	assert_int_equal(service.dropped, 2);
	assert_int_equal(net_rig_sent(&rig, 0, out, sizeof(out)), -1);
}

static void an_undone_checksum_is_reported(void **state)
{
	struct net_header h = {.flags = 1, .csum_start = 34, .csum_offset = 16};

	(void)state;
	frame[0] = MINE;
	net_rig_transmit(&rig, &h, frame, 60);
	assert_true(service.csum_partial);
	transmit(MINE, 60);
	assert_false(service.csum_partial);
}

static void the_answer_is_there_when_the_kick_returns(void **state)
{
	unsigned char first[4];
	uint64_t at = net_rig_post(&rig, NET_RIG_RX, 4, 2048);
	struct net_header h;

	(void)state;
	transmit(MINE, 60);
	assert_int_equal(received(at, 2048, first), 1);
	assert_int_equal(first[0], MINE);
	memcpy(&h, driver_at(&rig.q[0], at), sizeof(h));
	assert_int_equal(h.flags | h.gso_type, 0);
	assert_int_equal(h.num_buffers, 1);
	assert_int_equal(net_counters_get(rig.dev)->rx_packets_count, 1);
}

static void an_answer_waits_for_buffers(void **state)
{
	unsigned char first[4];
	uint64_t at;

	(void)state;
	transmit(MINE, 60);
	assert_int_equal(service.waiting, 1);
	at = net_rig_post(&rig, NET_RIG_RX, 4, 2048);
	assert_int_equal(received(at, 2048, first), 1);
}

static void an_answer_spreads_over_small_buffers(void **state)
{
	uint64_t at = net_rig_post(&rig, NET_RIG_RX, 8, 100);
	struct driver_used u;
	unsigned count = 0, bytes = 0;

	service.len = 500;
	(void)state;
	transmit(MINE, 60);
	for (; driver_poll(&rig.q[NET_RIG_RX], &u); count++)
		bytes += u.len;
	assert_int_equal(count, 6);
	assert_int_equal(bytes, 512);
	for (unsigned i = HDR; i < 512; i++)
		assert_int_equal(*(unsigned char *)driver_at(&rig.q[0], at + i), MINE);
	assert_int_equal(*(unsigned char *)driver_at(&rig.q[0], at + 512), 0xee);
}

static void an_answer_without_room_is_lost_alone(void **state)
{
	uint64_t at;
	unsigned char first[2];

	(void)state;
	net_rig_start(&rig, rig.dev->features & ~NET_RIG_MRG);
	at = net_rig_post(&rig, NET_RIG_RX, 1, 71);
	transmit(MINE, 60);
	assert_int_equal(received(at, 71, first), 0);
	assert_int_equal(net_counters_get(rig.dev)->rx_fails, 1);
	service.len = 59;
	transmit(MINE, 60);
	assert_int_equal(received(at, 71, first), 1);
}

static void a_timer_of_the_service_is_served_too(void **state)
{
	uint64_t at = net_rig_post(&rig, NET_RIG_RX, 2, 2048);
	unsigned char first[2];

	(void)state;
	service.waiting = 1;
	service.d.kick(service.d.kick_ctx);
	assert_int_equal(received(at, 2048, first), 1);
	/* And after a reset nothing is. */
	virtio_dev_write_status(rig.dev, 0);
	service.waiting = 1;
	service.d.kick(service.d.kick_ctx);
	assert_int_equal(service.waiting, 1);
}

static void tap_and_service_take_turns(void **state)
{
	unsigned char first[40];
	uint64_t at;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		net_rig_arrive(&rig, 0, NULL, 60);
	service.waiting = 10;
	at = net_rig_post(&rig, NET_RIG_RX, 30, 2048);
	assert_int_equal(received(at, 2048, first), 30);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(first[i] == MINE, first[0] == MINE ? i % 2 == 0 : i % 2 == 1);
	for (unsigned i = 20; i < 30; i++)
		assert_int_not_equal(first[i], MINE);
}

static void rate_limits_do_not_count_it(void **state)
{
	const struct rate_limiter_config one = {
		.has_ops = true, .ops = {.size = 1, .refill_time_ms = 3600 * 1000}};
	unsigned char first[40];
	uint64_t at;

	(void)state;
	net_rig_fini(&rig);
	init(&one);
	at = net_rig_post(&rig, NET_RIG_RX, 30, 2048);
	for (unsigned i = 0; i < 10; i++)
		transmit(MINE, 60);
	assert_int_equal(received(at, 2048, first), 10);
	net_rig_arrive(&rig, 0, NULL, 60);
	while (net_rig_turn(&rig) > 0) {}
	assert_int_equal(received(at, 2048, first), 1); /* the one token is still there */
	transmit(1, 60);
	assert_int_equal(net_rig_sent(&rig, 0, out, sizeof(out)), HDR + 60);
	transmit(1, 60);
	assert_int_equal(net_rig_sent(&rig, 0, out, sizeof(out)), -1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(its_frames_do_not_reach_the_host_and_others_do),
		T(lengths_are_bounded),
		T(an_undone_checksum_is_reported),
		T(the_answer_is_there_when_the_kick_returns),
		T(an_answer_waits_for_buffers),
		T(an_answer_spreads_over_small_buffers),
		T(an_answer_without_room_is_lost_alone),
		T(a_timer_of_the_service_is_served_too),
		T(tap_and_service_take_turns),
		T(rate_limits_do_not_count_it),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("net_divert", tests, NULL, NULL);
}
