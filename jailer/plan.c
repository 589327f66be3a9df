/* SPDX-License-Identifier: Apache-2.0 */
/* What can be found out before anything is made. See jail.h. */
#include "jailer/cgroup.h"
#include "jailer/jail.h"
#include "jailer/path.h"

#include "vmm/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UFFD_NAME "userfaultfd"

const char *jail_path(const struct jail *j, const char *path)
{
	static char text[2 * PATH_MAX];

	(void)snprintf(text, sizeof(text), "%s/%s/%s/root%s%s", j->base, j->name, j->opt.id,
		*path ? "/" : "", path);
	return text;
}

static int plan_canonical(const char *path, char ret[PATH_MAX], struct err *e)
{
	if (!realpath(path, ret))
		return err_set_os(e, -errno, "Failed to canonicalize path %s", path);
	return 0;
}

static int plan_exec(struct jail *j, struct err *e)
{
	const char *name;
	struct stat st;
	int rc = plan_canonical(j->opt.exec_file, j->exec_path, e);

	if (rc < 0)
		return rc;
	/* A fifo must not hold us up before it is refused. */
	j->exec_fd = open(j->exec_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (j->exec_fd < 0)
		return err_set_os(e, -errno, "Failed to open file %s", j->exec_path);
	if (fstat(j->exec_fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(
			e, -EINVAL, "%s is not a file; --exec-file wants a program", j->exec_path);
	name = strrchr(j->exec_path, '/') + 1;
	if (strlen(name) > NAME_MAX - 4 || strcmp(name, "dev") == 0 || strcmp(name, "run") == 0)
		return err_set(e, -EINVAL,
			"--exec-file: the name \"%s\" cannot be one inside of a jail; rename it",
			name);
	(void)snprintf(j->name, sizeof(j->name), "%s", name);
	return 0;
}

static int plan_base(struct jail *j, struct err *e)
{
	int rc = plan_canonical(j->opt.chroot_base, j->base, e);

	if (rc < 0)
		return err_wrap(e, "--chroot-base-dir must be there");
	j->base_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (j->base_fd >= 0 && j->base[1]) {
		int root = j->base_fd;

		j->base_fd = path_open(root, j->base + 1, O_RDONLY | O_DIRECTORY, 0);
		(void)close(root);
		if (j->base_fd < 0)
			return err_set_os(e, j->base_fd, "--chroot-base-dir: %s", j->base);
	}
	return j->base_fd < 0 ? err_set_os(e, -errno, "--chroot-base-dir: /") : 0;
}

/* The number of "userfaultfd" among the "NUMBER NAME" lines of /proc/misc; 0 if it has none. */
static int plan_uffd(struct jail *j, struct err *e)
{
	CLEANUP_FD
	int fd = openat(j->proc_fd, "misc", O_RDONLY | O_CLOEXEC);
	char text[8192];
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0
				       : err_set_os(e, -errno, "Failed to open file /proc/misc");
	n = path_read(fd, text, sizeof(text));
	if (n < 0)
		return err_set_os(e, (int)n, "/proc/misc");
	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		char *name;
		unsigned long minor = strtoul(at, &name, 10);

		name += strspn(name, " ");
		if (strcspn(name, "\n") == strlen(UFFD_NAME) &&
			memcmp(name, UFFD_NAME, strlen(UFFD_NAME)) == 0)
			j->uffd_minor = (unsigned)minor;
	}
	return 0;
}

int jail_plan(struct jail *j, struct err *e)
{
	int rc;

	j->base_fd = j->exec_fd = j->null_fd = j->proc_fd = j->netns_fd = -1;
	j->id_fd = j->root_fd = j->record_fd = -1;
	rc = plan_exec(j, e);
	if (rc == 0)
		rc = plan_base(j, e);
	if (rc < 0)
		return rc;
	j->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (j->proc_fd < 0)
		return err_set_os(e, -errno, "Failed to open file /proc; mount it");
	j->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (j->null_fd < 0)
		return err_set_os(e, -errno, "Failed to open /dev/null");
	if (j->opt.netns) {
		j->netns_fd = open(j->opt.netns, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (j->netns_fd < 0)
			return err_set_os(e, -errno, "Failed to open file %s", j->opt.netns);
	}
	rc = plan_uffd(j, e);
	return rc < 0 ? rc : cgroup_plan(j, e);
}
