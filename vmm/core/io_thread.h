/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's own thread: an event loop of its own, so that a device that waits for its storage makes
 * nobody else wait.
 *
 * Life: io_thread_init makes the loop, and the main thread adds the device's sources to it while
 * nothing runs; io_thread_start starts the thread, which puts the filter of role "io" on and then
 * runs the loop (a device does nothing before its driver kicks it); io_thread_pause parks it between
 * two events, and while it is parked the main thread may drain the device; io_thread_stop ends and
 * joins it, after which the sources are the main thread's again. All on the main thread.
 */
#pragma once

#include "vmm/core/landlock.h"
#include "vmm/legacy/power.h"
#include "vmm/svc/loop.h"

#include <pthread.h>

struct io_thread {
	struct loop loop;
	char name[16]; /* of the thread: "fc_io N" */
	int call_fd;   /* owned eventfd, -1 if none: `wanted` has changed */
	struct loop_source call_source;
	vm_end_fn end;                   /* the loop failed */
	void *end_ctx;                   /* borrowed */
	bool seccomp;                    /* put the filter on */
	const struct landlock *landlock; /* borrowed, put on before it; or NULL */
	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* guards what is below */
	pthread_cond_t changed;
	bool ready;      /* the filter is on, or could not be put on: */
	bool unconfined; /* then nothing runs */
	enum io_thread_want { IO_THREAD_RUN, IO_THREAD_PAUSE, IO_THREAD_STOP } wanted;
	bool parked;
};

/* Heap object of the caller; *t is zero. index names the thread. */
int io_thread_init(struct io_thread *t, uint32_t index, struct err *e) MUST_USE;
/* Returns when the filter is on. */
int io_thread_start(struct io_thread *t, struct err *e) MUST_USE;
/* Returns when the thread is parked; io_thread_resume or io_thread_stop lets it go. */
void io_thread_pause(struct io_thread *t);
void io_thread_resume(struct io_thread *t);
/* Idempotent. */
void io_thread_stop(struct io_thread *t);
/* io_thread_stop, and gives everything back; the sources are gone by then. */
void io_thread_fini(struct io_thread *t);
