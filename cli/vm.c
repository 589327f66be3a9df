/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a running VM. See vm.h. */
#include "cli/vm.h"

#include <errno.h>

int vm_fault(const struct http_answer *a, struct err *e)
{
	json_t *j = json_loadb(a->body ? a->body : "", a->body_len, 0, NULL);
	const char *text = json_string_value(json_object_get(j, "fault_message"));

	if (!text)
		text = json_string_value(json_object_get(j, "error"));
	(void)err_set(e, -EINVAL, "the monitor answered %d%s%s", a->status, text ? ": " : "",
		text ? text : "");
	json_decref(j);
	return -EINVAL;
}

static int call(
	const struct runtime_vm *vm, struct http_call *c, struct http_answer *a, struct err *e)
{
	int rc;

	c->socket = vm->socket;
	rc = http_do(c, a, e);
	if (rc < 0)
		return rc;
	return a->status >= 200 && a->status < 300 ? 0 : vm_fault(a, e);
}

int vm_call(const struct runtime_vm *vm, const char *method, const char *path, const char *body,
	struct http_answer *a, struct err *e)
{
	struct http_call c = {
		.method = method,
		.path = path,
		.body = body,
		.timeout_s = VM_CALL_TIMEOUT_S,
	};

	return call(vm, &c, a, e);
}

int vm_get(const struct runtime_vm *vm, const char *path, uint32_t timeout_s, json_t **ret,
	struct err *e)
{
	struct http_call c = {.method = "GET", .path = path, .timeout_s = timeout_s};
	struct http_answer a = {0};
	int rc = call(vm, &c, &a, e);
	json_t *j = rc == 0 ? json_loadb(a.body ? a.body : "", a.body_len, 0, NULL) : NULL;

	http_answer_fini(&a);
	if (rc < 0)
		return rc;
	if (!json_is_object(j)) {
		json_decref(j);
		return err_set(e, -EPROTO, "the answer to GET %s is not a JSON object", path);
	}
	*ret = j;
	return 0;
}
