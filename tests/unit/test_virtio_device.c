/* SPDX-License-Identifier: Apache-2.0 */
/* What all virtio devices share: the status ladder, negotiation, batches, broken drivers, state. */
#include "virtio/device.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/driver.h"

#include <errno.h>

#define ACK         VIRTIO_STATUS_ACKNOWLEDGE
#define DRV         VIRTIO_STATUS_DRIVER
#define FEATURES    VIRTIO_STATUS_FEATURES_OK
#define DRIVER_OK   VIRTIO_STATUS_DRIVER_OK
#define NEEDS_RESET VIRTIO_STATUS_NEEDS_RESET
#define LIVE        (ACK | DRV | FEATURES | DRIVER_OK)

#define F_OFFERED   (1ull << 3)
#define F_NOT_THERE (1ull << 4)

/* A device class that counts what is asked of it. */
static struct {
	unsigned activated, notified, reset, served;
	int activate_rc;
	uint8_t config[6];
} toy;
static struct chain chain;

static int toy_activate(struct virtio_dev *d)
{
	(void)d;
	toy.activated++;
	return toy.activate_rc;
}

static void toy_serve(struct virtio_dev *d, struct vq *q, struct chain *c)
{
	(void)d;
	toy.served++;
	vq_push(q, c, 0);
}

static void toy_notify(struct virtio_dev *d, uint16_t q)
{
	toy.notified++;
	(void)virtio_dev_serve(d, q, &chain, toy_serve);
}

static void toy_reset(struct virtio_dev *d)
{
	(void)d;
	toy.reset++;
}

static void toy_config_read(struct virtio_dev *d, uint32_t off, void *data, uint32_t len)
{
	(void)d;
	assert_true(in_range(off, len, sizeof(toy.config)));
	memcpy(data, toy.config + off, len);
}

static void toy_config_write(struct virtio_dev *d, uint32_t off, const void *data, uint32_t len)
{
	(void)d;
	assert_true(in_range(off, len, sizeof(toy.config)));
	memcpy(toy.config + off, data, len);
}

static const struct virtio_ops toy_ops = {
	.name = "toy",
	.device_id = 42,
	.queue_count = 2,
	.queue_size_max = 128,
	.config_size = sizeof(toy.config),
	.activate = toy_activate,
	.notify = toy_notify,
	.reset = toy_reset,
	.config_read = toy_config_read,
	.config_write = toy_config_write,
};

static struct driver drv;
static struct virtio_dev dev;
static struct err e;

static int setup(void **state)
{
	(void)state;
	memset(&toy, 0, sizeof(toy));
	e = (struct err){0};
	driver_init(&drv, 128);
	virtio_dev_init(&dev, &toy_ops, "toy0", &drv.mem, F_OFFERED, 2);
	driver_attach(&drv, &dev);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtio_dev_fini(&dev);
	driver_fini(&drv);
	return 0;
}

static void accept_features(uint64_t features)
{
	virtio_dev_write_status(&dev, ACK | DRV);
	virtio_dev_write_features(&dev, 0, (uint32_t)features);
	virtio_dev_write_features(&dev, 1, (uint32_t)(features >> 32));
	virtio_dev_write_status(&dev, ACK | DRV | FEATURES);
}

static void offer(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		driver_offer(&drv, 0);
}

static void common_features_are_always_offered(void **state)
{
	(void)state;
	assert_int_equal(dev.features, DRIVER_FEATURES | F_OFFERED);
}

static void a_device_comes_up_step_by_step(void **state)
{
	(void)state;
	virtio_dev_write_status(&dev, ACK);
	assert_int_equal(dev.status, ACK);
	virtio_dev_write_status(&dev, ACK | DRV);
	assert_int_equal(dev.status, ACK | DRV);
	accept_features(DRIVER_FEATURES);
	assert_int_equal(dev.status, ACK | DRV | FEATURES);
	virtio_dev_write_status(&dev, LIVE);
	assert_int_equal(dev.status, LIVE);
	assert_int_equal(toy.activated, 1);
}

