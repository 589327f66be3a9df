/* SPDX-License-Identifier: Apache-2.0 */
/* The pool's directory. See pool.h. Links in it are never followed. */
#include "cli/pool.h"

#include "vmm/base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define DIR_DEPTH_MAX 4 /* of what the overrides may have had made in a clone's directory */

void pool_dir_path(const struct pool *p, const char *id, const char *name, char ret[PATH_MAX])
{
	(void)!snprintf(
		ret, PATH_MAX, "%.3900s/%s%s%s", p->dir, id, name ? "/" : "", name ? name : "");
}

/* Takes fd over. */
static void dir_empty(int fd, int depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *f;

	if (!d) {
		(void)close(fd);
		return;
	}
	while ((f = readdir(d))) {
		int sub;

		if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0 ||
			unlinkat(fd, f->d_name, 0) == 0 || depth == 0)
			continue;
		sub = openat(fd, f->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (sub >= 0)
			dir_empty(sub, depth - 1);
		(void)unlinkat(fd, f->d_name, AT_REMOVEDIR);
	}
	(void)closedir(d);
}

static int dir_check(const struct pool *p, int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set_os(e, -errno, "cannot look at %s", p->dir);
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return err_set(e, -EPERM,
			"%s must belong to this user and be closed to others: remove it, or give "
			"another --socket",
			p->dir);
	return 0;
}

/* 1: the one we locked is not there any more, since its holder has removed it. */
static int dir_is_stale(const struct pool *p, int fd)
{
	struct stat ours, there;

	return fstat(fd, &ours) < 0 || lstat(p->dir, &there) < 0 || ours.st_ino != there.st_ino ||
	       ours.st_dev != there.st_dev;
}

static int dir_lock(struct pool *p, struct err *e)
{
	for (int tries = 0; tries < 16; tries++) {
		CLEANUP_FD
		int fd = -1;
		int rc;

		if (mkdir(p->dir, 0700) < 0 && errno != EEXIST)
			return err_set_os(e, -errno, "cannot make %s", p->dir);
		fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return err_set_os(e, -errno, "cannot open %s", p->dir);
		rc = dir_check(p, fd, e);
		if (rc < 0)
			return rc;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return err_set_os(e, -errno,
				"another pool has %s: stop it ('mayfly pool stop'), or give "
				"another --socket",
				p->socket);
		if (dir_is_stale(p, fd))
			continue;
		p->dir_fd = fd_take(&fd);
		return 0;
	}
	return err_set(e, -EBUSY, "%s comes and goes: other pools use it", p->dir);
}

static void dir_clean(const struct pool *p)
{
	int fd = openat(p->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		dir_empty(fd, DIR_DEPTH_MAX);
}

int pool_dir_open(struct pool *p, struct err *e)
{
	int rc = dir_lock(p, e);

	if (rc == 0)
		dir_clean(p);
	return rc;
}

void pool_dir_close(struct pool *p)
{
	if (p->dir_fd < 0)
		return;
	if (p->listen_fd >= 0)
		(void)unlink(p->socket);
	dir_clean(p);
	(void)rmdir(p->dir);
	fd_close(&p->dir_fd);
}

int pool_dir_add(const struct pool *p, const char *id, struct err *e)
{
	if (mkdirat(p->dir_fd, id, 0700) == 0)
		return 0;
	return err_set_os(e, -errno, "cannot make %s/%s", p->dir, id);
}

void pool_dir_remove(const struct pool *p, const char *id)
{
	int fd = openat(p->dir_fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0)
		dir_empty(fd, DIR_DEPTH_MAX);
	(void)unlinkat(p->dir_fd, id, AT_REMOVEDIR);
}
