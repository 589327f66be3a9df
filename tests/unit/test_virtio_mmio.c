/* SPDX-License-Identifier: Apache-2.0 */
/* The MMIO transport, through the bus callbacks that a vCPU would use. */
#include "virtio/mmio.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/driver.h"
#include "tests/unit/lib/fail.h"
#include "virtio/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

enum {
	DEVICE_FEATURES = 0x10,
	DEVICE_FEATURES_SEL = 0x14,
	DRIVER_FEATURES_REG = 0x20,
	DRIVER_FEATURES_SEL = 0x24,
	QUEUE_SEL = 0x30,
	QUEUE_NUM_MAX = 0x34,
	QUEUE_NUM = 0x38,
	QUEUE_READY = 0x44,
	QUEUE_NOTIFY = 0x50,
	INTERRUPT_STATUS = 0x60,
	INTERRUPT_ACK = 0x64,
	STATUS = 0x70,
	QUEUE_DESC = 0x80,
	QUEUE_DRIVER = 0x90,
	QUEUE_DEVICE = 0xa0,
	CONFIG = 0x100,
};

#define LIVE 15u

static struct driver drv;
static struct virtio_dev *dev;
static struct virtio_mmio t;
static struct err e;

static int setup(void **state)
{
	(void)state;
	fail_reset();
	driver_init(&drv, 16);
	assert_int_equal(rng_create(&drv.mem, &(struct rng_config){0}, &dev, &e), 0);
	assert_int_equal(virtio_mmio_init(&t, dev, &e), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fail_reset();
	virtio_mmio_fini(&t);
	dev->ops->destroy(dev);
	driver_fini(&drv);
	return 0;
}

static uint32_t rd(uint64_t off)
{
	uint32_t v = 0xdeadbeef;

	virtio_mmio_bus_ops.read(&t, off, &v, sizeof(v));
	return v;
}

static void wr(uint64_t off, uint32_t v)
{
	virtio_mmio_bus_ops.write(&t, off, &v, sizeof(v));
}

static void wr64(uint64_t off, uint64_t v)
{
	wr(off, (uint32_t)v);
	wr(off + 4, (uint32_t)(v >> 32));
}

static void negotiate(void)
{
	wr(STATUS, 1);
	wr(STATUS, 3);
	for (uint32_t word = 0; word < 2; word++) {
		wr(DEVICE_FEATURES_SEL, word);
		wr(DRIVER_FEATURES_SEL, word);
		wr(DRIVER_FEATURES_REG, rd(DEVICE_FEATURES));
	}
	wr(STATUS, 11);
}

static void set_up_queue(void)
{
	wr(QUEUE_SEL, 0);
	wr(QUEUE_NUM, drv.size);
	wr64(QUEUE_DESC, drv.desc);
	wr64(QUEUE_DRIVER, drv.avail);
	wr64(QUEUE_DEVICE, drv.used);
	wr(QUEUE_READY, 1);
}

static void go_live(void)
{
	negotiate();
	set_up_queue();
	wr(STATUS, LIVE);
	assert_int_equal(rd(STATUS), LIVE);
}

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static uint64_t drain(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* As the event loop, which is told of each signal once. */
static void kicked(uint16_t q)
{
	assert_true(drain(t.kick_fd[q]) > 0);
	virtio_mmio_kicked(&t, q);
}

static void identity_registers_tell_what_it_is(void **state)
{
	(void)state;
	assert_int_equal(rd(0x00), 0x74726976);
	assert_int_equal(rd(0x04), 2);
	assert_int_equal(rd(0x08), 4);
	assert_true(rd(0x0c) != 0);
	assert_int_equal(rd(0xfc), 0);
	assert_int_equal(rd(0xb0), UINT32_MAX); /* no shared memory */
	assert_int_equal(rd(0xb4), UINT32_MAX);
}

static void feature_words_past_the_second_are_empty(void **state)
{
	(void)state;
	wr(DEVICE_FEATURES_SEL, 1);
	assert_int_equal(rd(DEVICE_FEATURES), 1);
	for (uint32_t sel = 2; sel != 0; sel <<= 1) {
		wr(DEVICE_FEATURES_SEL, sel);
		assert_int_equal(rd(DEVICE_FEATURES), 0);
	}
}

static void a_driver_brings_the_device_up_by_registers(void **state)
{
	(void)state;
	assert_int_equal(rd(QUEUE_NUM_MAX), VQ_SIZE_MAX);
	assert_int_equal(rd(QUEUE_READY), 0);
	go_live();
	assert_int_equal(rd(QUEUE_READY), 1);
	assert_true(dev->activated);
	assert_int_equal(dev->vqs[0].st.avail, drv.avail);
}

static void accesses_of_other_widths_do_nothing(void **state)
{
	const uint32_t widths[] = {1, 2, 8};
	const uint64_t one = 1;

	(void)state;
	for (size_t i = 0; i < NELEM(widths); i++) {
		uint64_t v = UINT64_MAX;

		virtio_mmio_bus_ops.read(&t, 0, &v, widths[i]);
		assert_int_equal(v & (UINT64_MAX >> (64 - 8 * widths[i])), 0);
		virtio_mmio_bus_ops.write(&t, STATUS, &one, widths[i]);
		assert_int_equal(rd(STATUS), 0);
	}
	wr(STATUS + 1, 1);
	assert_int_equal(rd(STATUS), 0);
	assert_int_equal(rd(2), 0);
}

static void every_offset_can_be_read_and_written(void **state)
{
	uint64_t v;

	(void)state;
	for (uint64_t off = 0; off < 0x1000; off++) {
		for (uint32_t len = 1; len <= 8 && off + len <= 0x1000; len *= 2) {
			v = UINT64_MAX;
			virtio_mmio_bus_ops.write(&t, off, &v, len);
			virtio_mmio_bus_ops.read(&t, off, &v, len);
		}
	}
	assert_int_equal(rd(0), 0x74726976);
}

static void queues_that_do_not_exist_have_no_size(void **state)
{
	(void)state;
	negotiate();
	for (uint32_t sel = 1; sel != 0; sel <<= 1) {
		wr(QUEUE_SEL, sel);
		assert_int_equal(rd(QUEUE_NUM_MAX), 0);
		wr(QUEUE_NUM, 16);
		wr(QUEUE_READY, 1);
		assert_int_equal(rd(QUEUE_READY), 0);
		wr(QUEUE_NOTIFY, sel);
	}
	assert_false(readable(t.kick_fd[0]));
}

static void impossible_queue_sizes_break_the_device(void **state)
{
	const uint32_t bad[] = {0, 3, 15, 512, 65536, 0x80000000, 65536 + 16};

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		wr(STATUS, 0);
		negotiate();
		set_up_queue();
		wr(QUEUE_READY, 0);
		wr(QUEUE_NUM, bad[i]);
		wr(QUEUE_READY, 1);
		wr(STATUS, LIVE);
		assert_int_equal(rd(STATUS), LIVE | VIRTIO_STATUS_NEEDS_RESET);
		assert_int_equal(rd(INTERRUPT_STATUS), 2);
	}
}

static void a_device_with_an_impossible_size_can_still_be_saved(void **state)
{
	const uint32_t bad[] = {3, 512, 65536 + 8};
	struct virtio_dev_state saved;

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		wr(STATUS, 0);
		negotiate();
		wr(QUEUE_NUM, bad[i]);
		virtio_dev_save(dev, &saved);
		assert_int_equal(virtio_dev_load(dev, &saved, &e), 0);
	}
}

