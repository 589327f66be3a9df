/* SPDX-License-Identifier: Apache-2.0 */
/* From an HTTP request to a handler and back. See controller.h. */
#include "api/controller.h"

#include "api/config_file.h"
#include "api/handle.h"
#include "api/locate.h"
#include "api/vm_schema.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int controller_init(struct controller *c, const struct controller_config *o, struct err *e)
{
	int rc;

	c->o = *o;
	vm_config_set_defaults(&c->config);
	rc = metrics_add_api(o->metrics, &c->counters, e);
	if (rc == 0)
		rc = metrics_add_latencies(o->metrics, &c->latencies, e);
	return rc == 0 ? metrics_add_restore(o->metrics, &c->restore, e) : rc;
}

void controller_fini(struct controller *c)
{
	handle_net_release(c);
	vm_config_fini(&c->config);
}

int controller_load_file(struct controller *c, const char *path, struct err *e)
{
	return config_file_load(path, &c->config, e);
}

int controller_reply(struct http_reply *ret, json_t *j, struct err *e)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	if (!text)
		return err_set_os(e, -ENOMEM, "answer");
	ret->status = 200;
	ret->body = text;
	ret->body_len = strlen(text);
	return 0;
}

/* ---- faults ---- */

/* A message cut in the middle of a character, or with a path that is no text, is not JSON. */
static json_t *controller_text(struct err *e)
{
	json_t *text = json_string(e->msg);

	if (text)
		return text;
	for (char *p = e->msg; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	return json_string(e->msg);
}

static void controller_fault(struct http_reply *ret, struct err *e)
{
	int status = ret->status >= 400 ? ret->status : 400;
	struct err ignored;

	free(ret->body);
	ret->body = NULL;
	if (controller_reply(
		    ret, json_pack("{s:o}", "fault_message", controller_text(e)), &ignored) < 0)
		ret->body_len = 0; /* no memory: the status has to do */
	ret->status = status;
}

/* ---- what is checked before a handler sees a request ---- */

/* Adds "at line 1 column 21", where the object ends in which a field is missed. */
static void controller_say_where(struct err *e, const char *name, const char *text, size_t len)
{
	const char *missing = strstr(e->msg, ": missing field `");
	size_t used = strlen(e->msg), path_len = missing ? (size_t)(missing - e->msg) : 0;
	unsigned line, column;

	if (!missing)
		return;
	if (strlen(name) == path_len && memcmp(e->msg, name, path_len) == 0)
		path_len = 0; /* the body itself */
	if (locate_end(text, len, e->msg, path_len, &line, &column))
		(void)snprintf(e->msg + used, sizeof(e->msg) - used, " at line %u column %u", line,
			column);
}

static int controller_check_id(const struct api_call *call, struct err *e)
{
	const char *key = call->endpoint->id_key, *id;

	if (!key)
		return 0;
	id = json_string_value(json_object_get(call->json, key));
	if (id && strcmp(id, call->id) == 0)
		return 0;
	return err_set(e, -EINVAL,
		"%s: The id from the path [%s] does not match the id from the body [%.64s]!", key,
		call->id, id ? id : "");
}

/* The body into call->json and call->parsed. */
static int controller_parse(struct controller *c, const struct http_request *r,
	struct api_call *call, json_t **ret_json, struct http_reply *ret, struct err *e)
{
	const struct endpoint *p = call->endpoint;
	int rc;

	if (r->body_len == 0)
		return p->body == ENDPOINT_BODY
			       ? err_set(e, -EINVAL, "Empty %s request: %s needs a body", r->method,
					 p->path)
			       : 0;
	if (p->body == ENDPOINT_NO_BODY)
		return err_set(e, -EINVAL, "%s request cannot have a body: %s", r->method, p->path);
	call->text = r->body;
	call->text_len = r->body_len;
	if (!p->schema)
		return 0;
	rc = schema_load_text(r->body, r->body_len, ret_json, e);
	if (rc < 0)
		return rc;
	call->json = *ret_json;
	ret->deprecated = schema_uses_deprecated(p->schema, call->json);
	memset(&c->parsed, 0, p->parsed_size);
	call->parsed = &c->parsed;
	rc = schema_parse(p->schema, *ret_json, "", call->parsed, e);
	if (rc < 0)
		controller_say_where(e, p->schema->name, r->body, r->body_len);
	return rc < 0 ? rc : controller_check_id(call, e);
}

static int controller_check_phase(
	const struct controller *c, const struct endpoint *p, struct err *e)
{
	bool started = c->state != API_NOT_STARTED;

	if (p->phases & (started ? ENDPOINT_POST : ENDPOINT_PRE))
		return 0;
	return err_set(e, -EPERM,
		"The requested operation is not supported %s starting the microVM. (%s %s%s%s)",
		started ? "after" : "before", p->method, p->path, started && p->after ? ": " : "",
		started && p->after ? p->after : "");
}

/* ---- logging and counting ---- */

/* "Put": the method as the log has it. */
static const char *controller_method(const char *method)
{
	static const char *const names[][2] = {
		{"GET", "Get"}, {"PUT", "Put"}, {"PATCH", "Patch"}, {"DELETE", "Delete"}};

	for (size_t i = 0; i < NELEM(names); i++)
		if (strcmp(names[i][0], method) == 0)
			return names[i][1];
	return method;
}

static void controller_log_request(const struct http_request *r, const struct endpoint *p)
{
	const char *method = controller_method(r->method);

	if (r->body_len > 0 && p && !p->secret)
		log_info("The API server received a %s request on \"%s\" with body \"%s\".", method,
			r->path, r->body);
	else
		log_info("The API server received a %s request on \"%s\".", method, r->path);
}

/* Whether a request that went well makes the process one that boots, not one that loads. */
static bool controller_configures(const struct endpoint *p)
{
	static const struct schema *const of_the_vm[] = {&boot_source_schema,
		&machine_config_schema, &machine_update_schema, &drive_schema, &net_schema,
		&vsock_schema, &entropy_schema, &mmds_schema};

	for (size_t i = 0; i < NELEM(of_the_vm); i++)
		if (p->schema == of_the_vm[i])
			return true;
	return false;
}

static int controller_call(struct controller *c, const struct http_request *r,
	struct http_reply *ret, const struct endpoint **ret_endpoint, struct err *e)
{
	char id[ENDPOINT_ID_SIZE];
	const struct endpoint *p = endpoint_find(r->method, r->path, id, e);
	struct api_call call = {.endpoint = p, .id = id};
	json_t *json = NULL;
	int rc;

	*ret_endpoint = p;
	controller_log_request(r, p);
	if (!p)
		return -EINVAL;
	if ((rc = controller_parse(c, r, &call, &json, ret, e)) == 0 &&
		(rc = controller_check_phase(c, p, e)) == 0)
		rc = p->fn ? p->fn(c, &call, ret, e)
			   : err_set(e, -EOPNOTSUPP, "%s %s: %s: not supported by this version",
				     p->method, p->path, p->later);
	c->configured = c->configured || (rc == 0 && controller_configures(p));
	if (call.parsed)
		schema_release(p->schema, call.parsed);
	json_decref(json);
	return rc;
}

static void controller_count(
	struct controller *c, const struct endpoint *p, bool deprecated, int rc)
{
	uint64_t *words = (uint64_t *)(void *)((char *)&c->counters + (p ? p->counter : 0));

	if (deprecated)
		counter_add(&c->counters.deprecated_http_api_calls, 1);
	if (!p || !p->counter)
		return;
	counter_add(&words[0], 1);
	if (rc < 0 && strcmp(p->method, "GET") != 0)
		counter_add(&words[1], 1);
}

void controller_handle(void *ctx, const struct http_request *r, struct http_reply *ret)
{
	struct controller *c = ctx;
	const struct endpoint *p = NULL;
	uint64_t start_ns = clock_mono_ns();
	struct err e = {0};
	int rc;

	rc = controller_call(c, r, ret, &p, &e);
	controller_count(c, p, ret->deprecated, rc);
	if (rc < 0) {
		controller_fault(ret, &e);
		log_error("Received Error. Status code: %d %s. Message: %s", ret->status,
			ret->status == 413 ? "Payload Too Large" : "Bad Request", e.msg);
	} else {
		log_info("The request was executed successfully. Status code: %s.",
			ret->body ? "200 OK" : "204 No Content");
	}
	log_debug("Total previous API call duration: %llu us.",
		(unsigned long long)((clock_mono_ns() - start_ns) / CLOCK_NS_PER_US));
}
