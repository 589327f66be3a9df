/* SPDX-License-Identifier: Apache-2.0 */
/* Port and MMIO dispatch: what is found where, and what may be added. */
#include "tests/unit/lib/cm.h"
#include "vmm/svc/bus.h"

#include <errno.h>
#include <string.h>

struct probe {
	uint64_t off;
	uint32_t len;
	unsigned read_count, write_count;
};

static void probe_read(void *dev, uint64_t off, void *data, uint32_t len)
{
	struct probe *p = dev;

	p->off = off;
	p->len = len;
	p->read_count++;
	memset(data, 0x5a, len);
}

static void probe_write(void *dev, uint64_t off, const void *data, uint32_t len)
{
	struct probe *p = dev;

	(void)data;
	p->off = off;
	p->len = len;
	p->write_count++;
}

static const struct bus_ops probe_ops = {.read = probe_read, .write = probe_write};

static void read_reaches_the_device_at_its_offset(void **state)
{
	struct probe low = {0}, high = {0};
	struct bus b;
	uint32_t v = 0;

	(void)state;
	bus_init(&b, "mmio");
	assert_int_equal(bus_add(&b, 0x2000, 0x100, &probe_ops, &high, NULL), 0);
	assert_int_equal(bus_add(&b, 0x1000, 0x100, &probe_ops, &low, NULL), 0);
	assert_true(bus_read(&b, 0x20fc, &v, 4));
	assert_int_equal(v, 0x5a5a5a5a);
	assert_int_equal(high.off, 0xfc);
	assert_true(bus_write(&b, 0x1000, &v, 1));
	assert_int_equal(low.write_count, 1);
	assert_int_equal(low.read_count, 0);
}

static void empty_addresses_read_as_ones(void **state)
{
	struct probe p = {0};
	struct bus b;
	uint64_t v = 0;

	(void)state;
	bus_init(&b, "mmio");
	assert_int_equal(bus_add(&b, 0x1000, 0x100, &probe_ops, &p, NULL), 0);
	assert_false(bus_read(&b, 0xfff, &v, 1));
	assert_int_equal(v, 0xff);
	assert_false(bus_read(&b, 0x1100, &v, 8));
	assert_true(v == UINT64_MAX);
	assert_false(bus_write(&b, UINT64_MAX, &v, 8));
	assert_int_equal(p.read_count + p.write_count, 0);
}

static void access_across_the_end_of_a_range_finds_nothing(void **state)
{
	struct probe p = {0};
	struct bus b;
	uint32_t v = 0;

	(void)state;
	bus_init(&b, "mmio");
	assert_int_equal(bus_add(&b, 0x1000, 0x100, &probe_ops, &p, NULL), 0);
	assert_int_equal(bus_add(&b, 0x1100, 0x100, &probe_ops, &p, NULL), 0);
	assert_false(bus_read(&b, 0x10fe, &v, 4));
	assert_int_equal(p.read_count, 0);
}

static void overlapping_empty_and_wrapping_ranges_are_refused(void **state)
{
	struct probe p = {0};
	struct bus b;
	struct err e;

	(void)state;
	bus_init(&b, "port");
	assert_int_equal(bus_add(&b, 0x60, 0x10, &probe_ops, &p, &e), 0);
	assert_int_equal(bus_add(&b, 0x6f, 0x10, &probe_ops, &p, &e), -EEXIST);
	assert_int_equal(bus_add(&b, 0x50, 0x11, &probe_ops, &p, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "port range 0x50+0x11"));
	assert_int_equal(bus_add(&b, 0x70, 0, &probe_ops, &p, &e), -EINVAL);
	assert_int_equal(bus_add(&b, UINT64_MAX - 3, 8, &probe_ops, &p, &e), -EINVAL);
	assert_int_equal(bus_add(&b, 0x50, 0x10, &probe_ops, &p, &e), 0);
	assert_int_equal(b.range_count, 2);
}

static void a_full_bus_refuses_one_more(void **state)
{
	struct probe p = {0};
	struct bus b;
	struct err e;

	(void)state;
	bus_init(&b, "mmio");
	for (uint64_t i = 0; i < BUS_RANGES_MAX; i++)
		assert_int_equal(bus_add(&b, i * 16, 16, &probe_ops, &p, &e), 0);
	assert_int_equal(bus_add(&b, 1 << 20, 16, &probe_ops, &p, &e), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_reaches_the_device_at_its_offset),
		cmocka_unit_test(empty_addresses_read_as_ones),
		cmocka_unit_test(access_across_the_end_of_a_range_finds_nothing),
		cmocka_unit_test(overlapping_empty_and_wrapping_ranges_are_refused),
		cmocka_unit_test(a_full_bus_refuses_one_more),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
