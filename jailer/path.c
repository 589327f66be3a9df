/* SPDX-License-Identifier: Apache-2.0 */
/* Files without symbolic links, and the removal of whole folders. See path.h. */
#include "jailer/path.h"

#include "vmm/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int path_open_how(int dir_fd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC,
		.mode = mode,
		.resolve = resolve | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH,
	};
	long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int path_open(int dir_fd, const char *path, int flags, mode_t mode)
{
	return path_open_how(dir_fd, path, flags, mode, 0);
}

int path_open_dir_here(int dir_fd, const char *path)
{
	return path_open_how(dir_fd, path, O_RDONLY | O_DIRECTORY, 0, RESOLVE_NO_XDEV);
}

ssize_t path_read(int fd, char *buf, size_t size)
{
	size_t used = 0;

	while (used < size - 1) {
		ssize_t n = read(fd, buf + used, size - 1 - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	buf[used] = '\0';
	return (ssize_t)used;
}

/*
 * The monitor may have made folders deeper than any stack or table of descriptors: nothing here
 * recurses. A folder inside one that is being emptied is moved up beside it, and its turn comes.
 */
static int path_hoist(int from_fd, const char *name, int to_fd, unsigned long *serial)
{
	char moved[48];

	for (;;) {
		(void)snprintf(moved, sizeof(moved), ".removed-%lu", (*serial)++);
		if (renameat2(from_fd, name, to_fd, moved, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
}

/* Empties fd: files are unlinked, folders hoisted into to_fd. */
static int path_empty(int fd, int to_fd, unsigned long *serial)
{
	DIR *d;
	const struct dirent *ent;
	int rc = 0, copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (copy < 0)
		return -errno;
	d = fdopendir(copy);
	if (!d) {
		(void)close(copy);
		return -ENOMEM;
	}
	while (rc == 0 && (ent = readdir(d))) {
		if (strcmp(ent->d_name, ".") == 0 || strcmp(ent->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, ent->d_name, 0) == 0 || errno == ENOENT)
			continue;
		rc = errno == EISDIR ? path_hoist(fd, ent->d_name, to_fd, serial) : -errno;
	}
	(void)closedir(d);
	return rc;
}

/* One pass over the folders of top: each is emptied and removed. *ret_left: there may be more. */
static int path_pass(int top, unsigned long *serial, bool *ret_left)
{
	const struct dirent *ent;
	DIR *d;
	int rc = 0, copy = fcntl(top, F_DUPFD_CLOEXEC, 3);

	if (copy < 0)
		return -errno;
	d = fdopendir(copy);
	if (!d) {
		(void)close(copy);
		return -ENOMEM;
	}
	rewinddir(d);
	*ret_left = false;
	while (rc == 0 && (ent = readdir(d))) {
		CLEANUP_FD
		int sub = -1;

		if (strcmp(ent->d_name, ".") == 0 || strcmp(ent->d_name, "..") == 0)
			continue;
		*ret_left = true;
		if (unlinkat(top, ent->d_name, 0) == 0 || errno == ENOENT)
			continue;
		if (errno != EISDIR) {
			rc = -errno;
			break;
		}
		sub = path_open_dir_here(top, ent->d_name);
		rc = sub < 0 ? sub : path_empty(sub, top, serial);
		if (rc == 0 && unlinkat(top, ent->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT &&
			errno != ENOTEMPTY)
			rc = -errno;
	}
	(void)closedir(d);
	return rc;
}

int path_remove_tree(int dir_fd, const char *name, struct err *e)
{
	CLEANUP_FD
	int top = path_open_dir_here(dir_fd, name);
	unsigned long serial = 0;
	bool left = true;
	int rc = 0;

	if (top == -ENOENT)
		return 0;
	if (top < 0)
		return err_set_os(e, top, "cannot open the folder %s (a mount, a link?)", name);
	while (left && rc == 0)
		rc = path_pass(top, &serial, &left);
	if (rc == -EBUSY || rc == -EXDEV)
		return err_set_os(e, rc,
			"something is mounted inside of the folder %s; unmount it first", name);
	if (rc < 0)
		return err_set_os(e, rc, "cannot empty the folder %s", name);
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_set_os(e, -errno, "cannot remove the folder %s", name);
	return 0;
}