static void steps_out_of_order_change_nothing(void **state)
{
	const uint32_t bad[] = {DRV, FEATURES, DRIVER_OK, DRV | FEATURES, ACK | FEATURES,
		ACK | DRV | DRIVER_OK, 16, 32, 0x100, 0x80000000};

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		virtio_dev_write_status(&dev, 0);
		virtio_dev_write_status(&dev, bad[i]);
		assert_int_equal(dev.status & ~(bad[i] & (ACK | DRV)), 0);
		assert_int_equal(dev.status & (FEATURES | DRIVER_OK), 0);
	}
	assert_int_equal(toy.activated, 0);
}

static void clearing_a_bit_is_ignored(void **state)
{
	(void)state;
	driver_start(&drv, &dev, DRIVER_FEATURES);
	virtio_dev_write_status(&dev, ACK);
	assert_int_equal(dev.status, LIVE);
	virtio_dev_write_status(&dev, LIVE);
	assert_int_equal(toy.activated, 1);
}

static void failed_can_be_set_at_any_time(void **state)
{
	(void)state;
	virtio_dev_write_status(&dev, VIRTIO_STATUS_FAILED);
	assert_int_equal(dev.status, VIRTIO_STATUS_FAILED);
	virtio_dev_write_status(&dev, 0);
	assert_int_equal(dev.status, 0);
}

static void features_not_offered_are_refused(void **state)
{
	(void)state;
	accept_features(DRIVER_FEATURES | F_NOT_THERE);
	assert_int_equal(dev.status, ACK | DRV);
	accept_features(DRIVER_FEATURES | F_OFFERED); /* a second try may do better */
	assert_int_equal(dev.status, ACK | DRV | FEATURES);
	assert_true(virtio_has(&dev, 3));
	assert_false(virtio_has(&dev, 4));
}

static void a_driver_without_version_1_is_refused(void **state)
{
	(void)state;
	accept_features(0);
	assert_int_equal(dev.status, ACK | DRV);
	accept_features(DRIVER_FEATURES & ~DRIVER_FEATURES_PLAIN);
	assert_int_equal(dev.status, ACK | DRV);
}

static void features_are_fixed_once_agreed(void **state)
{
	(void)state;
	virtio_dev_write_features(&dev, 0, 1u << 3); /* before DRIVER */
	assert_int_equal(dev.driver_features, 0);
	accept_features(DRIVER_FEATURES);
	virtio_dev_write_features(&dev, 0, UINT32_MAX);
	virtio_dev_write_features(&dev, 2, UINT32_MAX);
	assert_int_equal(dev.driver_features, DRIVER_FEATURES);
}

static void queues_are_set_up_only_between_features_and_driver_ok(void **state)
{
	(void)state;
	assert_null(virtio_dev_queue_setup(&dev, 0));
	accept_features(DRIVER_FEATURES);
	assert_non_null(virtio_dev_queue_setup(&dev, 1));
	assert_null(virtio_dev_queue_setup(&dev, 2));
	assert_null(virtio_dev_queue_setup(&dev, UINT32_MAX));
	dev.vqs[1].st.ready = 1;
	assert_null(virtio_dev_queue_setup(&dev, 1));
	dev.vqs[1].st.ready = 0;
	virtio_dev_write_status(&dev, LIVE);
	assert_null(virtio_dev_queue_setup(&dev, 0));
}

static void a_bad_ring_breaks_the_device_at_driver_ok(void **state)
{
	(void)state;
	accept_features(DRIVER_FEATURES);
	dev.vqs[0].st = driver_vq_state(&drv);
	dev.vqs[0].st.used = DRIVER_RAM_END;
	virtio_dev_write_status(&dev, LIVE);

	assert_int_equal(dev.status, LIVE | NEEDS_RESET);
	assert_int_equal(toy.activated, 0);
	assert_int_equal(drv.config_irqs, 1);
	virtio_dev_notify(&dev, 0);
	assert_int_equal(toy.notified, 0);
}

