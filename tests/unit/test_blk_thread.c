/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which thread may do what with a block device: an I/O thread of its own, a vCPU that stops a queue
 * while requests are under way, the main thread that changes the device under its filter.
 */
#include "virtio/blk_dev.h"

#include "seccomp/seccomp.h"
#include "tests/unit/lib/blk_rig.h"
#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/fail.h"
#include "vmm/core/io_thread.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE       (BLK_RIG_SECTORS * BLK_SECTOR_SIZE)
#define PATIENCE_S 20
#define MS         1000u

/* An engine that finishes nothing before somebody waits for it. */
static struct fake {
	struct blk_engine base; /* first */
	struct blk_io *ios[16];
	unsigned started, reaped, done, settled;
} fake;

static int fake_start(struct blk_engine *g, struct blk_io *io)
{
	(void)g;
	fake.ios[fake.started++] = io;
	return BLK_IN_FLIGHT;
}

static void fake_submit(struct blk_engine *g)
{
	(void)g;
}

static struct blk_io *fake_reap(struct blk_engine *g, int *ret_res)
{
	(void)g;
	*ret_res = 0;
	return fake.reaped < fake.done ? fake.ios[fake.reaped++] : NULL;
}

static int fake_settle(struct blk_engine *g, struct blk_io *io, int res)
{
	(void)g;
	(void)io;
	fake.settled++;
	return res;
}

static void fake_wait(struct blk_engine *g)
{
	(void)g;
	assert_true(fake.done < fake.started);
	fake.done = fake.started;
}

static const struct blk_engine_ops fake_ops = {
	.name = "fake",
	.start = fake_start,
	.submit = fake_submit,
	.reap = fake_reap,
	.settle = fake_settle,
	.wait = fake_wait,
};

static struct blk_rig rig;
static struct driver second; /* the driver of queue 1, in the same memory */
static struct blk_engine *engine;
static struct err e;

static int setup(void **state)
{
	struct vq *vq;
	int rc;

	(void)state;
	fail_reset();
	fake = (struct fake){.base = {.ops = &fake_ops, .fd = -1}};
	blk_rig_init(&rig, (struct blk_config){.queues = 2}, SIZE);
	engine = blk_of(rig.dev)->engine;
	fake.base.file = engine->file;
	blk_of(rig.dev)->engine = &fake.base;
	second = rig.drv;
	second.desc = driver_alloc(&rig.drv, 4096, 16);
	second.avail = driver_alloc(&rig.drv, 4096, 16);
	second.used = driver_alloc(&rig.drv, 4096, 16);
	vq = &rig.dev->vqs[1];
	vq->st = driver_vq_state(&second);
	rc = vq_enable(vq, rig.features);
	assert_int_equal(rc, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtio_dev_write_status(rig.dev, 0);
	blk_of(rig.dev)->engine = engine;
	blk_rig_fini(&rig);
	fail_reset();
	return 0;
}

/* n one-sector reads by way of d, whose memory both drivers share. */
static void offer(struct driver *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t header = blk_rig_header(&rig, BLK_IN, i);
		uint64_t at = driver_alloc(&rig.drv, 513, 512);
		const struct driver_buf bufs[] = {
			{header, 16, false}, {at, 512, true}, {at + 512, 1, true}};

		(void)driver_chain(d, bufs, 3);
	}
}

static void stop(uint16_t q)
{
	virtio_dev_lock(rig.dev);
	virtio_dev_queue_stop(rig.dev, q);
	virtio_dev_unlock(rig.dev);
}

static void start_three_on_each(void)
{
	offer(&rig.drv, 3);
	offer(&second, 3);
	virtio_dev_notify(rig.dev, 0);
	virtio_dev_notify(rig.dev, 1);
	assert_int_equal(blk_of(rig.dev)->in_flight, 6);
}

static void a_stopped_queue_has_nothing_in_flight_and_is_not_written(void **state)
{
	struct blk *b = blk_of(rig.dev);

	(void)state;
	start_three_on_each();
	stop(0);
	assert_int_equal(b->queue_in_flight[0], 0);
	assert_int_equal(b->in_flight, 3);
	assert_null(rig.dev->vqs[0].desc);
	assert_int_equal(driver_used_idx(&rig.drv), 0);
	blk_poll(rig.dev);
	assert_int_equal(driver_used_idx(&rig.drv), 0);
}

