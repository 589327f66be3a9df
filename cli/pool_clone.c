/* SPDX-License-Identifier: Apache-2.0 */
/* A clone's life, state by state. See pool.h. */
#include "cli/pool.h"

#include "api/http.h"
#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/io.h"
#include "vmm/base/unix_listen.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define START_NS       (30 * CLOCK_NS_PER_S)
#define RESUME_NS      (5 * CLOCK_NS_PER_S)
#define STABLE_NS      (1 * CLOCK_NS_PER_S) /* a ready clone that dies sooner counts as a failure */
#define LOG_SIZE_MAX   65536u
#define LISTEN_BACKLOG 128

static const char *const state_names[] = {
	[POOL_FREE] = "free",
	[POOL_STARTING] = "starting",
	[POOL_READY] = "ready",
	[POOL_RESUMING] = "resuming",
	[POOL_TAKEN] = "taken",
	[POOL_ENDING] = "ending",
};

const char *pool_state_name(enum pool_state s)
{
	return state_names[s];
}

static void clone_enter(struct pool_clone *c, enum pool_state state, uint64_t limit_ns)
{
	c->pool->count[c->state]--;
	c->pool->count[state]++;
	c->state = state;
	c->since_ns = clock_mono_ns();
	c->deadline_ns = limit_ns ? c->since_ns + limit_ns : POOL_NEVER;
	if (limit_ns)
		pool_wake_at(c->pool, c->deadline_ns);
}