static void a_failing_activation_breaks_the_device(void **state)
{
	(void)state;
	toy.activate_rc = -EIO;
	driver_start(&drv, &dev, DRIVER_FEATURES);

	assert_int_equal(dev.status, LIVE | NEEDS_RESET);
	virtio_dev_notify(&dev, 0);
	assert_int_equal(toy.notified, 0);
	virtio_dev_write_status(&dev, 0);
	assert_int_equal(toy.reset, 0); /* it never came up */
}

static void kicks_before_driver_ok_and_on_unknown_queues_are_ignored(void **state)
{
	(void)state;
	virtio_dev_notify(&dev, 0);
	driver_start(&drv, &dev, DRIVER_FEATURES);
	virtio_dev_notify(&dev, 1); /* never made ready */
	virtio_dev_notify(&dev, 2);
	virtio_dev_notify(&dev, UINT16_MAX);
	assert_int_equal(toy.notified, 0);
	virtio_dev_notify(&dev, 0);
	assert_int_equal(toy.notified, 1);
}

static void reset_forgets_the_driver(void **state)
{
	(void)state;
	driver_start(&drv, &dev, DRIVER_FEATURES);
	dev.config_generation = 7;
	virtio_dev_write_status(&dev, 0);

	assert_int_equal(dev.status, 0);
	assert_int_equal(dev.driver_features, 0);
	assert_int_equal(dev.vqs[0].st.ready, 0);
	assert_int_equal(toy.reset, 1);
	assert_int_equal(dev.config_generation, 7);
	virtio_dev_write_status(&dev, 0);
	assert_int_equal(toy.reset, 1); /* there was nothing left to forget */
	offer(1);
	virtio_dev_notify(&dev, 0);
	assert_int_equal(toy.notified, 0);
	driver_start(&drv, &dev, DRIVER_FEATURES);
	assert_int_equal(dev.status, LIVE);
}

static void a_batch_interrupts_once(void **state)
{
	(void)state;
	driver_start(&drv, &dev, DRIVER_FEATURES);
	offer(10);
	virtio_dev_notify(&dev, 0);

	assert_int_equal(toy.served, 10);
	assert_int_equal(drv.queue_irqs, 1);
	assert_int_equal(dev.counters.interrupt_count, 1);
	assert_int_equal(driver_avail_event(&drv), 10);
	virtio_dev_notify(&dev, 0);
	assert_int_equal(drv.queue_irqs, 1);
}

static void a_long_batch_is_cut_and_kicks_itself(void **state)
{
	(void)state;
	driver_start(&drv, &dev, DRIVER_FEATURES);
	offer(VIRTIO_BATCH_MAX + 5);
	virtio_dev_notify(&dev, 0);
	assert_int_equal(toy.served, VIRTIO_BATCH_MAX);
	assert_int_equal(drv.kicks, 1);
	assert_int_equal(drv.queue_irqs, 1);

	virtio_dev_notify(&dev, 0);
	assert_int_equal(toy.served, VIRTIO_BATCH_MAX + 5);
	assert_int_equal(drv.kicks, 1);
}

static void kicks_are_off_during_a_batch_and_on_after_it(void **state)
{
	(void)state;
	driver_start(&drv, &dev, DRIVER_FEATURES_PLAIN);
	offer(VIRTIO_BATCH_MAX);
	virtio_dev_notify(&dev, 0);
	assert_int_equal(driver_used_flags(&drv), 1); /* cut: it calls itself */
	virtio_dev_notify(&dev, 0);
	assert_int_equal(driver_used_flags(&drv), 0);
}

/* Offers one more request while the last one is being served, as a driver on another CPU may. */
static void toy_serve_and_offer(struct virtio_dev *d, struct vq *q, struct chain *c)
{
	toy_serve(d, q, c);
	if (toy.served < 5)
		driver_offer(&drv, 0);
}

static void requests_that_arrive_during_a_batch_are_served(void **state)
{
	(void)state;
	driver_start(&drv, &dev, DRIVER_FEATURES);
	offer(1);
	assert_int_equal(virtio_dev_serve(&dev, 0, &chain, toy_serve_and_offer), 5);
	assert_int_equal(drv.queue_irqs, 1);
}

