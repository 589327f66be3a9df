/* SPDX-License-Identifier: Apache-2.0 */
/* See run_jail.h. */
#include "cli/run_jail.h"

#include "cli/cli.h"
#include "jailer/record.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <linux/magic.h>

#define JAILER_NAME "mayfly-jailer"
#define JAIL_FD_MAX 255        /* the greatest that the monitor knows by a name */
#define JAIL_UID    0x70000000 /* plus our pid: nobody's number, and never that of two VMs at once */
#define STOP_MS     5000       /* for a monitor whose supervisor has died */
#define RECORD      "mayfly-jail"

struct run_jail {
	struct run_options options;
	char jailer[PATH_MAX];
	char vmm[PATH_MAX];
	char folder[PATH_MAX]; /* of all jails of this monitor */
	char id[RUNTIME_NAME_SIZE];
	char kernel[16], initrd[16]; /* fd:N */
	int files[RUN_DRIVES_MAX + 2];
	size_t file_count;
	int janitor_fd; /* or -1 */
	pid_t janitor;
};

const struct run_options *run_jail_options(const struct run_jail *j)
{
	return &j->options;
}

/* Opens path and puts fd:N into name. */
static int jail_file(
	struct run_jail *j, const char *path, bool write, char *name, size_t size, struct err *e)
{
	int fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return err_set_os(e, -errno, "'%s'", path);
	j->files[j->file_count++] = fd;
	if (fd > JAIL_FD_MAX)
		return err_set(e, -EMFILE,
			"'%s': too many files were open when this program was started", path);
	(void)snprintf(name, size, "fd:%d", fd);
	return 0;
}

static int jail_files(struct run_jail *j, struct err *e)
{
	struct run_options *o = &j->options;
	int rc = jail_file(j, o->kernel, false, j->kernel, sizeof(j->kernel), e);

	if (rc == 0 && o->initrd)
		rc = jail_file(j, o->initrd, false, j->initrd, sizeof(j->initrd), e);
	for (uint32_t i = 0; rc == 0 && i < o->drive_count; i++) {
		struct run_drive *d = &o->drives[i];

		rc = jail_file(j, d->path, !d->is_read_only, d->path, sizeof(d->path), e);
	}
	o->kernel = j->kernel;
	o->initrd = o->initrd ? j->initrd : NULL;
	return rc;
}

/* One `mayfly-jailer --cleanup`, instead of this process. */
static _Noreturn void cleanup_exec(const struct run_jail *j, const char *id)
{
	(void)execl(j->jailer, JAILER_NAME, "--cleanup", id, "--exec-file", j->vmm,
		"--chroot-base-dir", j->options.jail_dir, (char *)NULL);
	_exit(1);
}

static bool record_read(const struct run_jail *j, const char *id, struct record *ret)
{
	char path[2 * PATH_MAX], text[RECORD_SIZE_MAX + 1];
	struct err e;
	CLEANUP_FD
	int fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/%s/" RECORD, j->folder, id);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	n = fd < 0 ? -1 : read(fd, text, RECORD_SIZE_MAX);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return record_parse(text, ret, &e) == 0;
}

/* Jails whose monitor is dead, and their janitor, too. All is only tried. */
static void jail_sweep(const struct run_jail *j)
{
	DIR *d = opendir(j->folder);
	const struct dirent *ent;

	while (d && (ent = readdir(d))) {
		struct record r;
		struct runtime_process p;
		pid_t pid;

		if (!runtime_name_ok(ent->d_name) || !record_read(j, ent->d_name, &r) || !r.pid)
			continue;
		p = (struct runtime_process){.pid = r.pid, .start_time = r.pid_start};
		if (runtime_process_lives(&p))
			continue;
		pid = fork();
		if (pid == 0) {
			/* Another janitor may be at it, and then this one has nothing to say. */
			int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

			(void)dup2(null_fd, STDERR_FILENO);
			cleanup_exec(j, ent->d_name);
		}
		if (pid > 0)
			(void)waitpid(pid, NULL, 0);
	}
	if (d)
		(void)closedir(d);
}

/* The monitor stops when its supervisor is gone; one that a guest has taken over may not. */
static void janitor_stop(const struct runtime_process *monitor)
{
	struct pollfd p = {.fd = runtime_process_open(monitor), .events = POLLIN};

	if (p.fd < 0)
		return;
	if (poll(&p, 1, STOP_MS) == 0) {
		(void)syscall(SYS_pidfd_send_signal, p.fd, SIGKILL, NULL, 0);
		(void)poll(&p, 1, -1);
	}
	(void)close(p.fd);
}

/* Reads what run_jail_entered writes, to the end: of the pipe, and so of the parent or of its VM. */
static _Noreturn void janitor_main(const struct run_jail *j, int from)
{
	struct runtime_process monitor = {0}, next;
	struct record r;

	(void)prctl(PR_SET_NAME, "mayfly-janitor", 0, 0, 0);
	(void)setsid();
	if (dup2(from, 3) < 0)
		_exit(1);
	(void)syscall(SYS_close_range, 4U, ~0U, 0U);
	while (read(3, &next, sizeof(next)) == (ssize_t)sizeof(next))
		monitor = next;
	/* The parent died before it could say? */
	if (!monitor.pid && record_read(j, j->id, &r))
		monitor = (struct runtime_process){.pid = r.pid, .start_time = r.pid_start};
	if (monitor.pid)
		janitor_stop(&monitor);
	(void)fcntl(3, F_SETFD, FD_CLOEXEC);
	cleanup_exec(j, j->id);
}

