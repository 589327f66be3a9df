/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mayfly-jailer --cleanup ID: whatever a jail left, by its record. Every step may find its work
 * done; nothing is removed that has no record of ours.
 */
#include "jailer/cgroup.h"
#include "jailer/jail.h"
#include "jailer/path.h"

#include "vmm/base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

/* The record, opened and locked: nobody is making or removing this jail. */
static int cleanup_lock(int id_fd, const char *id, struct record *ret, struct err *e)
{
	CLEANUP_FD
	int fd = path_open(id_fd, JAIL_RECORD, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	char text[RECORD_SIZE_MAX + 1];
	struct stat st;
	ssize_t n;
	int rc;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
		(st.st_mode & 022))
		return err_set(
			e, -EPERM, "the jail %s: its " JAIL_RECORD " is not a file of ours", id);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(
			e, -EBUSY, "the jail %s is being made or removed by another process", id);
	n = path_read(fd, text, sizeof(text));
	if (n < 0)
		return err_set_os(e, (int)n, "the jail %s: " JAIL_RECORD, id);
	*ret = (struct record){
		0}; /* empty: killed before it was written, so nothing else is made */
	rc = n ? record_parse(text, ret, e) : 0;
	if (rc < 0)
		return err_wrap(e, "the jail %s: " JAIL_RECORD, id);
	return fd_take(&fd);
}

static int cleanup_check_gone(const struct record *r, const char *id, struct err *e)
{
	CLEANUP_FD
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (proc < 0)
		return err_set_os(e, -errno, "Failed to open file /proc; mount it");
	if (r->pid && r->pid_start && proc_start_time(proc, r->pid) == r->pid_start)
		return err_set(e, -EBUSY, "the VM of jail %s runs, as process %d; end it first", id,
			r->pid);
	return 0;
}

/* A folder without a record: killed before it was claimed, or not ours. Only the first is empty. */
static int cleanup_unclaimed(int name_fd, const char *id, struct err *e)
{
	if (unlinkat(name_fd, id, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return err_set_os(e, -errno,
		"the jail %s has no " JAIL_RECORD ", so this program has not made it; remove it "
		"by hand",
		id);
}

static int cleanup_one(int base_fd, const char *name, bool sure, const char *id, struct err *e)
{
	CLEANUP_FD
	int name_fd = path_open(base_fd, name, O_RDONLY | O_DIRECTORY, 0);
	CLEANUP_FD
	int id_fd = name_fd < 0 ? -ENOENT : path_open(name_fd, id, O_RDONLY | O_DIRECTORY, 0);
	CLEANUP_FD
	int lock = -1;
	struct record r;
	int rc;

	if (id_fd == -ENOENT || id_fd == -ENOTDIR) {
		/* Killed before it made more; but only if it is said that the folder is ours. */
		if (sure)
			(void)unlinkat(base_fd, name, AT_REMOVEDIR);
		return 0;
	}
	if (id_fd < 0)
		return err_set_os(e, id_fd, "the jail %s", id);
	lock = cleanup_lock(id_fd, id, &r, e);
	if (lock < 0)
		return lock == -ENOENT ? cleanup_unclaimed(name_fd, id, e) : lock;
	rc = cleanup_check_gone(&r, id, e);
	if (rc == 0)
		rc = cgroup_remove(&r, e);
	if (rc == 0)
		rc = path_remove_tree(id_fd, "root", e);
	if (rc < 0)
		return err_wrap(e, "the jail %s", id);
	/* The record last: what is left until then can be cleaned up again. */
	if (unlinkat(id_fd, JAIL_RECORD, 0) < 0 && errno != ENOENT)
		return err_set_os(e, -errno, "the jail %s: " JAIL_RECORD, id);
	rc = path_remove_tree(name_fd, id, e);
	if (rc == 0)
		(void)unlinkat(base_fd, name, AT_REMOVEDIR); /* if it was the last */
	return rc;
}

/* Without --exec-file: the id in any folder of the base. */
static int cleanup_all(int base_fd, const char *id, struct err *e)
{
	int copy = fcntl(base_fd, F_DUPFD_CLOEXEC, 3), rc = 0;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *ent;

	if (!d)
		return err_set_os(e, -ENOMEM, "--chroot-base-dir");
	while (rc == 0 && (ent = readdir(d)))
		if (ent->d_name[0] != '.' || strlen(ent->d_name) > 2)
			rc = cleanup_one(base_fd, ent->d_name, false, id, e);
	(void)closedir(d);
	return rc;
}

int jail_cleanup(const struct jailer_options *o, struct err *e)
{
	char base[PATH_MAX];
	CLEANUP_FD
	int base_fd = -1;
	const char *name = o->exec_file ? strrchr(o->exec_file, '/') : NULL;

	if (!realpath(o->chroot_base, base))
		return errno == ENOENT ? 0
				       : err_set_os(e, -errno, "Failed to canonicalize path %s",
						 o->chroot_base);
	base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (base_fd < 0)
		return err_set_os(e, -errno, "--chroot-base-dir: %s", base);
	if (o->exec_file)
		return cleanup_one(base_fd, name ? name + 1 : o->exec_file, true, o->id, e);
	return cleanup_all(base_fd, o->id, e);
}