static void a_ready_queue_cannot_be_changed(void **state)
{
	(void)state;
	negotiate();
	set_up_queue();
	wr(QUEUE_NUM, 8);
	wr64(QUEUE_DESC, 0);
	assert_int_equal(dev->vqs[0].st.size, 16);
	assert_int_equal(dev->vqs[0].st.desc, drv.desc);
	wr(STATUS, LIVE);
	wr64(QUEUE_DEVICE, 0);
	assert_int_equal(dev->vqs[0].st.used, drv.used);
}

static void a_live_queue_can_be_stopped_but_not_started_again(void **state)
{
	const struct driver_buf buf = {DRIVER_RAM_START, 8, true};

	(void)state;
	go_live();
	wr(QUEUE_READY, 0);
	assert_int_equal(rd(QUEUE_READY), 0);
	wr(QUEUE_READY, 1);
	assert_int_equal(rd(QUEUE_READY), 0);
	driver_chain(&drv, &buf, 1);
	virtio_dev_notify(dev, 0);
	assert_int_equal(driver_used_idx(&drv), 0);
}

static void address_halves_are_independent(void **state)
{
	(void)state;
	negotiate();
	wr(QUEUE_DESC + 4, 0x11223344);
	wr(QUEUE_DESC, 0x55667788);
	assert_int_equal(dev->vqs[0].st.desc, 0x1122334455667788);
	wr(QUEUE_DESC + 4, 0);
	assert_int_equal(dev->vqs[0].st.desc, 0x55667788);
}

