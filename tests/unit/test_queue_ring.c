/* SPDX-License-Identifier: Apache-2.0 */
/* The split virtqueue: returning chains, enabling, interrupts and kicks, saved state. */
#include "virtio/queue.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/driver.h"

#include <errno.h>
#include <stdlib.h>

#define SIZE 8u

static struct driver drv;
static struct vq q;
static struct chain chain;
static const char *why;

static void start(uint16_t size, uint64_t features)
{
	driver_init(&drv, size);
	vq_init(&q, &drv.mem, VQ_SIZE_MAX);
	q.st = driver_vq_state(&drv);
	assert_int_equal(vq_enable(&q, features), 0);
	why = NULL;
}

static int setup(void **state)
{
	(void)state;
	start(SIZE, DRIVER_FEATURES);
	return 0;
}

static int setup_plain(void **state)
{
	(void)state;
	start(SIZE, DRIVER_FEATURES_PLAIN);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	driver_fini(&drv);
	return 0;
}

static int pop(void)
{
	return vq_pop(&q, &chain, &why);
}

static void unpop_gives_the_same_chain_again(void **state)
{
	(void)state;
	driver_desc_set(&drv, 5, DRIVER_RAM_START, 1, 0, 0);
	driver_offer(&drv, 5);
	assert_int_equal(pop(), 1);
	vq_unpop(&q);

	assert_int_equal(pop(), 1);
	assert_int_equal(chain.head, 5);
	assert_int_equal(pop(), 0);
}

static void push_returns_head_and_length_in_order(void **state)
{
	const struct driver_buf buf = {DRIVER_RAM_START, 100, true};
	struct driver_used u;

	(void)state;
	driver_chain(&drv, &buf, 1);
	driver_chain(&drv, &buf, 1);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(pop(), 1);
		vq_push(&q, &chain, 10 + i);
	}

	for (uint32_t i = 0; i < 2; i++) {
		assert_true(driver_poll(&drv, &u));
		assert_int_equal(u.id, i);
		assert_int_equal(u.len, 10 + i);
	}
	assert_false(driver_poll(&drv, &u));
}

static void push_to_a_queue_that_was_stopped_is_dropped(void **state)
{
	const struct driver_buf buf = {DRIVER_RAM_START, 100, true};

	(void)state;
	driver_chain(&drv, &buf, 1);
	assert_int_equal(pop(), 1);
	vq_disable(&q);
	vq_push(&q, &chain, 100);

	assert_int_equal(driver_used_idx(&drv), 0);
}

static void the_rings_wrap_many_times(void **state)
{
	const struct driver_buf buf = {DRIVER_RAM_START, 8, true};
	struct driver_used u;

	(void)state;
	for (uint32_t i = 0; i < 3 * 65536 + 5; i++) {
		uint16_t head = driver_chain(&drv, &buf, 1);

		assert_int_equal(pop(), 1);
		vq_push(&q, &chain, i & 7);
		assert_true(driver_poll(&drv, &u));
		assert_int_equal(u.id, head);
		assert_int_equal(u.len, i & 7);
	}
	assert_int_equal(driver_used_idx(&drv), 5);
}

static void chains_are_judged_as_they_were_when_popped(void **state)
{
	const struct driver_buf buf = {DRIVER_RAM_START, 8, true};

	(void)state;
	driver_chain(&drv, &buf, 1);
	assert_int_equal(pop(), 1);
	driver_desc_set(&drv, 0, 0, UINT32_MAX, DESC_NEXT, UINT16_MAX);

	assert_int_equal(chain_write(&chain, 0, "12345678", 8), 0);
	assert_int_equal(chain.seg[0].len, 8);
}

