/* SPDX-License-Identifier: Apache-2.0 */
/* Files and processes behind the runtime directory. See runtime_dir.h. */
#include "cli/runtime_dir.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#define ENTRY_SIZE_MAX 65536u

static const char *const suffixes[] = {".json", ".sock", ".log", ".new"};

void runtime_process_get(struct runtime_process *p, pid_t pid)
{
	char path[32], stat[1024];
	const char *s;
	ssize_t n;
	CLEANUP_FD
	int fd = -1;

	*p = (struct runtime_process){0};
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, stat, sizeof(stat) - 1);
	if (n <= 0)
		return;
	stat[n] = '\0';
	/* The second field is a name in parentheses and may hold anything; the third is the state. */
	s = strrchr(stat, ')');
	if (!s || s[1] != ' ' || s[2] == 'Z' || s[2] == 'X')
		return;
	for (int field = 2; field < 22; field++) {
		s = strchr(s + 1, ' ');
		if (!s)
			return;
	}
	p->pid = pid;
	p->start_time = strtoull(s, NULL, 10);
}

bool runtime_process_lives(const struct runtime_process *p)
{
	struct runtime_process now;

	if (p->pid <= 0)
		return false;
	runtime_process_get(&now, p->pid);
	return now.pid == p->pid && now.start_time == p->start_time;
}

int runtime_process_open(const struct runtime_process *p)
{
	CLEANUP_FD
	int fd = p->pid > 0 ? pidfd_open(p->pid, 0) : -1;

	if (fd < 0)
		return p->pid > 0 ? -errno : -ESRCH;
	/* In this order: from now on fd stays with the process that this looks at. */
	return runtime_process_lives(p) ? fd_take(&fd) : -ESRCH;
}

static int dir_find(char path[PATH_MAX], struct err *e)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	int n = snprintf(path, PATH_MAX, "%s/mayfly", base && *base == '/' ? base : "/run");

	return n < PATH_MAX ? 0 : err_set(e, -ENAMETOOLONG, "XDG_RUNTIME_DIR: too long");
}

/* Who can write here can name any process and socket, and another user's commands obey. */
static int dir_check(const struct runtime_dir *d, struct err *e)
{
	struct stat st;

	if (fstat(d->fd, &st) < 0)
		return err_set_os(e, -errno, "cannot look at %s", d->path);
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return err_set(e, -EPERM,
			"%s must belong to this user and be writable by nobody else", d->path);
	return 0;
}

int runtime_dir_open(struct runtime_dir *d, bool create, struct err *e)
{
	int rc;

	d->fd = -1;
	rc = dir_find(d->path, e);
	if (rc < 0)
		return rc;
	if (create && mkdir(d->path, 0700) < 0 && errno != EEXIST)
		return err_set_os(e, -errno, "cannot make %s", d->path);
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (d->fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (d->fd < 0)
		return err_set_os(e, -errno, "cannot open %s", d->path);
	rc = dir_check(d, e);
	while (rc == 0 && flock(d->fd, LOCK_EX) < 0)
		if (errno != EINTR)
			rc = err_set_os(e, -errno, "cannot lock %s", d->path);
	if (rc < 0)
		runtime_dir_close(d);
	return rc;
}

void runtime_dir_close(struct runtime_dir *d)
{
	fd_close(&d->fd);
}

void runtime_dir_path(
	const struct runtime_dir *d, const char *name, const char *suffix, char ret[PATH_MAX])
{
	(void)!snprintf(ret, PATH_MAX, "%.3900s/%.64s%s", d->path, name, suffix);
}

static void process_unpack(json_t *j, struct runtime_process *p)
{
	p->pid = (pid_t)json_integer_value(json_object_get(j, "pid"));
	p->start_time = (uint64_t)json_integer_value(json_object_get(j, "start_time"));
}

static void string_unpack(json_t *j, const char *key, char ret[PATH_MAX])
{
	const char *s = json_string_value(json_object_get(j, key));

	(void)!snprintf(ret, PATH_MAX, "%s", s ? s : "");
}

int runtime_dir_read(const struct runtime_dir *d, const char *name, struct runtime_vm *ret)
{
	char path[PATH_MAX];
	CLEANUP_FREE
	char *text = NULL;
	size_t len;
	json_t *j;
	int rc;

	runtime_dir_path(d, name, ".json", path);
	rc = io_read_file(path, ENTRY_SIZE_MAX, &text, &len, NULL);
	if (rc < 0)
		return rc;
	j = json_loadb(text, len, 0, NULL);
	memset(ret, 0, sizeof(*ret));
	(void)snprintf(ret->name, sizeof(ret->name), "%.64s", name);
	process_unpack(json_object_get(j, "monitor"), &ret->monitor);
	process_unpack(json_object_get(j, "runner"), &ret->runner);
	string_unpack(j, "socket", ret->socket);
	string_unpack(j, "log", ret->log);
	json_decref(j);
	return ret->monitor.pid > 0 && ret->socket[0] ? 0 : -EINVAL;
}

static json_t *process_pack(const struct runtime_process *p)
{
	return json_pack("{s:i, s:I}", "pid", (int)p->pid, "start_time", (json_int_t)p->start_time);
}

int runtime_dir_write(const struct runtime_dir *d, const struct runtime_vm *vm, struct err *e)
{
	char path[PATH_MAX], aside[PATH_MAX];
	json_t *j = json_pack("{s:s, s:o, s:o, s:s, s:s}", "name", vm->name, "monitor",
		process_pack(&vm->monitor), "runner", process_pack(&vm->runner), "socket",
		vm->socket, "log", vm->log);
	int rc = 0;

	runtime_dir_path(d, vm->name, ".json", path);
	runtime_dir_path(d, vm->name, ".new", aside);
	if (!j || json_dump_file(j, aside, JSON_INDENT(2)) < 0 || rename(aside, path) < 0)
		rc = err_set_os(e, errno ? -errno : -EIO, "cannot write %s", path);
	json_decref(j);
	return rc;
}

void runtime_dir_remove(const struct runtime_dir *d, const char *name)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < NELEM(suffixes); i++) {
		runtime_dir_path(d, name, suffixes[i], path);
		(void)unlink(path);
	}
}