static int janitor_start(struct run_jail *j, struct err *e)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set_os(e, -errno, "cannot make a pipe");
	j->janitor = fork();
	if (j->janitor == 0)
		janitor_main(j, ends[0]);
	(void)close(ends[0]);
	j->janitor_fd = ends[1];
	return j->janitor < 0 ? err_set_os(e, -errno, "cannot fork") : 0;
}

static int jail_prepare(struct run_jail *j, struct err *e)
{
	struct run_options *o = &j->options;
	const char *slash;
	int rc;

	if (geteuid() != 0)
		return err_set(e, -EPERM,
			"--jail: only root can make a jail; run this command as root, or leave "
			"--jail out");
	rc = run_find(j->jailer, JAILER_NAME, "jailer", o->jailer_path, e);
	if (rc < 0)
		return rc;
	if (!o->jail_dir) {
		o->jail_dir = RUN_JAIL_DIR;
		if (mkdir(o->jail_dir, 0755) < 0 && errno != EEXIST)
			return err_set_os(e, -errno,
				"cannot make %s; name another folder with --jail-dir", o->jail_dir);
	}
	slash = strrchr(j->vmm, '/');
	if ((size_t)snprintf(j->folder, sizeof(j->folder), "%s/%s", o->jail_dir,
		    slash ? slash + 1 : j->vmm) >= sizeof(j->folder))
		return err_set(e, -ENAMETOOLONG, "--jail-dir: the path is too long");
	if (!o->has_jail_user)
		o->jail_uid = o->jail_gid = JAIL_UID + (uint32_t)getpid();
	rc = jail_files(j, e);
	if (rc < 0)
		return rc;
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_set_os(e, -errno, "cannot become the monitor's parent");
	jail_sweep(j);
	return janitor_start(j, e);
}

int run_jail_open(struct run_jail **ret, const struct run_options *o, const char *id,
	const char *vmm, struct err *e)
{
	struct run_jail *j = calloc(1, sizeof(*j));
	int rc;

	if (!j)
		return err_set_os(e, -ENOMEM, "--jail");
	j->options = *o;
	j->janitor_fd = -1;
	(void)snprintf(j->id, sizeof(j->id), "%s", id);
	(void)snprintf(j->vmm, sizeof(j->vmm), "%s", vmm);
	rc = jail_prepare(j, e);
	*ret = j; /* also then: it holds what is to be closed */
	return rc;
}

/* 2 where the unified hierarchy is the only one. */
static int jail_cgroup_version(void)
{
	struct statfs s;

	return statfs("/sys/fs/cgroup", &s) == 0 && s.f_type == CGROUP2_SUPER_MAGIC ? 2 : 1;
}

void run_jail_arguments(const struct run_jail *j, struct run_argv *a, char program[PATH_MAX])
{
	const struct run_options *o = &j->options;

	for (size_t i = 0; i < j->file_count; i++)
		a->keep[a->keep_count++] = j->files[i];
	run_argv_add(a, JAILER_NAME);
	run_argv_add(a, "--id");
	run_argv_add(a, "%s", j->id);
	run_argv_add(a, "--exec-file");
	run_argv_add(a, "%s", j->vmm);
	run_argv_add(a, "--uid");
	run_argv_add(a, "%u", o->jail_uid);
	run_argv_add(a, "--gid");
	run_argv_add(a, "%u", o->jail_gid);
	run_argv_add(a, "--chroot-base-dir");
	run_argv_add(a, "%s", o->jail_dir);
	run_argv_add(a, "--new-pid-ns");
	run_argv_add(a, "--new-net-ns");
	for (uint32_t i = 0; i < o->jail_cgroup_count; i++) {
		run_argv_add(a, "--cgroup");
		run_argv_add(a, "%s", o->jail_cgroups[i]);
	}
	run_argv_add(a, "--cgroup-version");
	run_argv_add(a, "%d", jail_cgroup_version());
	for (size_t i = 0; i < a->keep_count; i++) {
		run_argv_add(a, "--pass-fd");
		run_argv_add(a, "%d", a->keep[i]);
	}
	run_argv_add(a, "--");
	memcpy(program, j->jailer, PATH_MAX);
}

pid_t run_jail_entered(struct run_jail *j, pid_t jailer, struct err *e)
{
	struct runtime_process monitor;
	struct record r;
	int status;

	while (waitpid(jailer, &status, 0) < 0)
		if (errno != EINTR)
			return err_set_os(e, -errno, "cannot wait for " JAILER_NAME);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, -ECHILD, "there is no jail, because of the error above");
	if (!record_read(j, j->id, &r) || r.pid <= 0)
		return err_set(e, -EIO,
			"%s/%s/" RECORD " does not say which process the monitor is", j->folder,
			j->id);
	monitor = (struct runtime_process){.pid = r.pid, .start_time = r.pid_start};
	(void)!write(j->janitor_fd, &monitor, sizeof(monitor));
	return r.pid;
}

void run_jail_close(struct run_jail *j)
{
	int status = 0;

	if (!j)
		return;
	for (size_t i = 0; i < j->file_count; i++)
		fd_close(&j->files[i]);
	fd_close(&j->janitor_fd);
	if (j->janitor > 0 && waitpid(j->janitor, &status, 0) == j->janitor && status != 0)
		cli_say("run",
			"the jail %s/%s could not be removed; try '%s --cleanup %s "
			"--chroot-base-dir %s'",
			j->folder, j->id, JAILER_NAME, j->id, j->options.jail_dir);
	free(j);
}
