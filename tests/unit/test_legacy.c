/* SPDX-License-Identifier: Apache-2.0 */
/* The small devices: keyboard controller, ACPI power registers, pvpanic, boot timer. */
#include "tests/unit/lib/cm.h"
#include "vmm/base/layout.h"
#include "vmm/legacy/boot_timer.h"
#include "vmm/legacy/i8042.h"
#include "vmm/legacy/power.h"
#include "vmm/legacy/pvpanic.h"
#include "vmm/legacy/uart.h"

#include <unistd.h>

static enum vm_end ended;
static unsigned called;

static void note_end(void *ctx, enum vm_end end)
{
	(void)ctx;
	ended = end;
}

static void note_call(void *ctx)
{
	(void)ctx;
	called++;
}

static int set_up(void **state)
{
	(void)state;
	ended = VM_END_NONE;
	called = 0;
	return 0;
}

static uint8_t i8042_in(struct i8042 *k, const struct bus_ops *port)
{
	uint8_t v;

	port->read(k, 0, &v, 1);
	return v;
}

static void i8042_out(struct i8042 *k, const struct bus_ops *port, uint8_t v)
{
	port->write(k, 0, &v, 1);
}

static void reset_command_ends_the_vm(void **state)
{
	struct i8042 k;

	(void)state;
	i8042_init(&k, NULL, note_end, NULL);
	i8042_out(&k, &i8042_cmd_bus_ops, 0xfe);
	assert_int_equal(ended, VM_END_RESET);
	assert_int_equal(k.counters.reset_count, 1);
	i8042_fini(&k);
}

static void output_port_without_reset_bit_ends_the_vm(void **state)
{
	struct i8042 k;

	(void)state;
	i8042_init(&k, NULL, note_end, NULL);
	i8042_out(&k, &i8042_cmd_bus_ops, 0xd1);
	i8042_out(&k, &i8042_data_bus_ops, 0x03);
	assert_int_equal(ended, VM_END_NONE);
	i8042_out(&k, &i8042_cmd_bus_ops, 0xd1);
	i8042_out(&k, &i8042_data_bus_ops, 0x02);
	assert_int_equal(ended, VM_END_RESET);
	i8042_fini(&k);
}

static void controller_answers_its_self_test_and_keeps_its_command_byte(void **state)
{
	struct i8042 k;

	(void)state;
	i8042_init(&k, NULL, note_end, NULL);
	assert_int_equal(i8042_in(&k, &i8042_cmd_bus_ops) & 1, 0);
	i8042_out(&k, &i8042_cmd_bus_ops, 0xaa);
	assert_int_equal(i8042_in(&k, &i8042_cmd_bus_ops) & 1, 1);
	assert_int_equal(i8042_in(&k, &i8042_data_bus_ops), 0x55);
	i8042_out(&k, &i8042_cmd_bus_ops, 0x60);
	i8042_out(&k, &i8042_data_bus_ops, 0x47);
	i8042_out(&k, &i8042_cmd_bus_ops, 0x20);
	assert_int_equal(i8042_in(&k, &i8042_data_bus_ops), 0x47);
	assert_int_equal(i8042_in(&k, &i8042_data_bus_ops), 0);
	assert_int_equal(k.counters.missed_read_count, 1);
	i8042_fini(&k);
}

static void answers_past_the_buffer_are_dropped_and_counted(void **state)
{
	struct i8042 k;

	(void)state;
	i8042_init(&k, NULL, note_end, NULL);
	for (int i = 0; i < 10; i++)
		i8042_out(&k, &i8042_cmd_bus_ops, 0xaa);
	assert_int_equal(k.st.data_count, sizeof(k.st.data));
	assert_int_equal(k.counters.error_count, 10 - sizeof(k.st.data));
	i8042_fini(&k);
}

/* A guest with a driver: it has switched the keyboard and its interrupt on. */
static void i8042_with_driver(struct i8042 *k, const struct irq_line *irq)
{
	i8042_init(k, irq, note_end, NULL);
	i8042_out(k, &i8042_cmd_bus_ops, 0x60);
	i8042_out(k, &i8042_data_bus_ops, 0x25);
}

static uint64_t edges(const struct irq_line *irq)
{
	uint64_t count = 0;

	return read(irq->fd, &count, sizeof(count)) < 0 ? 0 : count;
}

static void ctrl_alt_del_arrives_byte_by_byte_with_an_edge_each(void **state)
{
	static const uint8_t codes[] = {
		0x14, 0x11, 0xe0, 0x71, 0xe0, 0xf0, 0x71, 0xf0, 0x11, 0xf0, 0x14};
	struct irq_line irq;
	struct i8042 k;

	(void)state;
	assert_int_equal(irq_line_init(&irq, NULL), 0);
	i8042_with_driver(&k, &irq);
	assert_true(i8042_ctrl_alt_del(&k));
	assert_false(i8042_ctrl_alt_del(&k)); /* still on its way */
	for (size_t i = 0; i < sizeof(codes); i++) {
		assert_int_equal(edges(&irq), 1);
		assert_int_equal(i8042_in(&k, &i8042_cmd_bus_ops) & 1, 1);
		assert_int_equal(i8042_in(&k, &i8042_data_bus_ops), codes[i]);
	}
	assert_int_equal(edges(&irq), 0);
	assert_int_equal(i8042_in(&k, &i8042_cmd_bus_ops) & 1, 0);
	assert_true(i8042_ctrl_alt_del(&k));
	i8042_fini(&k);
	irq_line_fini(&irq);
}

