/* SPDX-License-Identifier: Apache-2.0 */
/* The page of the VMClock device, byte by byte as its specification lays it out. */
#include "vmm/legacy/vmclock.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/fail.h"
#include "vmm/base/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned char ram[0x100000];
static struct gmem mem;
static struct vmclock vc;
static struct err e;

static int setup(void **state)
{
	(void)state;
	fail_reset();
	memset(ram, 0, sizeof(ram));
	gmem_init_borrowed(&mem, GPA(0), ram, sizeof(ram));
	assert_int_equal(vmclock_init(&vc, &mem, &e), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vmclock_fini(&vc);
	return 0;
}

static uint64_t at(uint32_t off, uint32_t size)
{
	uint64_t v = 0;

	memcpy(&v, ram + LAYOUT_VMCLOCK + off, size);
	return v;
}

static void the_page_is_laid_out_as_specified(void **state)
{
	(void)state;
	assert_memory_equal(ram + LAYOUT_VMCLOCK, "VCLK", 4);
	assert_int_equal(at(4, 4), 4096);
	assert_int_equal(at(8, 2), 1);
	assert_int_equal(at(0x0a, 1), 0xff); /* no counter to tell time by */
	assert_int_equal(at(0x0c, 4), 0);
	assert_int_equal(at(0x18, 8), 1u << 7 | 1u << 8);
	assert_int_equal(at(0x22, 1), 0); /* status unknown */
	for (uint32_t i = 0x70; i < LAYOUT_VMCLOCK_SIZE; i++)
		assert_int_equal(at(i, 1), 0);
}

static void a_disruption_changes_both_counters_and_notifies(void **state)
{
	uint64_t raised = 0;

	(void)state;
	for (uint64_t i = 1; i <= 3; i++) {
		assert_int_equal(vmclock_disrupt(&vc, &mem), 0);
		assert_int_equal(at(0x0c, 4), 2 * i);
		assert_int_equal(at(0x10, 8), i);
		assert_int_equal(at(0x68, 8), i);
	}
	assert_int_equal(read(vc.irq.fd, &raised, sizeof(raised)), sizeof(raised));
	assert_int_equal(raised, 3);
}

static void state_is_sound_and_an_odd_sequence_is_refused(void **state)
{
	struct vmclock_state s = {.seq_count = 3};

	(void)state;
	assert_true(field_table_sound(&vmclock_state_table, &e));
	assert_int_equal(field_table_check(&vmclock_state_table, &s, &e), -EINVAL);
	s.seq_count = 4;
	assert_int_equal(field_table_check(&vmclock_state_table, &s, &e), 0);
	s.reserved = 1;
	assert_int_equal(field_table_check(&vmclock_state_table, &s, &e), -EINVAL);
}

static void failures_at_set_up_are_reported(void **state)
{
	struct vmclock other;
	struct gmem small;

	(void)state;
	gmem_init_borrowed(&small, GPA(0), ram, 0x1000);
	assert_int_equal(vmclock_init(&other, &small, &e), -EFAULT);
	vmclock_fini(&other);
	fail_nth(FAIL_EVENTFD, 1, EMFILE);
	assert_int_equal(vmclock_init(&other, &mem, &e), -EMFILE);
	vmclock_fini(&other);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_page_is_laid_out_as_specified),
		T(a_disruption_changes_both_counters_and_notifies),
		T(state_is_sound_and_an_odd_sequence_is_refused),
		T(failures_at_set_up_are_reported),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("vmclock", tests, NULL, NULL);
}