static void a_kick_is_served_and_raises_one_edge(void **state)
{
	const struct driver_buf buf = {DRIVER_RAM_START, 8, true};

	(void)state;
	go_live();
	driver_chain(&drv, &buf, 1);
	wr(QUEUE_NOTIFY, 0);
	assert_true(readable(t.kick_fd[0]));
	kicked(0);

	assert_false(readable(t.kick_fd[0]));
	assert_int_equal(driver_used_idx(&drv), 1);
	assert_int_equal(rd(INTERRUPT_STATUS), 1);
	assert_int_equal(drain(t.irq_fd), 1);
	wr(INTERRUPT_ACK, 1);
	assert_int_equal(rd(INTERRUPT_STATUS), 0);
}

static void a_long_batch_leaves_the_kick_fd_readable(void **state)
{
	(void)state;
	driver_fini(&drv);
	driver_init(&drv, 128);
	go_live();
	for (unsigned i = 0; i < VIRTIO_BATCH_MAX + 1; i++)
		driver_offer(&drv, 0);
	wr(QUEUE_NOTIFY, 0);
	kicked(0);

	assert_int_equal(driver_used_idx(&drv), VIRTIO_BATCH_MAX);
	assert_true(readable(t.kick_fd[0]));
	kicked(0);
	assert_int_equal(driver_used_idx(&drv), VIRTIO_BATCH_MAX + 1);
	assert_false(readable(t.kick_fd[0]));
}

static void acknowledging_clears_only_the_bits_given(void **state)
{
	(void)state;
	go_live();
	t.dev->transport->queue_interrupt(dev, 0);
	t.dev->transport->config_interrupt(dev);
	assert_int_equal(rd(INTERRUPT_STATUS), 3);
	wr(INTERRUPT_ACK, 2);
	assert_int_equal(rd(INTERRUPT_STATUS), 1);
	wr(INTERRUPT_ACK, UINT32_MAX);
	assert_int_equal(rd(INTERRUPT_STATUS), 0);
}

static void a_reset_clears_interrupts_and_selectors(void **state)
{
	(void)state;
	go_live();
	t.dev->transport->queue_interrupt(dev, 0);
	wr(QUEUE_SEL, 5);
	wr(DEVICE_FEATURES_SEL, 1);
	wr(STATUS, 0);

	assert_int_equal(rd(INTERRUPT_STATUS), 0);
	assert_int_equal(rd(STATUS), 0);
	assert_int_equal(rd(QUEUE_NUM_MAX), VQ_SIZE_MAX);
	assert_int_equal(t.st.device_features_sel, 0);
}

static void event_fds_do_not_survive_exec_and_do_not_block(void **state)
{
	uint64_t n;

	(void)state;
	assert_int_equal(read(t.irq_fd, &n, sizeof(n)), -1);
	assert_int_equal(errno, EAGAIN);
	assert_true(t.kick_fd[0] >= 0);
	assert_int_equal(t.kick_fd[1], -1);
}