static void a_broken_ring_stops_the_device_until_reset(void **state)
{
	(void)state;
	driver_start(&drv, &dev, DRIVER_FEATURES);
	offer(2);
	driver_offer(&drv, 999);
	virtio_dev_notify(&dev, 0);

	assert_int_equal(dev.status, LIVE | NEEDS_RESET);
	assert_int_equal(toy.served, 2);
	assert_int_equal(drv.queue_irqs, 1); /* what was served is still told */
	assert_int_equal(drv.config_irqs, 1);
	assert_int_equal(dev.counters.broken_count, 1);
	virtio_dev_notify(&dev, 0);
	assert_int_equal(toy.notified, 1);
	virtio_dev_write_status(&dev, LIVE);
	assert_int_equal(dev.status, LIVE | NEEDS_RESET);
	driver_start(&drv, &dev, DRIVER_FEATURES);
	offer(1);
	virtio_dev_notify(&dev, 0);
	assert_int_equal(toy.served, 3);
}

static void a_device_broken_before_driver_ok_interrupts_nobody(void **state)
{
	(void)state;
	accept_features(DRIVER_FEATURES);
	virtio_dev_broken(&dev, "test");
	assert_int_equal(drv.config_irqs, 0);
	virtio_dev_write_status(&dev, LIVE);
	assert_int_equal(dev.status, ACK | DRV | FEATURES | NEEDS_RESET);
}

static void config_reads_are_clipped_to_the_space(void **state)
{
	uint8_t buf[8];

	(void)state;
	memcpy(toy.config, "abcdef", 6);
	virtio_dev_config_read(&dev, 4, buf, 8);
	assert_memory_equal(buf, "ef\0\0\0\0\0\0", 8);
	virtio_dev_config_read(&dev, 6, buf, 4);
	assert_memory_equal(buf, "\0\0\0\0", 4);
	virtio_dev_config_read(&dev, UINT64_MAX, buf, 8);
	assert_memory_equal(buf, "\0\0\0\0\0\0\0\0", 8);
	virtio_dev_config_read(&dev, 1ull << 32, buf, 1);
	assert_int_equal(buf[0], 0);
}

static void config_writes_past_the_space_are_ignored(void **state)
{
	(void)state;
	virtio_dev_config_write(&dev, 4, "xyz", 3);
	virtio_dev_config_write(&dev, UINT64_MAX, "x", 1);
	assert_int_equal(toy.config[4], 0);
	virtio_dev_config_write(&dev, 4, "xy", 2);
	assert_memory_equal(toy.config + 4, "xy", 2);
}

static void a_config_change_raises_generation_and_interrupt(void **state)
{
	(void)state;
	virtio_dev_config_changed(&dev);
	assert_int_equal(dev.config_generation, 1);
	assert_int_equal(drv.config_irqs, 0);
	driver_start(&drv, &dev, DRIVER_FEATURES);
	virtio_dev_config_changed(&dev);
	assert_int_equal(dev.config_generation, 2);
	assert_int_equal(drv.config_irqs, 1);
}

static void fini_accepts_zeroed_storage(void **state)
{
	struct virtio_dev zero = {0};

	(void)state;
	virtio_dev_fini(&zero);
	virtio_dev_fini(&zero);
}

static void state_tables_are_sound(void **state)
{
	(void)state;
	if (!field_table_sound(&virtio_dev_state_table, &e))
		fail_msg("%s", e.msg);
}

static void a_live_device_survives_save_and_load(void **state)
{
	struct virtio_dev_state saved, again;

	(void)state;
	driver_start(&drv, &dev, DRIVER_FEATURES);
	offer(3);
	virtio_dev_notify(&dev, 0);
	virtio_dev_save(&dev, &saved);
	virtio_dev_write_status(&dev, 0);
	offer(2);
	assert_int_equal(virtio_dev_load(&dev, &saved, &e), 0);
	virtio_dev_save(&dev, &again);

	assert_memory_equal(&saved, &again, sizeof(saved));
	virtio_dev_notify(&dev, 0);
	assert_int_equal(toy.served, 5);
	assert_int_equal(driver_used_idx(&drv), 5);
}

