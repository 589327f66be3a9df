/* SPDX-License-Identifier: Apache-2.0 */
/* A device's own thread. See io_thread.h. */
#include "vmm/core/io_thread.h"

#include "seccomp/seccomp.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* As small as is safe: a batch needs some 10 KiB, for iovecs. */
#define IO_THREAD_STACK_SIZE ((size_t)256 * 1024)

/* #syscalls:io read */
static void io_thread_on_call(void *ctx, uint32_t events)
{
	struct io_thread *t = ctx;
	uint64_t count;

	(void)events;
	(void)!read(t->call_fd, &count, sizeof(count));
	(void)pthread_mutex_lock(&t->lock);
	while (t->wanted == IO_THREAD_PAUSE) {
		t->parked = true;
		(void)pthread_cond_broadcast(&t->changed);
		(void)pthread_cond_wait(&t->changed, &t->lock);
	}
	t->parked = false;
	if (t->wanted == IO_THREAD_STOP)
		loop_stop(&t->loop);
	(void)pthread_mutex_unlock(&t->lock);
}

int io_thread_init(struct io_thread *t, uint32_t index, struct err *e)
{
	int rc;

	t->call_fd = t->loop.epoll_fd = -1;
	(void)snprintf(t->name, sizeof(t->name), "fc_io %u", index);
	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_cond_init(&t->changed, NULL);
	rc = loop_init(&t->loop, e);
	if (rc < 0)
		goto err_fini;
	t->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->call_fd < 0) {
		rc = err_set_os(e, -errno, "cannot make the eventfd of an I/O thread");
		goto err_fini;
	}
	t->call_source = (struct loop_source){.fd = t->call_fd, .fn = io_thread_on_call, .ctx = t};
	rc = loop_add(&t->loop, &t->call_source, EPOLLIN);
	if (rc == 0)
		return 0;
	rc = err_set_os(e, rc, "cannot watch the eventfd of an I/O thread");
err_fini:
	io_thread_fini(t);
	return rc;
}

static void *io_thread_main(void *arg)
{
	struct io_thread *t = arg;
	struct err e = {0};
	bool confined;
	int rc;

	(void)pthread_setname_np(pthread_self(), t->name);
	log_thread_name(t->name);
	confined = landlock_restrict(t->landlock, &e) == 0 &&
		   (!t->seccomp || seccomp_install(SECCOMP_ROLE_IO, &e) == 0);
	if (!confined)
		log_error("%s", e.msg);
	(void)pthread_mutex_lock(&t->lock);
	t->unconfined = !confined;
	t->ready = true;
	(void)pthread_cond_broadcast(&t->changed);
	(void)pthread_mutex_unlock(&t->lock);
	if (!confined)
		return NULL;
	rc = loop_run(&t->loop);
	if (rc < 0) {
		log_error("the event loop of %s failed: %s", t->name, strerrordesc_np(-rc));
		t->end(t->end_ctx, VM_END_INTERNAL_ERROR);
	}
	return NULL;
}

int io_thread_start(struct io_thread *t, struct err *e)
{
	pthread_attr_t attr;
	int rc;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, IO_THREAD_STACK_SIZE);
	rc = pthread_create(&t->thread, &attr, io_thread_main, t);
	(void)pthread_attr_destroy(&attr);
	if (rc != 0)
		return err_set_os(e, -rc, "cannot start an I/O thread");
	t->started = true;
	(void)pthread_mutex_lock(&t->lock);
	while (!t->ready)
		(void)pthread_cond_wait(&t->changed, &t->lock);
	(void)pthread_mutex_unlock(&t->lock);
	if (!t->unconfined)
		return 0;
	io_thread_stop(t);
	return err_set(
		e, -EPERM, "an I/O thread could not put its system-call filter on (see the log)");
}

/* #syscalls:main write */
static void io_thread_call(struct io_thread *t, enum io_thread_want wanted)
{
	const uint64_t one = 1;

	(void)pthread_mutex_lock(&t->lock);
	t->wanted = wanted;
	(void)pthread_cond_broadcast(&t->changed);
	(void)pthread_mutex_unlock(&t->lock);
	if (wanted != IO_THREAD_RUN)
		(void)!write(t->call_fd, &one, sizeof(one));
}

void io_thread_pause(struct io_thread *t)
{
	if (!t->started)
		return;
	io_thread_call(t, IO_THREAD_PAUSE);
	(void)pthread_mutex_lock(&t->lock);
	while (!t->parked)
		(void)pthread_cond_wait(&t->changed, &t->lock);
	(void)pthread_mutex_unlock(&t->lock);
}

void io_thread_resume(struct io_thread *t)
{
	if (t->started)
		io_thread_call(t, IO_THREAD_RUN);
}

void io_thread_stop(struct io_thread *t)
{
	if (!t->started)
		return;
	io_thread_call(t, IO_THREAD_STOP);
	(void)pthread_join(t->thread, NULL);
	t->started = false;
}

void io_thread_fini(struct io_thread *t)
{
	io_thread_stop(t);
	fd_close(&t->call_fd);
	loop_fini(&t->loop);
	(void)pthread_mutex_destroy(&t->lock);
	(void)pthread_cond_destroy(&t->changed);
}
