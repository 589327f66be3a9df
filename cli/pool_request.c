/* SPDX-License-Identifier: Apache-2.0 */
/* What the pool's socket can be asked; docs/pool.md. */
#include "cli/pool.h"

#include "api/http.h"
#include "vmm/base/clock.h"

#include <jansson.h>
#include <stdarg.h>
#include <string.h>

struct take_body {
	int resume, lease;
	json_int_t wait_ms;
};

static void reply_json(struct http_reply *ret, int status, json_t *j)
{
	ret->status = status;
	ret->body = j ? json_dumps(j, JSON_COMPACT) : NULL;
	ret->body_len = ret->body ? strlen(ret->body) : 0;
	json_decref(j);
	if (!ret->body)
		ret->status = 500;
}

void pool_reply_fault(struct http_reply *ret, int status, const char *fmt, ...)
{
	char text[1024];
	json_t *message;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	message = json_string(text);
	if (!message) /* not UTF-8 */
		message = json_string("the fault cannot be told in JSON");
	reply_json(ret, status, json_pack("{s:o}", "fault_message", message));
}

void pool_reply_clone(const struct pool_clone *c, bool lease, struct http_reply *ret)
{
	char dir[PATH_MAX], api[PATH_MAX];

	pool_dir_path(c->pool, c->id, NULL, dir);
	pool_dir_path(c->pool, c->id, "api", api);
	reply_json(ret, 200,
		json_pack("{s:s, s:i, s:s, s:s, s:b}", "id", c->id, "pid", (int)c->pid, "api_sock",
			api, "dir", dir, "lease", (int)lease));
}

static json_t *clones_json(const struct pool *p)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < p->o->max; i++) {
		const struct pool_clone *c = &p->clones[i];

		if (c->state != POOL_FREE)
			(void)json_array_append_new(
				all, json_pack("{s:s, s:i, s:s, s:b, s:I}", "id", c->id, "pid",
					     (int)c->pid, "state", pool_state_name(c->state),
					     "lease", c->state == POOL_TAKEN && c->leased,
					     "memory_bytes", (json_int_t)c->memory));
	}
	return all;
}

static uint32_t waiting_count(const struct pool *p)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < p->conn_max; i++)
		count += p->conns[i] && p->conns[i]->waits;
	return count;
}

static void handle_status(struct pool *p, struct http_reply *ret)
{
	uint64_t now = clock_mono_ns();
	const char *hindrance = pool_hindrance(p);
	json_t *j = json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I}",
		"size", (int)p->o->size, "max", (int)p->o->max, "ready", (int)p->count[POOL_READY],
		"starting", (int)p->count[POOL_STARTING], "taken",
		(int)(p->count[POOL_TAKEN] + p->count[POOL_RESUMING]), "ending",
		(int)p->count[POOL_ENDING], "waiting", (int)waiting_count(p), "memory_bytes",
		(json_int_t)pool_memory(p), "memory_max_bytes", (json_int_t)p->o->memory_max,
		"handed_out", (json_int_t)p->handed_out, "deaths", (json_int_t)p->deaths,
		"failures", (json_int_t)p->failures_total, "retry_in_ms",
		(json_int_t)(p->retry_ns > now ? (p->retry_ns - now) / CLOCK_NS_PER_MS : 0));

	if (j) {
		(void)json_object_set_new(
			j, "hindrance", hindrance ? json_string(hindrance) : json_null());
		(void)json_object_set_new(j, "clones", clones_json(p));
	}
	reply_json(ret, 200, j);
}

/* An object with no other members than those named. NULL after a fault. */
static json_t *body_parse(const struct http_request *r, struct http_reply *ret)
{
	json_error_t je;
	json_t *j = r->body && r->body_len > 0
			    ? json_loadb(r->body, r->body_len, JSON_REJECT_DUPLICATES, &je)
			    : json_object();

	if (json_is_object(j))
		return j;
	pool_reply_fault(
		ret, 400, "the body must be a JSON object%s%s", j ? "" : ": ", j ? "" : je.text);
	json_decref(j);
	return NULL;
}

static int body_unpack(json_t *j, struct http_reply *ret, const char *fmt, ...)
{
	json_error_t je;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = json_vunpack_ex(j, &je, JSON_STRICT, fmt, ap);
	va_end(ap);
	if (rc < 0)
		pool_reply_fault(ret, 400, "the body: %s", je.text);
	return rc;
}

static bool handle_take(struct pool_conn *c, const struct http_request *r, struct http_reply *ret)
{
	struct take_body b = {.resume = 1, .lease = 1, .wait_ms = POOL_WAIT_MS};
	json_t *j = body_parse(r, ret);
	int rc = j ? body_unpack(j, ret, "{s?b, s?b, s?I}", "resume", &b.resume, "lease", &b.lease,
			     "wait_ms", &b.wait_ms)
		   : -1;

	json_decref(j);
	if (rc < 0)
		return true;
	if (b.wait_ms < 0 || b.wait_ms > POOL_WAIT_MS_MAX) {
		pool_reply_fault(ret, 400, "wait_ms: must be from 0 to %u", POOL_WAIT_MS_MAX);
		return true;
	}
	if (c->pool->phase != POOL_SERVING) {
		pool_reply_fault(ret, 503, "the pool is being stopped");
		return true;
	}
	c->want_resume = b.resume;
	c->want_lease = b.lease;
	c->order = c->pool->next_order++;
	c->deadline_ns = clock_mono_ns() + (uint64_t)b.wait_ms * CLOCK_NS_PER_MS;
	c->waits = true;
	pool_wake_at(c->pool, c->deadline_ns);
	return false;
}

static void handle_end(struct pool *p, const struct http_request *r, struct http_reply *ret)
{
	json_t *j = body_parse(r, ret);
	const char *id = NULL;
	struct pool_clone *clone;

	if (j && body_unpack(j, ret, "{s:s}", "id", &id) == 0) {
		clone = pool_clone_find(p, id);
		if (clone && (clone->state == POOL_TAKEN || clone->state == POOL_ENDING))
			pool_clone_end(clone);
		else
			pool_reply_fault(ret, 404, "id: no clone '%.32s' has been taken", id);
	}
	json_decref(j);
}

static void handle_stop(struct pool *p, const struct http_request *r, struct http_reply *ret)
{
	json_t *j = body_parse(r, ret);
	int drain = 0;

	if (j && body_unpack(j, ret, "{s?b}", "drain", &drain) == 0)
		pool_stop(p, drain);
	json_decref(j);
}

bool pool_request(struct pool_conn *c, const struct http_request *r, struct http_reply *ret)
{
	bool put = strcmp(r->method, "PUT") == 0;

	if (strcmp(r->method, "GET") == 0 && strcmp(r->path, "/pool") == 0)
		handle_status(c->pool, ret);
	else if (put && strcmp(r->path, "/pool/take") == 0)
		return handle_take(c, r, ret);
	else if (put && strcmp(r->path, "/pool/end") == 0)
		handle_end(c->pool, r, ret);
	else if (put && strcmp(r->path, "/pool/stop") == 0)
		handle_stop(c->pool, r, ret);
	else
		pool_reply_fault(ret, 404,
			"there are GET /pool, PUT /pool/take, PUT /pool/end and PUT /pool/stop");
	return true;
}
