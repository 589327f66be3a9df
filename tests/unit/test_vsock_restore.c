/* SPDX-License-Identifier: Apache-2.0 */
/* After a load: the guest is told that its connections are gone, and hears nothing else before. */
#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/vsock_rig.h"

#include <sys/socket.h>
#include <unistd.h>

#define GUEST_PORT 1234u
#define EVENTS     8u

static struct vsock_rig rig;
static uint64_t event_at;
static uint16_t posted;

/* What the guest's driver does at its start, and again with each buffer that it has taken. */
static void post_event(uint32_t slot, uint32_t len)
{
	const struct rig_ring *g = &rig.ring[RIG_EVENT];
	uint16_t *avail = driver_at(&rig.drv, g->avail);
	struct driver_desc d = {.addr = event_at + (uint64_t)slot * 8, .len = len, .flags = 2};

	memcpy(driver_at(&rig.drv, g->desc + (uint64_t)slot * sizeof(d)), &d, sizeof(d));
	avail[2 + posted % RIG_QUEUE] = (uint16_t)slot;
	avail[1] = ++posted;
}

static uint16_t used_count(void)
{
	return ((const uint16_t *)driver_at(&rig.drv, rig.ring[RIG_EVENT].used))[1];
}

/* The index at which the device asks to be told. */
static uint16_t wanted_at(void)
{
	const unsigned char *used = driver_at(&rig.drv, rig.ring[RIG_EVENT].used);
	uint16_t at;

	memcpy(&at, used + 4 + 8 * RIG_QUEUE, sizeof(at));
	return at;
}

static int setup(void **state)
{
	(void)state;
	posted = 0;
	vsock_rig_init(&rig);
	event_at = driver_alloc(&rig.drv, 8 * RIG_QUEUE, 8);
	memset(driver_at(&rig.drv, event_at), 0xff, 8 * RIG_QUEUE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vsock_rig_fini(&rig);
	return 0;
}

static void guest_is_told_once(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < EVENTS; i++)
		post_event(i, 4);
	vsock_transport_reset(rig.dev);
	vsock_rig_turn(&rig);
	assert_int_equal(used_count(), 1);
	assert_int_equal(*(const uint32_t *)driver_at(&rig.drv, event_at), 0);
	assert_int_equal(*(const uint32_t *)driver_at(&rig.drv, event_at + 8), UINT32_MAX);
	virtio_dev_notify(rig.dev, RIG_EVENT);
	assert_int_equal(used_count(), 1);
}

static void no_packet_passes_until_the_guest_has_put_a_buffer_back(void **state)
{
	uint32_t port;
	int fd;

	(void)state;
	for (uint32_t i = 0; i < EVENTS; i++)
		post_event(i, 4);
	vsock_transport_reset(rig.dev);
	fd = vsock_rig_connect(&rig);
	assert_int_equal(send(fd, "CONNECT 1234\n", 13, 0), 13);
	virtio_dev_notify(rig.dev, RIG_EVENT); /* as after a load */
	vsock_rig_expect_none(&rig);
	assert_int_equal(wanted_at(), EVENTS); /* all that were there do not count */
	post_event(0, 4);
	virtio_dev_notify(rig.dev, RIG_EVENT);
	port = vsock_rig_expect(&rig, VSOCK_OP_REQUEST).src_port;
	assert_in_range(port, 1u << 30, UINT32_MAX);
	(void)close(fd);
}

static void guest_without_a_buffer_is_told_when_it_has_one(void **state)
{
	(void)state;
	vsock_transport_reset(rig.dev);
	assert_int_equal(used_count(), 0);
	post_event(0, 4);
	virtio_dev_notify(rig.dev, RIG_EVENT);
	assert_int_equal(used_count(), 1);
	post_event(1, 4);
	virtio_dev_notify(rig.dev, RIG_EVENT);
	(void)close(vsock_rig_open(&rig, GUEST_PORT, &(uint32_t){0}));
}

static void buffer_that_is_too_small_breaks_the_device(void **state)
{
	(void)state;
	post_event(0, 3);
	vsock_transport_reset(rig.dev);
	assert_true(rig.dev->status & VIRTIO_STATUS_NEEDS_RESET);
}

static void machine_that_was_not_loaded_is_not_held(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < EVENTS; i++)
		post_event(i, 4);
	virtio_dev_notify(rig.dev, RIG_EVENT);
	assert_int_equal(used_count(), 0);
	(void)close(vsock_rig_open(&rig, GUEST_PORT, &(uint32_t){0}));
}

static void driver_that_starts_anew_is_not_held(void **state)
{
	(void)state;
	post_event(0, 4);
	vsock_transport_reset(rig.dev);
	vsock_rig_start(&rig, RIG_RX_COUNT);
	(void)close(vsock_rig_open(&rig, GUEST_PORT, &(uint32_t){0}));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(guest_is_told_once),
		T(no_packet_passes_until_the_guest_has_put_a_buffer_back),
		T(guest_without_a_buffer_is_told_when_it_has_one),
		T(buffer_that_is_too_small_breaks_the_device),
		T(machine_that_was_not_loaded_is_not_held),
		T(driver_that_starts_anew_is_not_held),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("vsock_restore", tests, NULL, NULL);
}