static void enable_refuses_bad_sizes(void **state)
{
	const uint16_t bad[] = {0, 3, 6, 257, 512, 32768, UINT16_MAX};

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		q.st.size = bad[i];
		assert_int_equal(vq_enable(&q, DRIVER_FEATURES), -EINVAL);
	}
	vq_init(&q, &drv.mem, 4);
	q.st = driver_vq_state(&drv);
	assert_int_equal(vq_enable(&q, DRIVER_FEATURES), -EINVAL); /* 8 > 4 */
}

static void enable_takes_every_size_up_to_the_largest(void **state)
{
	(void)state;
	for (uint16_t size = 1; size <= VQ_SIZE_MAX; size = (uint16_t)(size * 2)) {
		driver_fini(&drv);
		start(size, DRIVER_FEATURES);
	}
}

static void enable_refuses_rings_that_are_not_aligned(void **state)
{
	const struct vq_state good = driver_vq_state(&drv);

	(void)state;
	q.st = good;
	q.st.desc += 8;
	assert_int_equal(vq_enable(&q, DRIVER_FEATURES), -EINVAL);
	q.st = good;
	q.st.avail += 1;
	assert_int_equal(vq_enable(&q, DRIVER_FEATURES), -EINVAL);
	q.st = good;
	q.st.used += 2;
	assert_int_equal(vq_enable(&q, DRIVER_FEATURES), -EINVAL);
}

static void enable_refuses_rings_outside_memory(void **state)
{
	const uint64_t bad[] = {
		0, DRIVER_RAM_START - 16, DRIVER_RAM_END - 16, DRIVER_RAM_END, UINT64_MAX - 15};
	const struct vq_state good = driver_vq_state(&drv);

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		q.st = good;
		q.st.desc = bad[i];
		assert_int_equal(vq_enable(&q, DRIVER_FEATURES), -EFAULT);
		q.st = good;
		q.st.avail = bad[i];
		assert_int_equal(vq_enable(&q, DRIVER_FEATURES), -EFAULT);
		q.st = good;
		q.st.used = bad[i];
		assert_int_equal(vq_enable(&q, DRIVER_FEATURES), -EFAULT);
	}
}

static void event_words_need_room_only_with_the_feature(void **state)
{
	(void)state;
	q.st.avail = DRIVER_RAM_END - 4 - 2 * SIZE;
	assert_int_equal(vq_enable(&q, DRIVER_FEATURES), -EFAULT);
	assert_int_equal(vq_enable(&q, DRIVER_FEATURES_PLAIN), 0);
}

static void reset_forgets_everything(void **state)
{
	(void)state;
	driver_desc_set(&drv, 0, DRIVER_RAM_START, 1, 0, 0);
	driver_offer(&drv, 0);
	assert_int_equal(pop(), 1);
	vq_push(&q, &chain, 0);
	vq_reset(&q);

	assert_memory_equal(&q.st, &(struct vq_state){0}, sizeof(q.st));
	assert_int_equal(pop(), 0);
	assert_int_equal(q.size_max, VQ_SIZE_MAX);
}

/* Pops and pushes n empty chains. */
static void serve(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		driver_offer(&drv, 0);
		assert_int_equal(pop(), 1);
		vq_push(&q, &chain, 0);
	}
}

static void interrupts_follow_used_event(void **state)
{
	(void)state;
	driver_used_event_set(&drv, 2);
	(void)vq_need_irq(&q);
	serve(2);
	assert_false(vq_need_irq(&q)); /* index 2 is reached by the third */
	serve(1);
	assert_true(vq_need_irq(&q));
	assert_false(vq_need_irq(&q));
	serve(5);
	assert_false(vq_need_irq(&q));
}

static void a_batch_that_passes_used_event_interrupts_once(void **state)
{
	(void)state;
	(void)vq_need_irq(&q);
	driver_used_event_set(&drv, 3);
	serve(SIZE);

	assert_true(vq_need_irq(&q));
	assert_false(vq_need_irq(&q));
}

