/* SPDX-License-Identifier: Apache-2.0 */
/* How often a network device and its driver disturb each other: interrupts and kicks under load. */
#include "virtio/net.h"

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

/* The length of the next used buffer of the receive queue. */
static uint32_t took(void)
{
	struct driver_used u;

	assert_true(driver_poll(&rig.q[NET_RIG_RX], &u));
	return u.len;
}

/* ---- interrupts and kicks of a batch ---- */

/* Frames that the driver gives before the device looks at the queue. */
static void transmit_batch(unsigned count)
{
	uint64_t at = driver_alloc(&rig.q[0], HDR + 60, 4);
	unsigned char out[HDR + 61];

	memset(driver_at(&rig.q[0], at), 0, HDR);
	memset((unsigned char *)driver_at(&rig.q[0], at) + HDR, 2, 60);
	for (unsigned i = 0; i < count; i++)
		(void)driver_chain(
			&rig.q[NET_RIG_TX], &(struct driver_buf){at, HDR + 60, false}, 1);
	virtio_dev_notify(rig.dev, NET_RIG_TX);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(net_rig_sent(&rig, 0, out, sizeof(out)), HDR + 60);
}

static void a_batch_of_frames_to_the_host_is_one_interrupt(void **state)
{
	(void)state;
	net_rig_start(&rig, rig.dev->features & ~NET_BIT(VIRTIO_F_EVENT_IDX));
	transmit_batch(5);
	assert_int_equal(rig.q[0].queue_irqs, 1);
	transmit_batch(5);
	assert_int_equal(rig.q[0].queue_irqs, 2);
	assert_int_equal(rig.dev->counters.interrupt_count, 2);
}

static void no_interrupt_comes_before_the_sent_frame_that_is_waited_for(void **state)
{
	struct driver *tx = &rig.q[NET_RIG_TX];

	(void)state;
	transmit_batch(1); /* the first is always told */
	rig.q[0].queue_irqs = 0;
	driver_used_event_set(tx, 7); /* the eighth */
	transmit_batch(6);
	assert_int_equal(rig.q[0].queue_irqs, 0);
	transmit_batch(1);
	assert_int_equal(rig.q[0].queue_irqs, 1);
	transmit_batch(5);
	assert_int_equal(rig.q[0].queue_irqs, 1);
	assert_int_equal(driver_avail_event(tx), tx->avail_idx); /* and for the next a kick */
}

/* ---- interrupts of a batch ---- */

static void receive_batch(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		net_rig_arrive(&rig, 0, NULL, 60);
	(void)net_rig_turn(&rig);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(took(), HDR + 60);
}

static void a_batch_of_frames_to_the_guest_is_one_interrupt(void **state)
{
	(void)state;
	net_rig_start(&rig, rig.dev->features & ~NET_BIT(VIRTIO_F_EVENT_IDX));
	(void)net_rig_post(&rig, 0, 60, 2048);
	receive_batch(5);
	assert_int_equal(rig.q[0].queue_irqs, 1);
	receive_batch(5);
	assert_int_equal(rig.q[0].queue_irqs, 2);
	assert_int_equal(rig.dev->counters.interrupt_count, 2);
}

static void no_interrupt_comes_before_the_arrived_frame_that_is_waited_for(void **state)
{
	(void)state;
	(void)net_rig_post(&rig, 0, 60, 2048);
	receive_batch(1); /* the first is always told */
	rig.q[0].queue_irqs = 0;
	driver_used_event_set(&rig.q[NET_RIG_RX], 7); /* the eighth */
	receive_batch(6);
	assert_int_equal(rig.q[0].queue_irqs, 0);
	receive_batch(1);
	assert_int_equal(rig.q[0].queue_irqs, 1);
	receive_batch(5);
	assert_int_equal(rig.q[0].queue_irqs, 1);
}

/* ---- a driver that gives its buffers one by one, 1600 bytes each, and looks each time whether to kick ---- */

/* True if the driver would kick now, with EVENT_IDX. */
static bool gives(uint64_t at, uint32_t len)
{
	struct driver *d = &rig.q[NET_RIG_RX];
	uint16_t old = d->avail_idx;

	(void)driver_chain(d, &(struct driver_buf){at, len, true}, 1);
	return driver_avail_event(d) == old;
}

/* Takes what came and gives as many buffers again; a kick arrives one buffer later. How many kicks. */
static unsigned gives_back(uint64_t at)
{
	struct driver_used u;
	unsigned kicks = 0;
	bool due = false;

	while (driver_poll(&rig.q[NET_RIG_RX], &u)) {
		bool late = due;

		due = gives(at, 1600);
		kicks += due;
		if (late)
			virtio_dev_notify(rig.dev, NET_RIG_RX);
	}
	if (due)
		virtio_dev_notify(rig.dev, NET_RIG_RX);
	return kicks;
}

/* Frames of 60,000 bytes, always one more than there is room for. How many kicks. */
static unsigned flood(uint64_t at, unsigned frames)
{
	unsigned kicks = 0;

	net_rig_arrive(&rig, 0, NULL, 60000);
	for (unsigned i = 0; i < frames; i++) {
		net_rig_arrive(&rig, 0, NULL, 60000);
		(void)net_rig_turn(&rig);
		kicks += gives_back(at);
	}
	assert_int_equal(net_rig_counters(&rig)->rx_fails, 0);
	assert_in_range(net_rig_counters(&rig)->rx_count, frames, frames + 1);
	return kicks;
}

static void a_driver_that_refills_is_asked_for_few_kicks(void **state)
{
	(void)state;
	assert_in_range(flood(net_rig_post(&rig, 0, NET_RIG_QUEUE, 1600), 20), 10, 2 * 20);
}

static void a_driver_that_gives_less_than_usual_is_not_left_waiting(void **state)
{
	uint64_t at = net_rig_post(&rig, 0, NET_RIG_QUEUE, 1600);
	uint64_t large = driver_alloc(&rig.q[0], HDR + NET_FRAME_MAX, 1);
	struct driver_used u;
	uint16_t seen;

	(void)state;
	(void)flood(at, 20);
	net_rig_arrive(&rig, 0, NULL, 60000);
	net_rig_arrive(&rig, 0, NULL, 60000);
	(void)net_rig_turn(&rig);
	while (driver_poll(&rig.q[NET_RIG_RX], &u))
		continue;
	seen = driver_used_idx(&rig.q[NET_RIG_RX]);
	assert_false(gives(large, HDR + NET_FRAME_MAX)); /* one is not enough for a kick */
	for (unsigned i = 0; i < 10000 && driver_used_idx(&rig.q[NET_RIG_RX]) == seen; i++) {
		(void)usleep(1000);
		(void)net_rig_turn(&rig);
	}
	assert_int_not_equal(driver_used_idx(&rig.q[NET_RIG_RX]), seen);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_batch_of_frames_to_the_host_is_one_interrupt),
		T(no_interrupt_comes_before_the_sent_frame_that_is_waited_for),
		T(a_batch_of_frames_to_the_guest_is_one_interrupt),
		T(no_interrupt_comes_before_the_arrived_frame_that_is_waited_for),
		T(a_driver_that_refills_is_asked_for_few_kicks),
		T(a_driver_that_gives_less_than_usual_is_not_left_waiting),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("net_load", tests, NULL, NULL);
}