/* The vCPU's filter has no file operations: it must not go on with what it collects. */
static void what_belongs_to_other_queues_is_left_to_the_owner(void **state)
{
	(void)state;
	start_three_on_each();
	stop(0);
	assert_int_equal(fake.settled, 0);
	assert_int_equal(driver_used_idx(&second), 0);
	assert_true(rig.drv.kicks >= 1);
	virtio_dev_notify(rig.dev, 1);
	assert_int_equal(fake.settled, 3);
	assert_int_equal(driver_used_idx(&second), 3);
	assert_int_equal(blk_of(rig.dev)->in_flight, 0);
}

static void stopping_both_queues_forgets_everything(void **state)
{
	(void)state;
	start_three_on_each();
	stop(0);
	stop(1);
	assert_int_equal(blk_of(rig.dev)->in_flight, 0);
	assert_null(blk_of(rig.dev)->aside);
	blk_poll(rig.dev);
	assert_int_equal(driver_used_idx(&second), 0);
	assert_int_equal(fake.settled, 0);
}

static void a_drain_and_a_reset_find_what_was_left(void **state)
{
	(void)state;
	start_three_on_each();
	stop(0);
	blk_rig_drain(&rig);
	assert_int_equal(driver_used_idx(&second), 3);
	offer(&second, 3);
	virtio_dev_notify(rig.dev, 1);
	stop(0); /* once more: nothing of it is in flight */
	virtio_dev_write_status(rig.dev, 0);
	assert_int_equal(blk_of(rig.dev)->in_flight, 0);
	assert_int_equal(driver_used_idx(&second), 3);
}

/* ---- the I/O thread ---- */

static struct io_thread io;
static struct blk_rig slow;
static int kick_fd;
static struct loop_source kick_source;

static void on_kick(void *ctx, uint32_t events)
{
	uint64_t count;

	(void)ctx;
	(void)events;
	assert_int_equal(read(kick_fd, &count, sizeof(count)), sizeof(count));
	virtio_dev_notify(slow.dev, 0);
}

static void on_end(void *ctx, enum vm_end end)
{
	(void)ctx;
	(void)end;
	abort();
}

static void kick_slow(void)
{
	const uint64_t one = 1;

	assert_int_equal(write(kick_fd, &one, sizeof(one)), sizeof(one));
}

static int setup_thread(void **state)
{
	const struct blk_config *c = *state;
	struct blk_config config = *c;

	fail_reset();
	io = (struct io_thread){.end = on_end};
	assert_int_equal(io_thread_init(&io, 0, &e), 0);
	config.loop = &io.loop;
	blk_rig_init(&slow, config, SIZE);
	blk_rig_init(&rig, (struct blk_config){.queues = 1}, SIZE);
	kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	kick_source = (struct loop_source){.fd = kick_fd, .fn = on_kick};
	assert_int_equal(loop_add(&io.loop, &kick_source, EPOLLIN), 0);
	assert_int_equal(io_thread_start(&io, &e), 0);
	return 0;
}

static int teardown_thread(void **state)
{
	(void)state;
	fail_reset();
	io_thread_stop(&io);
	loop_del(&io.loop, &kick_source);
	(void)close(kick_fd);
	blk_rig_fini(&slow);
	blk_rig_fini(&rig);
	io_thread_fini(&io);
	return 0;
}

static void offer_slow(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t header = blk_rig_header(&slow, BLK_IN, 1);
		uint64_t at = driver_alloc(&slow.drv, 513, 512);
		const struct driver_buf bufs[] = {
			{header, 16, false}, {at, 512, true}, {at + 512, 1, true}};

		(void)driver_chain(&slow.drv, bufs, 3);
	}
}

static void expect_slow_answers(uint16_t n)
{
	unsigned tries = 0;

	while (driver_used_idx(&slow.drv) != n) {
		assert_true(tries++ < PATIENCE_S * 1000);
		(void)usleep(MS);
	}
}

