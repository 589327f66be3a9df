/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly snapshot create`: a VM stands still, is saved, and goes on. */
#include "cli/cli.h"
#include "cli/snapshot.h"
#include "cli/vm.h"
#include "vmm/base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CREATE_TIMEOUT_S 3600u

/* The monitor has a working directory of its own. */
static int path_absolute(const char *path, char ret[PATH_MAX], struct err *e)
{
	char here[PATH_MAX] = "";

	if (*path != '/' && !getcwd(here, sizeof(here)))
		return err_set_os(e, -errno, "cannot tell the working directory");
	if (snprintf(ret, PATH_MAX, "%s%s%s", here, *path == '/' ? "" : "/", path) >= PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "%s: the path is too long", path);
	return 0;
}

/* JSON, which the caller frees. */
static char *create_body(const struct snapshot_options *o, struct err *e)
{
	char state[PATH_MAX], memory[PATH_MAX], *body;
	json_t *request;

	if (path_absolute(o->state, state, e) < 0 || path_absolute(o->memory, memory, e) < 0)
		return NULL;
	request = json_pack("{s:s, s:s, s:s}", "snapshot_path", state, "mem_file_path", memory,
		"snapshot_type", o->diff ? "Diff" : "Full");
	body = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (!body)
		(void)err_set(e, -EINVAL, "cannot write the request: a path is not valid UTF-8");
	return body;
}

static int set_state(const struct runtime_vm *vm, const char *body, struct err *e)
{
	struct http_answer a = {0};
	int rc = vm_call(vm, "PATCH", "/vm", body, &a, e);

	http_answer_fini(&a);
	return rc;
}

static int create(const struct runtime_vm *vm, const char *body, struct err *e)
{
	const struct http_call c = {
		.socket = vm->socket,
		.method = "PUT",
		.path = "/snapshot/create",
		.body = body,
		.timeout_s = CREATE_TIMEOUT_S,
	};
	struct http_answer a = {0};
	int rc = http_do(&c, &a, e);

	if (rc == 0 && a.status / 100 != 2)
		rc = vm_fault(&a, e);
	http_answer_fini(&a);
	return rc;
}

/* A VM that stood still before stands still after. */
static int create_of(const struct runtime_vm *vm, const char *body, struct err *e)
{
	struct err resume_err;
	json_t *info;
	bool ran;
	int rc = vm_get(vm, "/", VM_CALL_TIMEOUT_S, &info, e);

	if (rc < 0)
		return rc;
	ran = strcmp(json_string_value(json_object_get(info, "state")) ?: "", "Running") == 0;
	json_decref(info);
	if (ran && (rc = set_state(vm, "{\"state\": \"Paused\"}", e)) < 0)
		return rc;
	if (isatty(STDERR_FILENO))
		cli_say("snapshot", "%s stands still while it is saved", vm->name);
	rc = create(vm, body, e);
	if (ran && set_state(vm, "{\"state\": \"Resumed\"}", &resume_err) < 0) {
		cli_say("snapshot", "%s does not go on: %s", vm->name, resume_err.msg);
		if (rc == 0) {
			*e = resume_err;
			rc = -EINVAL;
		}
	}
	return rc;
}

int snapshot_create_main(const struct snapshot_options *o, char **args, int count)
{
	CLEANUP_FREE
	char *body = NULL;
	struct runtime_vm vm;
	struct err e;
	int rc;

	if (!o->state || !o->memory)
		return cli_usage("snapshot", "create needs --state-file and --memory-file");
	rc = runtime_find(&vm, count > 0 ? args[0] : NULL, &e);
	if (rc < 0)
		return snapshot_failed(&e, CLI_FAILED);
	body = create_body(o, &e);
	rc = body ? create_of(&vm, body, &e) : -EINVAL;
	if (rc == 0)
		return CLI_OK;
	(void)err_wrap(&e, "%s", vm.name);
	return snapshot_failed(&e, CLI_FAILED);
}
