/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly pool status`, `take`, `end` and `stop`: requests to a pool that is served. */
#include "cli/pool.h"

#include "cli/vm.h"
#include "vmm/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define CALL_TIMEOUT_S 10u

/* A connection to the pool and a 2xx answer on it. The fd, which the caller owns, or -errno. */
static int pool_ask(const struct pool_options *o, const char *method, const char *path,
	const char *body, uint32_t timeout_s, struct http_answer *a, struct err *e)
{
	const struct http_call call = {
		.method = method, .path = path, .body = body, .timeout_s = timeout_s};
	char socket[PATH_MAX];
	CLEANUP_FD
	int fd = -1;
	int rc = pool_socket_path(o->socket, socket, e);

	if (rc < 0)
		return rc;
	fd = http_connect(socket, timeout_s, e);
	if (fd == -ENOENT || fd == -ECONNREFUSED)
		return err_set(
			e, fd, "no pool is served on %s: 'mayfly pool serve' makes one", socket);
	rc = fd < 0 ? fd : http_do_on(fd, &call, a, e);
	if (rc < 0)
		return rc;
	if (a->status >= 200 && a->status < 300)
		return fd_take(&fd);
	rc = vm_fault(a, e);
	if (strncmp(e->msg, "the monitor ", 12) == 0)
		memcpy(e->msg, "the pool    ", 12);
	return rc;
}

static int ask_failed(const struct err *e)
{
	cli_say("pool", "%s", e->msg);
	return CLI_FAILED;
}

/* A request whose answer has no body. */
static int pool_tell(const struct pool_options *o, const char *path, const char *body)
{
	struct http_answer a = {0};
	struct err e;
	CLEANUP_FD
	int fd = pool_ask(o, "PUT", path, body, CALL_TIMEOUT_S, &a, &e);

	http_answer_fini(&a);
	return fd < 0 ? ask_failed(&e) : CLI_OK;
}

static long long number_of(json_t *j, const char *key)
{
	return (long long)json_integer_value(json_object_get(j, key));
}

static void status_print(json_t *j)
{
	const char *hindrance = json_string_value(json_object_get(j, "hindrance"));
	json_t *clone;
	size_t i;

	(void)printf("%lld of %lld ready, %lld starting, %lld taken, %lld waiting; %lld MiB\n",
		number_of(j, "ready"), number_of(j, "size"), number_of(j, "starting"),
		number_of(j, "taken"), number_of(j, "waiting"),
		number_of(j, "memory_bytes") / (long long)MIB);
	(void)printf("%lld handed out, %lld died while they waited, %lld could not be started\n",
		number_of(j, "handed_out"), number_of(j, "deaths"), number_of(j, "failures"));
	if (hindrance)
		(void)printf("not refilled: %s\n", hindrance);
	json_array_foreach(json_object_get(j, "clones"), i, clone)(void) printf(
		"%-8s %8lld  %-8s %6lld KiB\n", json_string_value(json_object_get(clone, "id")),
		number_of(clone, "pid"), json_string_value(json_object_get(clone, "state")),
		number_of(clone, "memory_bytes") / (long long)KIB);
}

int pool_status_main(const struct pool_options *o, char **args, int count)
{
	struct http_answer a = {0};
	json_t *j = NULL;
	struct err e;
	CLEANUP_FD
	int fd = pool_ask(o, "GET", "/pool", NULL, CALL_TIMEOUT_S, &a, &e);

	(void)args, (void)count;
	if (fd >= 0 && o->json)
		(void)printf("%s\n", a.body ? a.body : "");
	else if (fd >= 0 && (j = json_loadb(a.body ? a.body : "", a.body_len, 0, NULL)))
		status_print(j);
	else if (fd >= 0)
		(void)err_set(&e, -EPROTO, "the answer is not JSON");
	if (fd < 0 || (!o->json && !j)) {
		http_answer_fini(&a);
		return ask_failed(&e);
	}
	json_decref(j);
	http_answer_fini(&a);
	return cli_finish("pool", CLI_OK);
}

/*
 * The command takes this process's place and the connection with it: the clone lives until no process
 * has it any more.
 */
static int take_exec(int fd, json_t *clone, char **args)
{
	static const struct {
		const char *key, *variable;
	} names[] = {{"id", "MAYFLY_ID"}, {"api_sock", "MAYFLY_API_SOCK"}, {"dir", "MAYFLY_DIR"}};

	for (size_t i = 0; i < NELEM(names); i++) {
		const char *value = json_string_value(json_object_get(clone, names[i].key));

		if (!value || setenv(names[i].variable, value, 1) < 0) {
			cli_say("pool", "the answer has no %s", names[i].key);
			return CLI_FAILED;
		}
	}
	(void)fcntl(fd, F_SETFD, 0);
	(void)execvp(args[0], args);
	cli_say("pool", "cannot run '%s': %s", args[0], strerrordesc_np(errno));
	return CLI_USAGE;
}

static void take_print(const struct pool_options *o, const struct http_answer *a, json_t *clone)
{
	if (o->json)
		(void)printf("%s\n", a->body);
	else
		(void)printf("%s %s\n", json_string_value(json_object_get(clone, "id")),
			json_string_value(json_object_get(clone, "api_sock")));
}

int pool_take_main(const struct pool_options *o, char **args, int count)
{
	struct http_answer a = {0};
	char body[128];
	json_t *clone;
	struct err e;
	CLEANUP_FD
	int fd = -1;
	int status;

	(void)snprintf(body, sizeof(body), "{\"resume\": %s, \"lease\": %s, \"wait_ms\": %u}",
		o->paused ? "false" : "true", count > 0 ? "true" : "false", o->wait_ms);
	fd = pool_ask(o, "PUT", "/pool/take", body, o->wait_ms / 1000 + CALL_TIMEOUT_S, &a, &e);
	clone = fd < 0 ? NULL : json_loadb(a.body ? a.body : "", a.body_len, 0, NULL);
	if (fd >= 0 && !clone)
		(void)err_set(&e, -EPROTO, "the answer is not JSON");
	if (!clone)
		status = ask_failed(&e);
	else if (count > 0)
		status = take_exec(fd, clone, args);
	else
		take_print(o, &a, clone), status = cli_finish("pool", CLI_OK);
	json_decref(clone);
	http_answer_fini(&a);
	return status;
}

int pool_end_main(const struct pool_options *o, char **args, int count)
{
	int status = CLI_OK;

	for (int i = 0; i < count; i++) {
		json_t *j = json_pack("{s:s}", "id", args[i]);
		CLEANUP_FREE
		char *body = j ? json_dumps(j, JSON_COMPACT) : NULL;

		json_decref(j);
		if (!body)
			return cli_usage("pool", "end: '%s' is no id", args[i]);
		if (pool_tell(o, "/pool/end", body) != CLI_OK)
			status = CLI_FAILED;
	}
	return status;
}

int pool_stop_main(const struct pool_options *o, char **args, int count)
{
	(void)args, (void)count;
	return pool_tell(o, "/pool/stop", o->drain ? "{\"drain\": true}" : "{}");
}
