/* SPDX-License-Identifier: Apache-2.0 */
/* The I/O APIC: its registers, and the routes that follow from its redirection table. */
#include "tests/unit/lib/cm.h"
#include "vmm/svc/ioapic.h"

#include <errno.h>
#include <string.h>

#define REGSEL   0x00
#define WINDOW   0x10
#define TABLE(n) (0x10u + 2 * (n))

static struct {
	struct kvm_irq_routing_entry routes[LAYOUT_GSI_COUNT];
	uint32_t count, calls;
	int fail;
} heard;

static int hear(void *ctx, const struct kvm_irq_routing_entry *routes, uint32_t count)
{
	(void)ctx;
	assert_true(count <= LAYOUT_GSI_COUNT);
	memcpy(heard.routes, routes, count * sizeof(routes[0]));
	heard.count = count;
	heard.calls++;
	return heard.fail;
}

static struct ioapic apic;

static int set_up(void **state)
{
	(void)state;
	memset(&heard, 0, sizeof(heard));
	ioapic_init(&apic, hear, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ioapic_fini(&apic);
	return 0;
}

static void write_reg(uint32_t index, uint32_t value)
{
	ioapic_bus_ops.write(&apic, REGSEL, &index, 4);
	ioapic_bus_ops.write(&apic, WINDOW, &value, 4);
}

static uint32_t read_reg(uint32_t index)
{
	uint32_t value = 0;

	ioapic_bus_ops.write(&apic, REGSEL, &index, 4);
	ioapic_bus_ops.read(&apic, WINDOW, &value, 4);
	return value;
}

static void version_says_24_pins(void **state)
{
	(void)state;
	assert_int_equal(read_reg(1), 0x00170011);
}

static void id_keeps_its_four_bits(void **state)
{
	(void)state;
	write_reg(0, 0xffffffff);
	assert_int_equal(read_reg(0), 0x0f000000);
	assert_int_equal(read_reg(2), 0x0f000000);
}

static void pins_are_masked_at_reset_and_route_nothing(void **state)
{
	(void)state;
	for (uint32_t pin = 0; pin < LAYOUT_GSI_COUNT; pin++)
		assert_int_equal(read_reg(TABLE(pin)), 0x10000);
	assert_int_equal(ioapic_sync_routes(&apic), 0);
	assert_int_equal(heard.count, 0);
}

static void unmasked_pin_becomes_an_msi_on_its_gsi(void **state)
{
	(void)state;
	write_reg(TABLE(5) + 1, 0x03000000);
	assert_int_equal(heard.calls, 0); /* still masked: nobody need know */
	write_reg(TABLE(5), 0x0931);      /* lowest priority, logical, edge, vector 0x31 */
	assert_int_equal(heard.calls, 1);
	assert_int_equal(heard.count, 1);
	assert_int_equal(heard.routes[0].gsi, 5);
	assert_int_equal(heard.routes[0].type, KVM_IRQ_ROUTING_MSI);
	assert_int_equal(heard.routes[0].u.msi.address_hi, 0);
	assert_int_equal(heard.routes[0].u.msi.address_lo, 0xfee03004);
	assert_int_equal(heard.routes[0].u.msi.data, 0x4131);
}

static void masking_takes_the_route_away(void **state)
{
	(void)state;
	write_reg(TABLE(5), 0x31);
	write_reg(TABLE(6), 0x32);
	assert_int_equal(heard.count, 2);
	write_reg(TABLE(5), 0x10031);
	assert_int_equal(heard.count, 1);
	assert_int_equal(heard.routes[0].gsi, 6);
}

static void writing_the_same_entry_again_costs_no_call(void **state)
{
	(void)state;
	write_reg(TABLE(5), 0x31);
	write_reg(TABLE(5), 0x31);
	write_reg(TABLE(7), 0x10032); /* masked before and after */
	assert_int_equal(heard.calls, 1);
}

static void read_only_and_reserved_bits_do_not_stick(void **state)
{
	(void)state;
	write_reg(TABLE(0), 0xffffffff);
	write_reg(TABLE(0) + 1, 0xffffffff);
	assert_int_equal(read_reg(TABLE(0)), 0x0001afff);
	assert_int_equal(read_reg(TABLE(0) + 1), 0xff000000);
}

static void level_pins_are_routed_as_level(void **state)
{
	(void)state;
	write_reg(TABLE(9), 0x8040);
	assert_int_equal(heard.routes[0].u.msi.data, 0xc040);
}

static void extint_needs_a_pic_and_routes_nothing(void **state)
{
	(void)state;
	write_reg(TABLE(0), 0x0700);
	assert_int_equal(heard.calls, 0);
}

static void indices_past_the_table_read_as_zero(void **state)
{
	(void)state;
	for (uint32_t i = 3; i < 0x10; i++)
		assert_int_equal(read_reg(i), 0);
	for (uint32_t i = TABLE(LAYOUT_GSI_COUNT); i < 0x100; i++) {
		write_reg(i, 0xffffffff);
		assert_int_equal(read_reg(i), 0);
	}
	assert_int_equal(heard.calls, 0);
}

static void narrow_writes_to_the_window_are_ignored(void **state)
{
	uint32_t index = TABLE(4), value = 0x55;

	(void)state;
	ioapic_bus_ops.write(&apic, REGSEL, &index, 1);
	ioapic_bus_ops.write(&apic, WINDOW, &value, 1);
	ioapic_bus_ops.write(&apic, WINDOW + 4, &value, 4);
	assert_int_equal(read_reg(TABLE(4)), 0x10000);
}

static void refused_routes_are_counted_and_life_goes_on(void **state)
{
	(void)state;
	heard.fail = -EINVAL;
	write_reg(TABLE(4), 0x31);
	assert_int_equal(apic.route_fails, 1);
	assert_int_equal(read_reg(TABLE(4)), 0x31);
}

static void saved_state_with_reserved_bits_is_refused(void **state)
{
	struct ioapic_state s = apic.st;
	struct err e = {0};

	(void)state;
	assert_int_equal(field_table_check(&ioapic_state_table, &s, &e), 0);
	s.redirection[23] |= 1ull << 40;
	assert_int_equal(field_table_check(&ioapic_state_table, &s, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "redirection[23]"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(version_says_24_pins),
		TEST(id_keeps_its_four_bits),
		TEST(pins_are_masked_at_reset_and_route_nothing),
		TEST(unmasked_pin_becomes_an_msi_on_its_gsi),
		TEST(masking_takes_the_route_away),
		TEST(writing_the_same_entry_again_costs_no_call),
		TEST(read_only_and_reserved_bits_do_not_stick),
		TEST(level_pins_are_routed_as_level),
		TEST(extint_needs_a_pic_and_routes_nothing),
		TEST(indices_past_the_table_read_as_zero),
		TEST(narrow_writes_to_the_window_are_ignored),
		TEST(refused_routes_are_counted_and_life_goes_on),
		TEST(saved_state_with_reserved_bits_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
