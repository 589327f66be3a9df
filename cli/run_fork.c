/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly run --fork-of`: the VM that is forked is asked for it. See run.h. */
#include "cli/run.h"
#include "cli/vm.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Beside the VM's API socket, where its monitor can make one. */
int run_fork_offer(char dst[PATH_MAX], const char *fork_of, struct err *e)
{
	struct runtime_vm vm;
	struct http_answer a = {0};
	char socket[PATH_MAX], *body;
	json_t *request;
	int rc = runtime_find(&vm, fork_of, e);

	if (rc < 0)
		return rc;
	if (!realpath(vm.socket, socket))
		return err_set_os(e, -errno, "%s", vm.socket);
	if (snprintf(dst, PATH_MAX, "%s.fork-%d", socket, (int)getpid()) >= PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "%s: the path is too long", socket);
	request = json_pack("{s:s}", "socket_path", dst);
	body = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (!body)
		return err_set_os(e, -ENOMEM, "cannot write the request");
	rc = vm_call(&vm, "PUT", "/snapshot/fork", body, &a, e);
	free(body);
	http_answer_fini(&a);
	return rc < 0 ? err_wrap(e, "%s", vm.name) : 0;
}
