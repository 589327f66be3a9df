/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor: copied into the jail, and at the end run in it. */
#include "jailer/jail.h"
#include "jailer/path.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define EXEC_CHUNK ((size_t)1 << 30)

/* What stands in the way: a plain file of one name may go, as with Firecracker; nothing else. */
static int exec_clear(const struct jail *j, struct err *e)
{
	const char *dst = jail_path(j, j->name);
	struct stat st;

	if (fstatat(j->root_fd, j->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_set_os(e, -errno, "Failed to open %s", dst);
	if (S_ISLNK(st.st_mode))
		return err_set_os(e, -ELOOP, "Failed to open %s", dst);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EEXIST, "%s is not a file; remove it", dst);
	if (st.st_nlink > 1)
		return err_set(e, -EMLINK, "Detected hard link at: %s; remove it", dst);
	if (unlinkat(j->root_fd, j->name, 0) < 0)
		return err_set_os(e, -errno, "Failed to remove %s", dst);
	return 0;
}

static int exec_copy_bytes(int from, int to)
{
	bool ranged = true;

	for (;;) {
		ssize_t n = ranged ? copy_file_range(from, NULL, to, NULL, EXEC_CHUNK, 0)
				   : sendfile(to, from, NULL, EXEC_CHUNK);

		if (n == 0)
			return 0;
		if (n < 0 && ranged &&
			(errno == EXDEV || errno == EINVAL || errno == ENOSYS ||
				errno == EOPNOTSUPP))
			ranged = false; /* not between these two file systems */
		else if (n < 0 && errno != EINTR)
			return -errno;
	}
}

int exec_copy(struct jail *j, struct err *e)
{
	const char *dst = jail_path(j, j->name);
	CLEANUP_FD
	int to = -1;
	int rc = exec_clear(j, e);

	if (rc < 0)
		return rc;
	j->made_exec = true;
	to = path_open(j->root_fd, j->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0700);
	if (to < 0) {
		j->made_exec = false;
		return err_set_os(e, to, "Failed to open %s", dst);
	}
	rc = exec_copy_bytes(j->exec_fd, to);
	if (rc < 0)
		return err_set_os(e, rc, "Failed to copy %s to %s", j->exec_path, dst);
	if (fchown(to, j->opt.uid, j->opt.gid) < 0)
		return err_set_os(e, -errno, "Failed to change owner for %s", dst);
	if (fchmod(to, 0755) < 0)
		return err_set_os(e, -errno, "Failed to change permissions on %s", dst);
	return 0;
}

void exec_undo_copy(struct jail *j)
{
	char path[2 * PATH_MAX];
	CLEANUP_FD
	int root = -1;

	(void)snprintf(path, sizeof(path), "%s/%s/root", j->name, j->opt.id);
	root = path_open(j->base_fd, path, O_RDONLY | O_DIRECTORY, 0);
	if (root >= 0 && j->made_exec)
		(void)unlinkat(root, j->name, 0);
}

int exec_run(struct jail *j, struct err *e)
{
	char path[NAME_MAX + 2], start[24], start_cpu[24], parent_cpu[24];
	char *no_env[] = {NULL};
	const char *own[] = {path, "--id", j->opt.id, "--start-time-us", start,
		"--start-time-cpu-us", start_cpu, "--parent-cpu-time-us", parent_cpu};
	uint64_t cpu_us = clock_process_cpu_ns() / CLOCK_NS_PER_US;
	CLEANUP_FREE
	char **argv = calloc(NELEM(own) + j->opt.extra_count + 1, sizeof(*argv));
	int rc;

	if (!argv)
		return err_set_os(e, -ENOMEM, "Failed to exec into the monitor");
	(void)snprintf(path, sizeof(path), "/%s", j->name);
	(void)snprintf(start, sizeof(start), "%" PRIu64, j->start_us);
	(void)snprintf(start_cpu, sizeof(start_cpu), "%" PRIu64, j->start_cpu_us);
	(void)snprintf(parent_cpu, sizeof(parent_cpu), "%" PRIu64, j->parent_cpu_us + cpu_us);
	memcpy(argv, own, sizeof(own));
	if (j->opt.extra_count)
		memcpy(argv + NELEM(own), j->opt.extra, j->opt.extra_count * sizeof(*argv));
	j->exec_begun = true;
	(void)execve(path, argv, no_env);
	rc = -errno;
	j->exec_begun = false;
	return err_set_os(e, rc, "Failed to exec into %s", path);
}