static void used_event_works_across_the_wrap(void **state)
{
	(void)state;
	serve(65533);
	(void)vq_need_irq(&q);
	driver_used_event_set(&drv, 1);
	serve(4); /* 65533 .. 1: index 1 is not yet passed */
	assert_false(vq_need_irq(&q));
	serve(1);
	assert_true(vq_need_irq(&q));
}

static void a_whole_turn_without_a_look_interrupts_anyway(void **state)
{
	(void)state;
	driver_used_event_set(&drv, 60000);
	(void)vq_need_irq(&q);
	serve(65536);

	assert_true(vq_need_irq(&q));
}

static void without_event_idx_the_flag_decides(void **state)
{
	(void)state;
	serve(1);
	assert_true(vq_need_irq(&q));
	driver_flags_set(&drv, 1);
	serve(1);
	assert_false(vq_need_irq(&q));
	driver_flags_set(&drv, 0);
	assert_true(vq_need_irq(&q));
}

static void kicks_are_switched_by_the_flag_without_event_idx(void **state)
{
	(void)state;
	vq_kicks_off(&q);
	assert_int_equal(driver_used_flags(&drv), 1);
	assert_false(vq_kicks_on(&q));
	assert_int_equal(driver_used_flags(&drv), 0);
	driver_offer(&drv, 0);
	assert_true(vq_kicks_on(&q));
}

static void kicks_are_asked_for_by_avail_event(void **state)
{
	(void)state;
	serve(3);
	vq_kicks_off(&q);
	assert_int_equal(driver_used_flags(&drv), 0);
	assert_false(vq_kicks_on(&q));
	assert_int_equal(driver_avail_event(&drv), 3);
	driver_offer(&drv, 0);
	assert_true(vq_kicks_on(&q));
}

static void state_tables_are_sound(void **state)
{
	struct err e = {0};

	(void)state;
	if (!field_table_sound(&vq_state_table, &e))
		fail_msg("%s", e.msg);
}

static void hostile_queue_states_are_refused(void **state)
{
	const struct vq_state good = {.size = 8, .ready = 1, .next_avail = 3, .next_used = 65531};
	struct vq_state s = good;

	(void)state;
	assert_int_equal(field_table_check(&vq_state_table, &s, NULL), 0);
	s.size = 512;
	assert_int_equal(field_table_check(&vq_state_table, &s, NULL), -EINVAL);
	s.size = 6;
	assert_int_equal(field_table_check(&vq_state_table, &s, NULL), -EINVAL);
	s = good;
	s.next_used--; /* nine in flight on a queue of eight */
	assert_int_equal(field_table_check(&vq_state_table, &s, NULL), -EINVAL);
	s = good;
	s.ready = 2;
	assert_int_equal(field_table_check(&vq_state_table, &s, NULL), -EINVAL);
	s = good;
	s.reserved[5] = 1;
	assert_int_equal(field_table_check(&vq_state_table, &s, NULL), -EINVAL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define P(f) cmocka_unit_test_setup_teardown(f, setup_plain, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(unpop_gives_the_same_chain_again),
		T(push_returns_head_and_length_in_order),
		T(push_to_a_queue_that_was_stopped_is_dropped),
		T(the_rings_wrap_many_times),
		T(chains_are_judged_as_they_were_when_popped),
		T(enable_refuses_bad_sizes),
		T(enable_takes_every_size_up_to_the_largest),
		T(enable_refuses_rings_that_are_not_aligned),
		T(enable_refuses_rings_outside_memory),
		T(event_words_need_room_only_with_the_feature),
		T(reset_forgets_everything),
		T(interrupts_follow_used_event),
		T(a_batch_that_passes_used_event_interrupts_once),
		T(used_event_works_across_the_wrap),
		T(a_whole_turn_without_a_look_interrupts_anyway),
		P(without_event_idx_the_flag_decides),
		P(kicks_are_switched_by_the_flag_without_event_idx),
		T(kicks_are_asked_for_by_avail_event),
		T(state_tables_are_sound),
		T(hostile_queue_states_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue_ring", tests, NULL, NULL);
}