static void a_broken_device_survives_save_and_load(void **state)
{
	struct virtio_dev_state saved;

	(void)state;
	driver_start(&drv, &dev, DRIVER_FEATURES);
	driver_offer(&drv, 999);
	virtio_dev_notify(&dev, 0);
	virtio_dev_save(&dev, &saved);
	assert_int_equal(virtio_dev_load(&dev, &saved, &e), 0);

	assert_int_equal(dev.status, LIVE | NEEDS_RESET);
	virtio_dev_notify(&dev, 0);
	assert_int_equal(toy.notified, 1);
}

static void hostile_states_are_refused_and_change_nothing(void **state)
{
	struct virtio_dev_state good, bad[10];

	(void)state;
	driver_start(&drv, &dev, DRIVER_FEATURES);
	virtio_dev_save(&dev, &good);
	for (size_t i = 0; i < NELEM(bad); i++)
		bad[i] = good;
	bad[0].queue_count = 1;
	bad[1].queue_count = VIRTIO_QUEUES_MAX + 1;
	bad[2].driver_features |= F_NOT_THERE;
	bad[3].driver_features = 0;
	bad[4].status |= 0x10;
	bad[5].status = DRIVER_OK;
	bad[6].reserved = 1;
	bad[7].vqs[0].desc = DRIVER_RAM_END;
	bad[8].vqs[0].size = 256; /* within the format, past this device */
	bad[9].vqs[VIRTIO_QUEUES_MAX - 1].size = 1;

	for (size_t i = 0; i < NELEM(bad); i++) {
		assert_int_equal(virtio_dev_load(&dev, &bad[i], &e), -EINVAL);
		assert_int_equal(dev.status, LIVE);
		assert_int_equal(toy.reset, 0);
	}
}

static void a_load_whose_activation_fails_leaves_a_reset_device(void **state)
{
	struct virtio_dev_state saved;

	(void)state;
	driver_start(&drv, &dev, DRIVER_FEATURES);
	virtio_dev_save(&dev, &saved);
	toy.activate_rc = -EIO;

	assert_int_equal(virtio_dev_load(&dev, &saved, &e), -EIO);
	assert_int_equal(dev.status, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(common_features_are_always_offered),
		T(a_device_comes_up_step_by_step),
		T(steps_out_of_order_change_nothing),
		T(clearing_a_bit_is_ignored),
		T(failed_can_be_set_at_any_time),
		T(features_not_offered_are_refused),
		T(a_driver_without_version_1_is_refused),
		T(features_are_fixed_once_agreed),
		T(queues_are_set_up_only_between_features_and_driver_ok),
		T(a_bad_ring_breaks_the_device_at_driver_ok),
		T(a_failing_activation_breaks_the_device),
		T(kicks_before_driver_ok_and_on_unknown_queues_are_ignored),
		T(reset_forgets_the_driver),
		T(a_batch_interrupts_once),
		T(a_long_batch_is_cut_and_kicks_itself),
		T(kicks_are_off_during_a_batch_and_on_after_it),
		T(requests_that_arrive_during_a_batch_are_served),
		T(a_broken_ring_stops_the_device_until_reset),
		T(a_device_broken_before_driver_ok_interrupts_nobody),
		T(config_reads_are_clipped_to_the_space),
		T(config_writes_past_the_space_are_ignored),
		T(a_config_change_raises_generation_and_interrupt),
		T(fini_accepts_zeroed_storage),
		T(state_tables_are_sound),
		T(a_live_device_survives_save_and_load),
		T(a_broken_device_survives_save_and_load),
		T(hostile_states_are_refused_and_change_nothing),
		T(a_load_whose_activation_fails_leaves_a_reset_device),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("virtio_device", tests, NULL, NULL);
}
