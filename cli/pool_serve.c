/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly pool serve`: the loop, and what is done when. See pool.h. */
#include "cli/pool.h"

#include "cli/run.h"
#include "cli/runtime_dir.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/unix_listen.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#define STARTING_MAX    2u /* at a time */
#define SPARE_CONNS     64u
#define BACKLOG         128
#define MEASURE_NS      (1 * CLOCK_NS_PER_S)
#define RETRY_FIRST_NS  (100 * CLOCK_NS_PER_MS)
#define RETRY_MAX_NS    (30 * CLOCK_NS_PER_S)
#define REFILL_DELAY_NS (5 * CLOCK_NS_PER_MS)

void pool_wake_at(struct pool *p, uint64_t at_ns)
{
	struct itimerspec t = {0};

	if (at_ns >= p->wake_ns)
		return;
	p->wake_ns = at_ns;
	at_ns += at_ns == 0; /* 0 would disarm it */
	t.it_value.tv_sec = (time_t)(at_ns / CLOCK_NS_PER_S);
	t.it_value.tv_nsec = (long)(at_ns % CLOCK_NS_PER_S);
	(void)timerfd_settime(p->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

/* Each failure in a row doubles the time until the next attempt. */
void pool_note(struct pool *p, const char *failure)
{
	uint64_t wait = RETRY_FIRST_NS;

	if (!failure) {
		p->failures = 0;
		p->retry_ns = 0;
		p->error[0] = '\0';
		return;
	}
	if (strcmp(p->error, failure) != 0)
		cli_say("pool", "%s", failure);
	(void)!snprintf(p->error, sizeof(p->error), "%s", failure);
	p->failures_total++;
	for (uint32_t i = 0; i < p->failures && wait < RETRY_MAX_NS; i++)
		wait *= 2;
	p->failures++;
	p->retry_ns = clock_mono_ns() + (wait < RETRY_MAX_NS ? wait : RETRY_MAX_NS);
	pool_wake_at(p, p->retry_ns);
}

static uint32_t pool_alive(const struct pool *p)
{
	return p->o->max - p->count[POOL_FREE];
}

const char *pool_hindrance(const struct pool *p)
{
	if (p->phase != POOL_SERVING)
		return "the pool is being stopped";
	if (p->error[0])
		return p->error;
	if (p->o->memory_max > 0 &&
		(pool_memory(p) > p->o->memory_max ||
			(p->count[POOL_READY] < p->o->size && !pool_memory_fits(p))))
		return "the clones take as much memory as --memory-max allows";
	if (pool_alive(p) == p->o->max && p->count[POOL_READY] < p->o->size)
		return "as many clones are alive as --max allows";
	return NULL;
}

static struct pool_conn *waiter_first(struct pool *p)
{
	struct pool_conn *first = NULL;

	for (uint32_t i = 0; i < p->conn_max; i++) {
		struct pool_conn *c = p->conns[i];

		if (c && c->waits && (!first || c->order < first->order))
			first = c;
	}
	return first;
}

static struct pool_clone *ready_first(struct pool *p)
{
	struct pool_clone *first = NULL;

	for (uint32_t i = 0; i < p->o->max; i++) {
		struct pool_clone *c = &p->clones[i];

		if (c->state == POOL_READY && (!first || c->number < first->number))
			first = c;
	}
	return first;
}

/* A clone that goes on takes more memory than one that waits. */
static void pool_hand_out(struct pool *p)
{
	struct pool_clone *clone;
	struct pool_conn *conn;

	while ((p->o->memory_max == 0 || pool_memory(p) <= p->o->memory_max) &&
		p->count[POOL_READY] > 0 && (conn = waiter_first(p)) && (clone = ready_first(p)))
		pool_clone_give(clone, conn);
}

void pool_handed_out(struct pool *p)
{
	p->handed_out++;
	p->refill_ns = clock_mono_ns() + REFILL_DELAY_NS;
	pool_wake_at(p, p->refill_ns);
}

/* A clone that starts takes time from one that is to go on; while others are ready it can wait. */
static bool pool_refill_waits(const struct pool *p)
{
	return p->count[POOL_READY] > 0 &&
	       (p->count[POOL_RESUMING] > 0 || p->refill_ns > clock_mono_ns());
}

static void pool_refill(struct pool *p)
{
	struct err e;

	if (pool_refill_waits(p))
		return;
	while (p->phase == POOL_SERVING && p->count[POOL_STARTING] < STARTING_MAX &&
		p->count[POOL_READY] + p->count[POOL_STARTING] < p->o->size &&
		pool_alive(p) < p->o->max && p->retry_ns <= clock_mono_ns() && pool_memory_fits(p))
		if (pool_clone_start(p, &e) < 0)
			pool_note(p, e.msg);
}

static void pool_end_all(struct pool *p, bool taken)
{
	for (uint32_t i = 0; i < p->o->max; i++)
		if (taken || p->clones[i].state == POOL_READY ||
			p->clones[i].state == POOL_STARTING)
			pool_clone_end(&p->clones[i]);
}

void pool_stop(struct pool *p, bool drain)
{
	if (p->phase != POOL_STOPPING)
		p->phase = drain ? POOL_DRAINING : POOL_STOPPING;
	for (uint32_t i = 0; i < p->conn_max; i++)
		if (p->conns[i] && p->conns[i]->waits)
			p->conns[i]->deadline_ns = 0;
	pool_wake_at(p, 0);
}

void pool_advance(struct pool *p)
{
	if (p->phase == POOL_SERVING) {
		pool_hand_out(p);
		pool_refill(p);
		return;
	}
	pool_end_all(p, p->phase == POOL_STOPPING);
	if (pool_alive(p) == 0)
		loop_stop(&p->loop);
}

static uint64_t clones_sweep(struct pool *p, uint64_t now)
{
	uint64_t next = POOL_NEVER;

	for (uint32_t i = 0; i < p->o->max; i++) {
		struct pool_clone *c = &p->clones[i];

		if (c->state != POOL_STARTING && c->state != POOL_RESUMING)
			continue;
		if (c->deadline_ns <= now) {
			pool_note(p, c->state == POOL_STARTING
					     ? "a clone has not loaded the snapshot in time"
					     : "a clone has not gone on in time");
			pool_clone_end(c);
		} else if (c->deadline_ns < next) {
			next = c->deadline_ns;
		}
	}
	return next;
}

static void pool_on_timer(void *ctx, uint32_t events)
{
	struct pool *p = ctx;
	uint64_t ticks, now = clock_mono_ns();

	(void)events;
	(void)!read(p->timer_fd, &ticks, sizeof(ticks));
	p->wake_ns = POOL_NEVER;
	if (p->measure_ns <= now) {
		pool_memory_look(p);
		p->measure_ns = now + MEASURE_NS;
	}
	pool_wake_at(p, clones_sweep(p, now));
	pool_wake_at(p, pool_conns_sweep(p, now));
	if (p->retry_ns > now)
		pool_wake_at(p, p->retry_ns);
	if (p->refill_ns > now)
		pool_wake_at(p, p->refill_ns);
	pool_wake_at(p, p->measure_ns);
	pool_advance(p);
}

static void pool_on_client(void *ctx, uint32_t events)
{
	struct pool *p = ctx;
	int fd = accept4(p->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0)
		pool_conn_open(p, fd);
}

/* The second time, a pool that drains stops. */
static void pool_on_signal(void *ctx, uint32_t events)
{
	struct pool *p = ctx;
	struct signalfd_siginfo si;

	(void)events;
	if (read(p->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		pool_stop(p, false);
}

static int source_add(struct pool *p, struct loop_source *s, int fd, loop_fn fn, struct err *e)
{
	int rc;

	*s = (struct loop_source){.fd = fd, .fn = fn, .ctx = p};
	rc = fd < 0 ? -errno : loop_add(&p->loop, s, EPOLLIN);
	return rc < 0 ? err_set_os(e, rc, "cannot set up the pool's loop") : 0;
}

static int pool_open_signals(struct pool *p, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL); /* if inherited as ignored, no clone could be reaped */
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return source_add(p, &p->signal_source, p->signal_fd, pool_on_signal, e);
}

/* As many descriptors as the clones and clients may need. */
static int pool_raise_limit(const struct pool *p, struct err *e)
{
	rlim_t need = 3 * (rlim_t)p->o->max + p->conn_max + 64;
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= need)
		return 0;
	if (need <= l.rlim_max || l.rlim_max == RLIM_INFINITY) {
		l.rlim_cur = need;
		if (setrlimit(RLIMIT_NOFILE, &l) == 0)
			return 0;
	}
	return err_set(e, -EMFILE,
		"--max '%u' needs %llu open files, the limit is %llu: raise it (ulimit -n)",
		p->o->max, (unsigned long long)need, (unsigned long long)l.rlim_max);
}

/* The default socket's. */
static int pool_make_runtime_dir(const struct pool_options *o, struct err *e)
{
	struct runtime_dir d;
	int rc = o->socket ? 0 : runtime_dir_open(&d, true, e);

	if (!o->socket && rc == 0)
		runtime_dir_close(&d);
	return rc;
}

static int pool_open(struct pool *p, struct err *e)
{
	int rc;

	p->conn_max = p->o->max + SPARE_CONNS;
	p->clones = calloc(p->o->max, sizeof(*p->clones));
	p->conns = calloc(p->conn_max, sizeof(struct pool_conn *));
	if (!p->clones || !p->conns)
		return err_set_os(e, -ENOMEM, "--max '%u'", p->o->max);
	p->count[POOL_FREE] = p->o->max;
	(void)umask(077);
	if ((rc = run_vmm_find(p->vmm, p->o->vmm, e)) < 0 || (rc = pool_raise_limit(p, e)) < 0 ||
		(rc = pool_make_runtime_dir(p->o, e)) < 0 || (rc = pool_dir_open(p, e)) < 0 ||
		(rc = loop_init(&p->loop, e)) < 0)
		return rc;
	p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if ((rc = source_add(p, &p->timer_source, p->timer_fd, pool_on_timer, e)) < 0 ||
		(rc = pool_open_signals(p, e)) < 0)
		return rc;
	p->listen_fd = unix_listen(p->socket, BACKLOG, e);
	if (p->listen_fd < 0)
		return p->listen_fd;
	return source_add(p, &p->listen_source, p->listen_fd, pool_on_client, e);
}

static void pool_close(struct pool *p)
{
	for (uint32_t i = 0; p->conns && i < p->conn_max; i++)
		if (p->conns[i])
			pool_conn_close(p->conns[i]);
	if (p->conns)
		(void)pool_conns_sweep(p, 0);
	pool_dir_close(p);
	fd_close(&p->listen_fd);
	fd_close(&p->signal_fd);
	fd_close(&p->timer_fd);
	loop_fini(&p->loop);
	free(p->clones);
	free(p->conns);
}

int pool_serve_main(const struct pool_options *o, char **args, int count)
{
	static struct pool p;
	struct pool_options own = *o;
	struct err e;
	int rc;

	(void)args, (void)count;
	if (pool_options_check(&own) != CLI_OK)
		return CLI_USAGE;
	p = (struct pool){.o = &own,
		.listen_fd = -1,
		.timer_fd = -1,
		.signal_fd = -1,
		.dir_fd = -1,
		.loop.epoll_fd = -1,
		.wake_ns = POOL_NEVER};
	rc = pool_template_check(&own, &e);
	if (rc == 0)
		rc = pool_socket_path(own.socket, p.socket, &e);
	if (rc < 0)
		return cli_say("pool", "%s", e.msg), CLI_USAGE;
	(void)snprintf(p.dir, sizeof(p.dir), "%.4000s.d", p.socket);
	rc = pool_open(&p, &e);
	if (rc == 0) {
		pool_wake_at(&p, 0);
		rc = loop_run(&p.loop);
		if (rc < 0)
			(void)err_set_os(&e, rc, "the loop failed");
	}
	pool_close(&p);
	if (rc < 0)
		cli_say("pool", "%s", e.msg);
	return rc < 0 ? CLI_FAILED : CLI_OK;
}