static void a_hanging_disk_on_its_own_thread_stalls_no_other(void **state)
{
	unsigned tries = 0;

	(void)state;
	fail_hold(FAIL_PREADV);
	offer_slow(1);
	kick_slow();
	while (fail_held_count() == 0) {
		assert_true(tries++ < PATIENCE_S * 1000);
		(void)usleep(MS);
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(blk_rig_request(&rig, BLK_IN, 3, NULL, 512, NULL), BLK_OK);
	assert_int_equal(driver_used_idx(&slow.drv), 0);
	assert_int_equal(fail_release(), 1);
	expect_slow_answers(1);
}

/* Changes, resets and drains from this thread while the other one serves. */
static void the_main_thread_changes_the_device_while_its_thread_serves(void **state)
{
	const struct rate_limiter_config tight = {.has_ops = true, .ops = {4, 20, 0}};
	const struct rate_limiter_config off = {.has_ops = true};

	(void)state;
	for (unsigned round = 0; round < 100; round++) {
		virtio_dev_write_status(slow.dev, 0); /* its thread is done with the memory */
		slow.drv.free = slow.drv.used + 4096;
		blk_rig_start(&slow, slow.features);
		offer_slow(8);
		kick_slow();
		blk_update_limiter(slow.dev, round % 2 ? &tight : &off);
		assert_int_equal(blk_resize(slow.dev, &e), 0);
		assert_int_equal(blk_update_path(slow.dev, slow.path, &e), 0);
		kick_slow(); /* the counting transport kicks nobody */
		if (round % 4 == 0)
			blk_rig_drain(&slow);
	}
	blk_update_limiter(slow.dev, &off);
	kick_slow();
	expect_slow_answers(8);
}

static void a_thread_ends_without_having_been_started(void **state)
{
	struct io_thread t = {.end = on_end};

	(void)state;
	assert_int_equal(io_thread_init(&t, 7, &e), 0);
	assert_string_equal(t.name, "fc_io 7");
	io_thread_stop(&t);
	io_thread_fini(&t);
	fail_nth(FAIL_EVENTFD, 1, EMFILE);
	t = (struct io_thread){.end = on_end};
	assert_int_equal(io_thread_init(&t, 7, &e), -EMFILE);
}

/* ---- under the filter ---- */

static int change_everything(void)
{
	const struct rate_limiter_config c = {.has_ops = true, .ops = {1, 3600000, 0}};

	if (blk_update_path(rig.dev, rig.path, &e) < 0)
		return 1;
	if (blk_resize(rig.dev, &e) < 0)
		return 2;
	blk_update_limiter(rig.dev, &c);
	if (blk_rig_request(&rig, BLK_IN, 0, NULL, 512, NULL) != BLK_OK)
		return 3;
	return blk_update_path(rig.dev, "/nonexistent/disk", &e) == -ENOENT ? 0 : 4;
}

static void changes_at_run_time_are_allowed_to_the_main_thread(void **state)
{
	const struct blk_config *c = *state;
	int status;
	pid_t pid;

	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		blk_rig_init(&rig, *c, SIZE);
		(void)unlink(rig.path);
		(void)snprintf(rig.path, sizeof(rig.path), "/proc/self/fd/%d", rig.fd);
		if (seccomp_violation_init(NULL, &e) < 0 ||
			seccomp_install(SECCOMP_ROLE_MAIN, &e) < 0)
			_exit(99);
		_exit(change_everything());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static struct blk_config sync_config, async_config = {.async = true};
static struct blk_config direct_config = {.async = true, .direct = true};

#define STOP(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define THREAD(f, c)                                                                               \
	{                                                                                          \
		.name = #f " (" #c ")", .test_func = f, .setup_func = setup_thread,                \
		.teardown_func = teardown_thread, .initial_state = &(c)                            \
	}
#define CHILD(f, c)                                                                                \
	{                                                                                          \
		.name = #f " (" #c ")", .test_func = f, .initial_state = &(c)                      \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STOP(a_stopped_queue_has_nothing_in_flight_and_is_not_written),
		STOP(what_belongs_to_other_queues_is_left_to_the_owner),
		STOP(stopping_both_queues_forgets_everything),
		STOP(a_drain_and_a_reset_find_what_was_left),
		THREAD(a_hanging_disk_on_its_own_thread_stalls_no_other, sync_config),
		THREAD(the_main_thread_changes_the_device_while_its_thread_serves, sync_config),
		THREAD(the_main_thread_changes_the_device_while_its_thread_serves, async_config),
		cmocka_unit_test(a_thread_ends_without_having_been_started),
		CHILD(changes_at_run_time_are_allowed_to_the_main_thread, sync_config),
		CHILD(changes_at_run_time_are_allowed_to_the_main_thread, async_config),
		CHILD(changes_at_run_time_are_allowed_to_the_main_thread, direct_config),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("blk_thread", tests, NULL, NULL);
}
