/* SPDX-License-Identifier: Apache-2.0 */
/* Files that replace others in one step. See aside.h. */
#include "snapshot/aside.h"

#include "vmm/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* What is there may be replaced if it is a file. */
static int aside_check_target(const char *path, const char *what, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_set_os(e, -errno, "%s: %s", what, path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s: %s exists and is not a file", what, path);
	return 0;
}

/* #syscalls:main openat newfstatat unlink */
int aside_open(struct aside *a, const char *path, const char *what, struct err *e)
{
	int rc = aside_check_target(path, what, e);

	*a = ASIDE_NONE;
	if (rc < 0)
		return rc;
	if (asprintf(&a->part, "%s.part", path) < 0)
		a->part = NULL;
	a->target = strdup(path);
	if (!a->part || !a->target) {
		aside_close(a);
		return err_set_os(e, -ENOMEM, "%s", what);
	}
	(void)unlink(a->part);
	a->fd = open(a->part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (a->fd >= 0)
		return 0;
	rc = err_set_os(e, -errno, "%s: cannot make %s", what, a->part);
	aside_close(a);
	return rc;
}

/* #syscalls:main fsync */
int aside_sync(struct aside *a, const char *what, struct err *e)
{
	return fsync(a->fd) == 0 ? 0 : err_set_os(e, -errno, "%s: fsync of %s", what, a->part);
}

/*
 * The name is on the disk when its folder is.
 *
 * #syscalls:main openat fsync close
 */
static int aside_sync_folder(const char *path)
{
	CLEANUP_FD
	int fd = -1;
	CLEANUP_FREE
	char *folder = strdup(path);
	char *slash = folder ? strrchr(folder, '/') : NULL;

	if (!folder)
		return -ENOMEM;
	if (slash)
		slash[slash == folder ? 1 : 0] = '\0';
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 && fsync(fd) == 0 ? 0 : -errno;
}

static int aside_exchange(const struct aside *a)
{
	return renameat2(AT_FDCWD, a->part, AT_FDCWD, a->target, RENAME_EXCHANGE) == 0 ? 0 : -errno;
}

/* #syscalls:main rename renameat2:4=RENAME_EXCHANGE */
int aside_commit(struct aside *a, const char *what, struct err *e)
{
	int rc = aside_exchange(a);

	a->state = ASIDE_SWAPPED;
	if (rc < 0) {
		/* Nothing is there, or the file system cannot exchange. */
		if (rename(a->part, a->target) < 0) {
			a->state = ASIDE_WRITTEN;
			return err_set_os(e, -errno, "%s: cannot rename %s", what, a->part);
		}
		a->state = rc == -ENOENT ? ASIDE_NEW : ASIDE_REPLACED;
		free(a->part);
		a->part = NULL;
	}
	/* Some file systems have no fsync of folders: the file is in place all the same. */
	(void)aside_sync_folder(a->target);
	return 0;
}

/* #syscalls:main unlink renameat2:4=RENAME_EXCHANGE */
void aside_revert(struct aside *a)
{
	if (a->state == ASIDE_SWAPPED)
		(void)aside_exchange(a);
	else if (a->state == ASIDE_NEW)
		(void)unlink(a->target);
	a->state = ASIDE_WRITTEN;
}

static bool aside_name_is(const char *part, const char *target)
{
	size_t len = strlen(target);

	return strncmp(part, target, len) == 0 && strcmp(part + len, ".part") == 0;
}

bool aside_names_collide(const char *a, const char *b)
{
	return strcmp(a, b) == 0 || aside_name_is(a, b) || aside_name_is(b, a);
}

/* #syscalls:main unlink close */
void aside_close(struct aside *a)
{
	if (a->part && a->fd >= 0)
		(void)unlink(a->part);
	fd_close(&a->fd);
	free(a->part);
	free(a->target);
	*a = ASIDE_NONE;
}
