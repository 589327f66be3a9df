/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's process: a daemon, or the first of a process namespace; and its pid file. */
#include "jailer/jail.h"
#include "jailer/path.h"
#include "jailer/undo.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t proc_start_time(int proc_fd, int pid)
{
	char path[32], text[1024];
	const char *at;
	uint64_t start = 0;
	char state = 'X';

	(void)snprintf(path, sizeof(path), "%d/stat", pid);
	{
		CLEANUP_FD
		int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || path_read(fd, text, sizeof(text)) < 0)
			return 0;
	}
	/* The name, in brackets, may hold anything: fields are counted from its end. */
	at = strrchr(text, ')');
	if (!at)
		return 0;
	for (unsigned field = 3; field < 22; field++) { /* 3 is the state, 22 the start: proc(5) */
		at += 1 + strspn(at + 1, " ");
		if (field == 3)
			state = *at;
		at += strcspn(at, " ");
		if (!*at)
			return 0;
	}
	start = strtoull(at, NULL, 10);
	return state == 'Z' || state == 'X' ? 0 : start;
}

/* The pid file is root's, and new; the record gets the same pid, where the monitor cannot reach. */
static int proc_write_pid(struct jail *j, int pid, struct err *e)
{
	char name[NAME_MAX + 8], text[16];
	CLEANUP_FD
	int fd = -1;
	int rc;
	size_t len;

	j->record.pid = pid;
	j->record.pid_start = proc_start_time(j->proc_fd, pid);
	rc = tree_save(j, e);
	if (rc < 0)
		return rc;
	(void)snprintf(name, sizeof(name), "%s.pid", j->name);
	j->made_pid = true;
	fd = path_open(j->root_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
	if (fd < 0) {
		j->made_pid = false;
		return err_set_os(e, fd, "Failed to open file %s", name);
	}
	len = (size_t)snprintf(text, sizeof(text), "%d", pid);
	if (write(fd, text, len) != (ssize_t)len)
		return err_set_os(e, -(errno ? errno : EIO), "Failed to write to %s", name);
	return 0;
}

void proc_undo(struct jail *j)
{
	char path[2 * PATH_MAX];
	CLEANUP_FD
	int root = -1;

	(void)snprintf(path, sizeof(path), "%s/%s/root", j->name, j->opt.id);
	root = path_open(j->base_fd, path, O_RDONLY | O_DIRECTORY, 0);
	(void)snprintf(path, sizeof(path), "%s.pid", j->name);
	if (root >= 0 && j->made_pid)
		(void)unlinkat(root, path, 0);
}

/* The CPU time of a process that goes on in its child counts for the parent. */
static pid_t proc_split(struct jail *j)
{
	uint64_t cpu_us = clock_process_cpu_ns() / CLOCK_NS_PER_US;
	pid_t pid = fork();

	if (pid == 0)
		j->parent_cpu_us += cpu_us;
	return pid;
}

static int proc_daemonize(struct jail *j, struct err *e)
{
	pid_t pid = proc_split(j);

	if (pid < 0)
		return err_set_os(e, -errno, "Failed to fork");
	if (pid > 0)
		undo_watch(j);
	j->daemonized = true;
	if (setsid() < 0)
		return err_set_os(e, -errno, "Failed to daemonize: setsid");
	pid = proc_split(j);
	if (pid < 0)
		return err_set_os(e, -errno, "Failed to fork");
	if (pid > 0)
		_exit(0);
	for (int fd = 0; fd < 3; fd++)
		if (dup2(j->null_fd, fd) < 0)
			return err_set_os(e, -errno, "Failed to duplicate fd: dup2");
	return 0;
}

/*
 * The child does not know its number in the host, and must not run the monitor before that is
 * written: a byte says so, the end of the pipe that the parent failed.
 */
static int proc_new_pid_ns(struct jail *j, struct err *e)
{
	CLEANUP_FD
	int get = -1, put = -1;
	int ends[2];
	pid_t pid;
	char go;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set_os(e, -errno, "Failed to make a pipe");
	get = ends[0];
	put = ends[1];
	if (unshare(CLONE_NEWPID) < 0)
		return err_set_os(e, -errno, "Failed to unshare into new PID namespace");
	pid = proc_split(j);
	if (pid < 0)
		return err_set_os(e, -errno, "Failed cloning into a new child process");
	if (pid == 0) {
		fd_close(&put);
		if (read(get, &go, 1) == 1)
			return 0;
		_exit(1); /* the parent has said why */
	}
	if (proc_write_pid(j, pid, e) < 0)
		return e->code;
	if (write(put, "", 1) != 1)
		return err_set_os(e, -errno, "Failed to let the monitor go");
	fd_close(&put);
	if (j->daemonized)
		_exit(0);
	undo_watch(j);
}

int proc_fork(struct jail *j, struct err *e)
{
	int rc = j->opt.daemonize ? proc_daemonize(j, e) : 0;

	if (rc < 0)
		return rc;
	return j->opt.new_pid_ns ? proc_new_pid_ns(j, e) : proc_write_pid(j, getpid(), e);
}