/* What its log ends with. */
static void clone_last_words(const struct pool_clone *c, char *ret, size_t size)
{
	char path[PATH_MAX];
	CLEANUP_FREE
	char *text = NULL;
	size_t len = 0;
	char *line;

	pool_dir_path(c->pool, c->id, "log", path);
	(void)snprintf(ret, size, "it ended without a word");
	if (io_read_file(path, LOG_SIZE_MAX, &text, &len, NULL) < 0)
		return;
	while (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	line = strrchr(text, '\n');
	if (len > 0)
		(void)snprintf(ret, size, "%s", line ? line + 1 : text);
}

static void clone_failed(struct pool_clone *c, const char *doing, const char *why)
{
	char text[sizeof(c->pool->error)], words[sizeof(c->pool->error)];

	if (!why) {
		clone_last_words(c, words, sizeof(words));
		why = words;
	}
	(void)!snprintf(text, sizeof(text), "a clone cannot be %s: %.440s", doing, why);
	pool_note(c->pool, text);
}

/* Who waits for it waits for another, with the place in the queue that it had. */
static void clone_return_taker(struct pool_clone *c)
{
	struct pool_conn *conn = c->conn;

	if (conn && c->state == POOL_RESUMING) {
		conn->resumes = NULL;
		conn->waits = true;
	} else if (conn) {
		conn->lease_count--;
	}
	c->conn = NULL;
}

void pool_clone_end(struct pool_clone *c)
{
	if (c->state == POOL_ENDING || c->state == POOL_FREE)
		return;
	pool_call_close(&c->call);
	clone_return_taker(c);
	clone_enter(c, POOL_ENDING, 0);
	(void)pidfd_send_signal(c->pid_fd, SIGKILL, NULL, 0);
}

static void clone_free(struct pool_clone *c)
{
	pool_call_close(&c->call);
	if (c->pid_fd >= 0)
		loop_del(&c->pool->loop, &c->pid_source);
	fd_close(&c->pid_fd);
	pool_dir_remove(c->pool, c->id);
	clone_enter(c, POOL_FREE, 0);
	c->memory = 0;
}

/* The monitor has ended. */
static void clone_on_end(void *ctx, uint32_t events)
{
	struct pool_clone *c = ctx;
	struct pool *p = c->pool;
	siginfo_t si = {0};

	(void)events;
	if (waitid(P_PIDFD, (id_t)c->pid_fd, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0)
		return;
	if (c->state == POOL_STARTING) {
		clone_failed(c, "started", NULL);
	} else if (c->state == POOL_READY || c->state == POOL_RESUMING) {
		p->deaths++;
		if (clock_mono_ns() - c->since_ns < STABLE_NS)
			clone_failed(c, "kept", NULL);
	}
	clone_return_taker(c);
	clone_free(c);
	pool_advance(p);
}

static void clone_fault(const char *body, char *ret, size_t size)
{
	json_t *j = json_loads(body, 0, NULL);
	const char *text = json_string_value(json_object_get(j, "fault_message"));

	(void)snprintf(ret, size, "%s", text ? text : body);
	json_decref(j);
}

static void clone_on_loaded(struct pool_clone *c, int status, const char *body)
{
	char why[sizeof(c->pool->error)];

	if (status == 0)
		return; /* its end says more */
	if (status != 204) {
		clone_fault(body, why, sizeof(why));
		clone_failed(c, "started", why);
		pool_clone_end(c);
		return;
	}
	c->memory = pool_clone_memory(c);
	c->pool->clone_cost = c->memory;
	clone_enter(c, POOL_READY, 0);
	pool_note(c->pool, NULL);
}

static void clone_hand_out(struct pool_clone *c, struct pool_conn *to)
{
	struct http_reply r = {.status = 200};
	bool lease = to->want_lease;

	clone_enter(c, POOL_TAKEN, 0);
	pool_call_close(&c->call);
	pool_handed_out(c->pool);
	c->leased = lease;
	c->conn = lease ? to : NULL;
	to->lease_count += lease;
	to->waits = false;
	to->resumes = NULL;
	pool_reply_clone(c, lease, &r);
	pool_conn_answer_take(to, &r);
}

static void clone_on_answer(void *ctx, int status, const char *body)
{
	struct pool_clone *c = ctx;
	struct pool *p = c->pool;

	if (c->state == POOL_STARTING)
		clone_on_loaded(c, status, body);
	else if (c->state == POOL_RESUMING && status == 204)
		clone_hand_out(c, c->conn);
	else
		pool_clone_end(c);
	pool_advance(p);
}

void pool_clone_give(struct pool_clone *c, struct pool_conn *to)
{
	CHECK(c->state == POOL_READY && to->waits);
	if (!to->want_resume) {
		clone_hand_out(c, to);
		return;
	}
	clone_enter(c, POOL_RESUMING, RESUME_NS);
	c->conn = to;
	to->waits = false;
	to->resumes = c;
	if (pool_call_send(&c->call, "PATCH", "/vm", "{\"state\": \"Resumed\"}") < 0)
		pool_clone_end(c);
}

static struct pool_clone *clone_slot(struct pool *p)
{
	for (uint32_t i = 0; i < p->o->max; i++)
		if (p->clones[i].state == POOL_FREE)
			return &p->clones[i];
	return NULL;
}

/* The process and what this one needs to follow it. */
static int clone_run(struct pool_clone *c, int listen_fd, struct err *e)
{
	int rc;

	c->pid = pool_spawn(c, listen_fd, e);
	if (c->pid < 0)
		return c->pid;
	c->pid_fd = pidfd_open(c->pid, 0);
	c->pid_source = (struct loop_source){.fd = c->pid_fd, .fn = clone_on_end, .ctx = c};
	rc = c->pid_fd < 0 ? -errno : loop_add(&c->pool->loop, &c->pid_source, EPOLLIN);
	if (rc == 0)
		return 0;
	(void)kill(c->pid, SIGKILL); /* our child, not reaped yet: nobody else can have the pid */
	(void)waitpid(c->pid, NULL, 0);
	fd_close(&c->pid_fd);
	return err_set_os(e, rc, "cannot watch a clone");
}

/* The request is sent before anybody is there to read it. */
static int clone_launch(struct pool_clone *c, struct err *e)
{
	char path[PATH_MAX];
	CLEANUP_FREE
	char *body = pool_load_body(c, e);
	CLEANUP_FD
	int listen_fd = -1;
	int rc;

	if (!body)
		return e->code;
	pool_dir_path(c->pool, c->id, "api", path);
	listen_fd = unix_listen(path, LISTEN_BACKLOG, e);
	if (listen_fd < 0)
		return listen_fd;
	rc = pool_call_open(&c->call, &c->pool->loop, path, e);
	if (rc < 0)
		return rc;
	if (pool_call_send(&c->call, "PUT", "/snapshot/load", body) < 0)
		return err_set(e, -EMSGSIZE, "the overrides are too long for one request");
	return clone_run(c, listen_fd, e);
}

int pool_clone_start(struct pool *p, struct err *e)
{
	struct pool_clone *c = clone_slot(p);
	int rc;

	CHECK(c);
	memset(c, 0, sizeof(*c));
	c->pool = p;
	c->pid_fd = c->call.fd = -1;
	c->call.done = clone_on_answer;
	c->call.ctx = c;
	c->number = p->next_number++;
	(void)snprintf(c->id, sizeof(c->id), "c%u", (unsigned)c->number);
	rc = pool_dir_add(p, c->id, e);
	if (rc < 0)
		return rc;
	rc = clone_launch(c, e);
	if (rc < 0) {
		pool_call_close(&c->call);
		pool_dir_remove(p, c->id);
		return rc;
	}
	clone_enter(c, POOL_STARTING, START_NS);
	return 0;
}

struct pool_clone *pool_clone_find(struct pool *p, const char *id)
{
	for (uint32_t i = 0; i < p->o->max; i++)
		if (p->clones[i].state != POOL_FREE && strcmp(p->clones[i].id, id) == 0)
			return &p->clones[i];
	return NULL;
}
