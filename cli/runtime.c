/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime directory. See runtime.h. */
#include "cli/runtime.h"

#include "cli/http.h"
#include "cli/runtime_dir.h"
#include "vmm/base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define PROBE_S 2u /* for a connection to a socket that has no entry */

bool runtime_name_ok(const char *name)
{
	size_t len =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");

	return len >= 1 && len < RUNTIME_NAME_SIZE && name[len] == '\0';
}

/* Who listens there, or -errno. */
static int probe_socket(const char *path, struct runtime_process *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct err e;
	CLEANUP_FD
	int fd = http_connect(path, PROBE_S, &e);

	if (fd < 0)
		return fd;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	runtime_process_get(ret, cred.pid);
	return 0;
}

/* The process that has the name, if some does: with an entry, or as a monitor started by hand. */
static bool name_holder(const struct runtime_dir *d, const char *name, struct runtime_process *ret)
{
	char path[PATH_MAX];
	struct runtime_vm entry;

	if (runtime_dir_read(d, name, &entry) == 0) {
		*ret = entry.monitor;
		return runtime_process_lives(ret);
	}
	runtime_dir_path(d, name, ".sock", path);
	return probe_socket(path, ret) == 0;
}

int runtime_claim(struct runtime_vm *vm, const char *name, struct err *e)
{
	struct runtime_dir d;
	struct runtime_process holder = {0};
	int rc;

	memset(vm, 0, sizeof(*vm));
	(void)snprintf(vm->name, sizeof(vm->name), "%s", name);
	rc = runtime_dir_open(&d, true, e);
	if (rc < 0)
		return rc;
	if (name_holder(&d, name, &holder)) {
		rc = err_set(e, -EEXIST, "a VM named '%s' runs already, as process %d", name,
			(int)holder.pid);
	} else {
		runtime_dir_remove(&d, name);
		runtime_dir_path(&d, name, ".sock", vm->socket);
		runtime_dir_path(&d, name, ".log", vm->log);
		runtime_process_get(&vm->monitor, getpid());
		runtime_process_get(&vm->runner, getpid());
		rc = runtime_dir_write(&d, vm, e);
	}
	runtime_dir_close(&d);
	return rc;
}

int runtime_update(struct runtime_vm *vm, pid_t monitor, struct err *e)
{
	struct runtime_process now;
	struct runtime_dir d;
	int rc;

	runtime_process_get(&now, monitor);
	if (now.pid == 0)
		return 0; /* it has ended already, and so will the entry */
	rc = runtime_dir_open(&d, true, e);
	if (rc < 0)
		return rc;
	vm->monitor = now;
	rc = runtime_dir_write(&d, vm, e);
	runtime_dir_close(&d);
	return rc;
}

void runtime_release(const struct runtime_vm *vm)
{
	struct runtime_dir d;
	struct runtime_vm now;
	struct err e;

	if (vm->name[0] == '\0' || runtime_dir_open(&d, false, &e) < 0)
		return;
	if (runtime_dir_read(&d, vm->name, &now) == 0 && now.runner.pid == vm->runner.pid &&
		now.runner.start_time == vm->runner.start_time)
		runtime_dir_remove(&d, vm->name);
	runtime_dir_close(&d);
}

/* 1 and *ret: a VM; 0: not one. */
static int vm_of_file(struct runtime_dir *d, const char *file, struct runtime_vm *ret)
{
	char name[RUNTIME_NAME_SIZE];
	const char *dot = strchr(file, '.');
	struct runtime_vm entry;

	if (!dot || (size_t)(dot - file) >= sizeof(name))
		return 0;
	(void)snprintf(name, sizeof(name), "%.*s", (int)(dot - file), file);
	if (!runtime_name_ok(name))
		return 0;
	if (strcmp(dot, ".json") == 0) {
		if (runtime_dir_read(d, name, ret) < 0)
			return 0; /* of a later version, perhaps */
		if (runtime_process_lives(&ret->monitor))
			return 1;
		runtime_dir_remove(d, name);
		return 0;
	}
	if (strcmp(dot, ".sock") != 0 || runtime_dir_read(d, name, &entry) != -ENOENT)
		return 0;
	memset(ret, 0, sizeof(*ret));
	(void)snprintf(ret->name, sizeof(ret->name), "%s", name);
	runtime_dir_path(d, name, ".sock", ret->socket);
	return probe_socket(ret->socket, &ret->monitor) == 0;
}

static int vm_compare(const void *a, const void *b)
{
	return strcmp(((const struct runtime_vm *)a)->name, ((const struct runtime_vm *)b)->name);
}

static int list_files(struct runtime_dir *d, struct runtime_vm **ret, struct err *e)
{
	struct runtime_vm *list = NULL;
	struct dirent *file;
	DIR *files = opendir(d->path);
	int count = 0;

	if (!files)
		return err_set_os(e, -errno, "cannot read %s", d->path);
	while ((file = readdir(files))) {
		struct runtime_vm vm, *more;

		if (!vm_of_file(d, file->d_name, &vm))
			continue;
		more = realloc(list, ((size_t)count + 1) * sizeof(*list));
		if (!more) {
			free(list);
			(void)closedir(files);
			return err_set_os(e, -ENOMEM, "cannot list the VMs");
		}
		list = more;
		list[count++] = vm;
	}
	(void)closedir(files);
	if (count > 0)
		qsort(list, (size_t)count, sizeof(*list), vm_compare);
	*ret = list;
	return count;
}

int runtime_list(struct runtime_vm **ret, struct err *e)
{
	struct runtime_dir d;
	int rc = runtime_dir_open(&d, false, e);

	*ret = NULL;
	if (rc == -ENOENT)
		return 0; /* nobody has run a VM yet */
	if (rc < 0)
		return rc;
	rc = list_files(&d, ret, e);
	runtime_dir_close(&d);
	return rc;
}

static int find_socket(struct runtime_vm *ret, const char *path, struct err *e)
{
	memset(ret, 0, sizeof(*ret));
	if (strlen(path) >= sizeof(ret->socket))
		return err_set(e, -ENAMETOOLONG, "%s: the path is too long", path);
	memcpy(ret->socket, path, strlen(path));
	(void)snprintf(ret->name, sizeof(ret->name), "%.64s", strrchr(path, '/') + 1);
	if (probe_socket(path, &ret->monitor) < 0)
		return err_set(e, -ENOENT, "nobody serves the socket %s", path);
	return 0;
}

int runtime_find(struct runtime_vm *ret, const char *target, struct err *e)
{
	CLEANUP_FREE
	struct runtime_vm *list = NULL;
	int count;

	if (target && strchr(target, '/'))
		return find_socket(ret, target, e);
	count = runtime_list(&list, e);
	if (count < 0)
		return count;
	for (int i = 0; list && i < count; i++) {
		if (target ? strcmp(list[i].name, target) != 0 : count != 1)
			continue;
		*ret = list[i];
		return 0;
	}
	if (target)
		return err_set(e, -ENOENT, "no VM named '%s' runs; 'mayfly ps' lists them", target);
	return count == 0 ? err_set(e, -ENOENT, "no VM runs")
			  : err_set(e, -EINVAL, "%d VMs run: say which; 'mayfly ps' lists them",
				    count);
}