static void every_failing_eventfd_is_reported_and_undone(void **state)
{
	(void)state;
	virtio_mmio_fini(&t);
	for (unsigned n = 1; n <= 2; n++) {
		fail_reset();
		fail_nth(FAIL_EVENTFD, n, EMFILE);
		assert_int_equal(virtio_mmio_init(&t, dev, &e), -EMFILE);
		assert_non_null(strstr(e.msg, "rng"));
		assert_null(dev->transport);
	}
	fail_nth(FAIL_EVENTFD, 3, EMFILE);
	assert_int_equal(virtio_mmio_init(&t, dev, &e), 0);
}

static void fini_accepts_zeroed_storage(void **state)
{
	struct virtio_mmio zero = {0};

	(void)state;
	virtio_mmio_fini(&zero);
	assert_true(fcntl(0, F_GETFD) >= 0);
}

static void state_survives_save_and_load_and_kicks(void **state)
{
	struct virtio_mmio_state saved, again;
	struct err err = {0};

	(void)state;
	assert_true(field_table_sound(&virtio_mmio_state_table, &err));
	go_live();
	t.dev->transport->config_interrupt(dev);
	wr(QUEUE_SEL, 3);
	virtio_mmio_save(&t, &saved);
	wr(STATUS, 0);
	assert_int_equal(virtio_mmio_load(&t, &saved, &e), 0);
	virtio_mmio_save(&t, &again);

	assert_memory_equal(&saved, &again, sizeof(saved));
	assert_int_equal(rd(INTERRUPT_STATUS), 2);
	assert_true(readable(t.kick_fd[0]));
	saved.interrupt_status = 4;
	assert_int_equal(virtio_mmio_load(&t, &saved, &e), -EINVAL);
}

/* One thread resets and restarts the device while another one kicks it. */
static void *kicker(void *stop)
{
	while (!__atomic_load_n((bool *)stop, __ATOMIC_ACQUIRE)) {
		wr(QUEUE_NOTIFY, 0);
		virtio_mmio_kicked(&t, 0);
		(void)rd(INTERRUPT_STATUS);
		wr(INTERRUPT_ACK, 3);
	}
	return NULL;
}

static void resets_race_with_kicks(void **state)
{
	const struct driver_buf buf = {DRIVER_RAM_START, 64, true};
	bool stop = false;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, kicker, &stop), 0);
	for (unsigned i = 0; i < 2000; i++) {
		driver_idx_set(&drv, 0);
		go_live();
		driver_chain(&drv, &buf, 1);
		wr(STATUS, 0);
		assert_int_equal(rd(STATUS), 0);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(dev->counters.broken_count, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(identity_registers_tell_what_it_is),
		T(feature_words_past_the_second_are_empty),
		T(a_driver_brings_the_device_up_by_registers),
		T(accesses_of_other_widths_do_nothing),
		T(every_offset_can_be_read_and_written),
		T(queues_that_do_not_exist_have_no_size),
		T(impossible_queue_sizes_break_the_device),
		T(a_device_with_an_impossible_size_can_still_be_saved),
		T(a_ready_queue_cannot_be_changed),
		T(a_live_queue_can_be_stopped_but_not_started_again),
		T(address_halves_are_independent),
		T(a_kick_is_served_and_raises_one_edge),
		T(a_long_batch_leaves_the_kick_fd_readable),
		T(acknowledging_clears_only_the_bits_given),
		T(a_reset_clears_interrupts_and_selectors),
		T(event_fds_do_not_survive_exec_and_do_not_block),
		T(every_failing_eventfd_is_reported_and_undone),
		T(fini_accepts_zeroed_storage),
		T(state_survives_save_and_load_and_kicks),
		T(resets_race_with_kicks),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("virtio_mmio", tests, NULL, NULL);
}
