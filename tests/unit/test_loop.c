/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: who is called when, and who is not any more. */
#include "tests/unit/lib/cm.h"
#include "vmm/base/cleanup.h"
#include "vmm/svc/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>

struct fixture {
	struct loop loop;
	struct loop_source a, b;
	int calls_a, calls_b;
	bool a_drops_b;
};

static void on_a(void *ctx, uint32_t events)
{
	struct fixture *f = ctx;

	assert_true(events & EPOLLIN);
	f->calls_a++;
	if (f->a_drops_b)
		loop_del(&f->loop, &f->b);
	if (f->calls_a == 3)
		loop_stop(&f->loop);
}

static void on_b(void *ctx, uint32_t events)
{
	struct fixture *f = ctx;

	(void)events;
	f->calls_b++;
	if (f->a_drops_b)
		loop_del(&f->loop, &f->a);
	loop_stop(&f->loop);
}

static void fixture_init(struct fixture *f)
{
	*f = (struct fixture){0};
	assert_int_equal(loop_init(&f->loop, NULL), 0);
	f->a = (struct loop_source){.fd = eventfd(1, EFD_CLOEXEC), .fn = on_a, .ctx = f};
	f->b = (struct loop_source){.fd = eventfd(1, EFD_CLOEXEC), .fn = on_b, .ctx = f};
}

static void fixture_fini(struct fixture *f)
{
	fd_close(&f->a.fd);
	fd_close(&f->b.fd);
	loop_fini(&f->loop);
}

static void ready_source_is_called_until_the_loop_stops(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(loop_add(&f.loop, &f.a, EPOLLIN), 0);
	assert_int_equal(loop_run(&f.loop), 0);
	assert_int_equal(f.calls_a, 3);
	fixture_fini(&f);
}

struct nested {
	struct fixture inner;
	struct loop outer;
	struct loop_source door; /* the inner loop, as a source of the outer */
};

static void on_door(void *ctx, uint32_t events)
{
	struct nested *n = ctx;

	(void)events;
	assert_int_equal(loop_turn(&n->inner.loop), 0);
	if (n->inner.calls_a >= 3)
		loop_stop(&n->outer);
}

static void loop_inside_a_loop_is_served_and_can_be_run_alone(void **state)
{
	struct nested n = {.outer = {.epoll_fd = -1}};

	(void)state;
	fixture_init(&n.inner);
	assert_int_equal(loop_init(&n.outer, NULL), 0);
	n.door = (struct loop_source){.fd = n.inner.loop.epoll_fd, .fn = on_door, .ctx = &n};
	assert_int_equal(loop_add(&n.inner.loop, &n.inner.a, EPOLLIN), 0);
	assert_int_equal(loop_add(&n.outer, &n.door, EPOLLIN), 0);
	assert_int_equal(loop_run(&n.outer), 0);
	assert_int_equal(n.inner.calls_a, 3);
	n.inner.calls_a = 1;
	assert_int_equal(loop_run(&n.inner.loop), 0);
	assert_int_equal(n.inner.calls_a, 3);
	loop_fini(&n.outer);
	fixture_fini(&n.inner);
}

static void source_deleted_in_the_same_turn_is_not_called(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	f.a_drops_b = true; /* whoever comes first drops the other */
	assert_int_equal(loop_add(&f.loop, &f.a, EPOLLIN), 0);
	assert_int_equal(loop_add(&f.loop, &f.b, EPOLLIN), 0);
	assert_int_equal(loop_run(&f.loop), 0);
	assert_true((f.calls_a == 3) != (f.calls_b == 1));
	fixture_fini(&f);
}

static void regular_file_cannot_be_watched(void **state)
{
	CLEANUP_FD
	int fd = open("Makefile", O_RDONLY | O_CLOEXEC);
	struct fixture f;

	(void)state;
	fixture_init(&f);
	f.b.fn = on_a;
	int saved = f.b.fd;

	f.b.fd = fd;
	assert_int_equal(loop_add(&f.loop, &f.b, EPOLLIN), -EPERM);
	f.b.fd = saved;
	fixture_fini(&f);
}

static void modified_source_hears_only_what_it_asked_for(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(loop_add(&f.loop, &f.b, EPOLLIN), 0);
	assert_int_equal(loop_mod(&f.loop, &f.b, 0), 0);
	assert_int_equal(loop_add(&f.loop, &f.a, EPOLLIN), 0);
	assert_int_equal(loop_run(&f.loop), 0);
	assert_int_equal(f.calls_b, 0);
	fixture_fini(&f);
}

/* Edge-triggered sources hear of each event once, also if another one's callback stops the loop. */
static void events_of_a_turn_that_was_stopped_are_served_in_the_next_run(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	f.b.fn = on_b;
	f.a.fn = on_b;
	assert_int_equal(loop_add(&f.loop, &f.a, EPOLLIN | (uint32_t)EPOLLET), 0);
	assert_int_equal(loop_add(&f.loop, &f.b, EPOLLIN | (uint32_t)EPOLLET), 0);
	assert_int_equal(loop_run(&f.loop), 0);
	assert_int_equal(f.calls_b, 1);
	assert_int_equal(loop_run(&f.loop), 0);
	assert_int_equal(f.calls_b, 2);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ready_source_is_called_until_the_loop_stops),
		cmocka_unit_test(loop_inside_a_loop_is_served_and_can_be_run_alone),
		cmocka_unit_test(source_deleted_in_the_same_turn_is_not_called),
		cmocka_unit_test(events_of_a_turn_that_was_stopped_are_served_in_the_next_run),
		cmocka_unit_test(regular_file_cannot_be_watched),
		cmocka_unit_test(modified_source_hears_only_what_it_asked_for),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
