/* SPDX-License-Identifier: Apache-2.0 */
/* The jail's device nodes, the monitor's own. */
#include "jailer/jail.h"
#include "jailer/path.h"

#include "vmm/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>

struct dev_row {
	const char *dir, *name, *path;
	unsigned major, minor; /* minor 0: the host's userfaultfd, if it has one */
	bool optional;
};

static const struct dev_row dev_rows[JAIL_NODE_COUNT] = {
	[JAIL_TUN] = {"dev/net", "tun", "/dev/net/tun", 10, 200, false},
	[JAIL_KVM] = {"dev", "kvm", "/dev/kvm", 10, 232, false},
	[JAIL_URANDOM] = {"dev", "urandom", "/dev/urandom", 1, 9, true},
	[JAIL_UFFD] = {"dev", "userfaultfd", "/dev/userfaultfd", 10, 0, false},
};

/*
 * The node goes to the monitor by a descriptor, and only if it is what was just made: a name may
 * by then be that of another file, a hard link into the host.
 */
static int dev_give(
	const struct jail *j, int dir, const struct dev_row *r, dev_t dev, struct err *e)
{
	CLEANUP_FD
	int fd = path_open(dir, r->name, O_PATH | O_NOFOLLOW, 0);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set_os(e, fd < 0 ? fd : -errno, "Failed to open %s", r->path);
	if (!S_ISCHR(st.st_mode) || st.st_rdev != dev || st.st_nlink != 1)
		return err_set(e, -ESTALE, "%s was replaced meanwhile; end whoever writes to %s",
			r->path, jail_path(j, ""));
	if (fchownat(fd, "", j->opt.uid, j->opt.gid, AT_EMPTY_PATH) < 0)
		return err_set_os(e, -errno, "Failed to change owner for %s", r->path);
	return 0;
}

static int dev_make_one(struct jail *j, enum jail_node which, struct err *e)
{
	const struct dev_row *r = &dev_rows[which];
	dev_t dev = makedev(r->major, r->minor ? r->minor : j->uffd_minor);
	CLEANUP_FD
	int dir = path_open(j->root_fd, r->dir, O_RDONLY | O_DIRECTORY, 0);

	if (dir < 0)
		return err_set_os(e, dir, "Failed to open %s", r->dir);
	j->made_nodes[which] = true;
	if (mknodat(dir, r->name, S_IFCHR | 0600, dev) < 0) {
		int rc = -errno;

		j->made_nodes[which] = false;
		return err_set_os(e, rc, "Failed to create %s via mknod inside the jail", r->path);
	}
	return dev_give(j, dir, r, dev, e);
}

int dev_make(struct jail *j, struct err *e)
{
	for (int i = 0; i < JAIL_NODE_COUNT; i++) {
		int rc;

		if (!dev_rows[i].minor && !j->uffd_minor)
			continue;
		rc = dev_make_one(j, (enum jail_node)i, e);
		if (rc < 0 && dev_rows[i].optional)
			(void)fprintf(stderr, "mayfly-jailer: warning: %s\n", e->msg);
		else if (rc < 0)
			return rc;
	}
	return 0;
}

void dev_undo(struct jail *j)
{
	for (int i = 0; i < JAIL_NODE_COUNT; i++) {
		char path[2 * PATH_MAX];
		CLEANUP_FD
		int dir = -1;

		if (!j->made_nodes[i])
			continue;
		(void)snprintf(
			path, sizeof(path), "%s/%s/root/%s", j->name, j->opt.id, dev_rows[i].dir);
		dir = path_open(j->base_fd, path, O_RDONLY | O_DIRECTORY, 0);
		if (dir >= 0)
			(void)unlinkat(dir, dev_rows[i].name, 0);
	}
}