static void answers_of_the_controller_come_before_keys(void **state)
{
	struct i8042 k;

	(void)state;
	i8042_with_driver(&k, NULL);
	assert_true(i8042_ctrl_alt_del(&k));
	i8042_out(&k, &i8042_cmd_bus_ops, 0x20);
	assert_int_equal(i8042_in(&k, &i8042_data_bus_ops), 0x25);
	i8042_out(&k, &i8042_cmd_bus_ops, 0xad); /* the keyboard off: its bytes wait */
	assert_int_equal(i8042_in(&k, &i8042_cmd_bus_ops) & 1, 0);
	i8042_out(&k, &i8042_cmd_bus_ops, 0xae);
	assert_int_equal(i8042_in(&k, &i8042_data_bus_ops), 0x14);
	i8042_fini(&k);
}

static void guest_without_a_keyboard_driver_gets_no_keys(void **state)
{
	struct i8042 k;

	(void)state;
	i8042_init(&k, NULL, note_end, NULL);
	assert_false(i8042_ctrl_alt_del(&k));
	assert_int_equal(k.st.keys_left, 0);
	i8042_fini(&k);
}

static void keyboard_answers_commands(void **state)
{
	struct irq_line irq;
	struct i8042 k;

	(void)state;
	assert_int_equal(irq_line_init(&irq, NULL), 0);
	i8042_with_driver(&k, &irq);
	i8042_out(&k, &i8042_data_bus_ops, 0xf2);
	assert_int_equal(edges(&irq), 1);
	assert_int_equal(i8042_in(&k, &i8042_data_bus_ops), 0xfa);
	assert_int_equal(i8042_in(&k, &i8042_data_bus_ops), 0xab);
	assert_int_equal(i8042_in(&k, &i8042_data_bus_ops), 0x83);
	i8042_out(&k, &i8042_data_bus_ops, 0xff);
	assert_int_equal(i8042_in(&k, &i8042_data_bus_ops), 0xfa);
	assert_int_equal(i8042_in(&k, &i8042_data_bus_ops), 0xaa);
	i8042_fini(&k);
	irq_line_fini(&irq);
}

static bool admit_even(void *ctx)
{
	return ++*(int *)ctx % 2 == 0;
}

static void output_over_its_limit_is_dropped_and_counted(void **state)
{
	static struct uart u;
	struct irq_line irq;
	char got[8] = "";
	int fds[2], asked = 0;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(irq_line_init(&irq, NULL), 0);
	uart_init(&u, &irq, fds[1], -1);
	u.admit = admit_even;
	u.admit_ctx = &asked;
	for (const char *p = "abcdef"; *p; p++)
		uart_bus_ops.write(&u, 0, p, 1);
	assert_int_equal(read(fds[0], got, sizeof(got) - 1), 3);
	assert_string_equal(got, "bdf");
	assert_int_equal(u.counters.rate_limiter_dropped_bytes, 3);
	assert_int_equal(u.counters.write_count, 6);
	uart_fini(&u);
	irq_line_fini(&irq);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void power_write(uint64_t off, uint32_t value, uint32_t len)
{
	struct power p = {.end = note_end};

	power_bus_ops.write(&p, off, &value, len);
}

static void only_s5_with_the_enable_bit_powers_off(void **state)
{
	(void)state;
	for (uint32_t v = 0; v < 256; v++) {
		ended = VM_END_NONE;
		power_write(0, v, 1);
		assert_int_equal(
			ended, (v & 0x20) && ((v >> 2) & 7) == 5 ? VM_END_POWEROFF : VM_END_NONE);
	}
}

static void only_the_reset_value_reboots(void **state)
{
	(void)state;
	power_write(2, 0, 1);
	power_write(2, 2, 1);
	power_write(1, 1, 1);
	power_write(2, 1, 2);
	assert_int_equal(ended, VM_END_NONE);
	power_write(2, 1, 1);
	assert_int_equal(ended, VM_END_REBOOT);
}

static void pvpanic_hears_only_its_event(void **state)
{
	struct pvpanic p = {.panicked = note_call};
	uint8_t v = 0xff;

	(void)state;
	pvpanic_bus_ops.read(&p, 0, &v, 1);
	assert_int_equal(v, 1);
	v = 2;
	pvpanic_bus_ops.write(&p, 0, &v, 1);
	assert_int_equal(called, 0);
	v = 1;
	pvpanic_bus_ops.write(&p, 0, &v, 1);
	assert_int_equal(called, 1);
}

static void boot_timer_hears_only_the_byte_123(void **state)
{
	struct boot_timer t = {.booted = note_call};
	uint32_t v = 123, wrong = 122;

	(void)state;
	boot_timer_bus_ops.write(&t, 0, &v, 4);
	boot_timer_bus_ops.write(&t, 1, &v, 1);
	boot_timer_bus_ops.write(&t, 0, &wrong, 1);
	assert_int_equal(called, 0);
	boot_timer_bus_ops.write(&t, 0, &v, 1);
	assert_int_equal(called, 1);
}

#define TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reset_command_ends_the_vm),
		TEST(output_port_without_reset_bit_ends_the_vm),
		TEST(controller_answers_its_self_test_and_keeps_its_command_byte),
		TEST(answers_past_the_buffer_are_dropped_and_counted),
		TEST(ctrl_alt_del_arrives_byte_by_byte_with_an_edge_each),
		TEST(answers_of_the_controller_come_before_keys),
		TEST(guest_without_a_keyboard_driver_gets_no_keys),
		TEST(keyboard_answers_commands),
		TEST(output_over_its_limit_is_dropped_and_counted),
		TEST(only_s5_with_the_enable_bit_powers_off),
		TEST(only_the_reset_value_reboots),
		TEST(pvpanic_hears_only_its_event),
		TEST(boot_timer_hears_only_the_byte_123),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
