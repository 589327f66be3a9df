/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces and the change of the root. All mounts are made in a mount namespace of our own, so
 * they end with its last process and need no undoing.
 */
#include "jailer/jail.h"
#include "jailer/path.h"

#include "vmm/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>

int ns_join_net(struct jail *j, struct err *e)
{
	if (j->netns_fd >= 0 && setns(j->netns_fd, CLONE_NEWNET) < 0)
		return err_set_os(
			e, -errno, "Failed to join network namespace: netns: %s", j->opt.netns);
	return 0;
}

/* The jail's root below here; it must be the folder that we made. */
static int ns_reopen_root(const struct jail *j, int here, struct err *e)
{
	CLEANUP_FD
	int root = path_open(here, "root", O_PATH | O_DIRECTORY, 0);
	struct stat a, b;

	if (root < 0)
		return err_set_os(e, root, "Failed to open %s", jail_path(j, ""));
	if (fstat(root, &a) < 0 || fstat(j->root_fd, &b) < 0)
		return err_set_os(e, -errno, "%s", jail_path(j, ""));
	if (a.st_ino != b.st_ino || a.st_dev != b.st_dev)
		return err_set(e, -ESTALE, "%s was replaced meanwhile", jail_path(j, ""));
	return fd_take(&root);
}

/* A copy of the mount that a folder is on, from there on; its descriptor. */
static int ns_copy(int fd, unsigned flags, struct err *e)
{
	int tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);

	return tree < 0 ? err_set_os(e, -errno, "Failed to bind mount the jail root directory")
			: tree;
}

/* Puts it in the place of the folder there, and makes it the working directory. */
static int ns_attach(int tree, int at, const char *name, unsigned long flags, struct err *e)
{
	if (move_mount(tree, "", at, name,
		    MOVE_MOUNT_F_EMPTY_PATH | (*name ? 0 : MOVE_MOUNT_T_EMPTY_PATH)) < 0)
		return err_set_os(e, -errno, "Failed to bind mount the jail root directory");
	if (fchdir(tree) < 0)
		return err_set_os(e, -errno, "Failed to chdir into chroot directory");
	if (mount(NULL, ".", NULL, MS_REMOUNT | MS_BIND | flags, NULL) < 0)
		return err_set_os(e, -errno, "Failed to remount the jail root directory");
	return 0;
}

/*
 * The root of the namespace is the folder around the jail's root, empty but for that and our record, and
 * for reading only; the jail's root, with what is mounted in it, is mounted in there. The monitor will be
 * one folder down (ns_enter_root). The working directory becomes the outer one.
 */
static int ns_bind_root(struct jail *j, struct err *e)
{
	CLEANUP_FD
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC); /* in our own mount namespace */
	CLEANUP_FD
	int root = -1, outer = -1, inner = -1;
	int rc;

	if (here < 0)
		return err_set_os(e, -errno, "Failed to open %s", j->opt.id);
	root = ns_reopen_root(j, here, e);
	if (root < 0)
		return root;
	inner = ns_copy(root, AT_RECURSIVE, e);
	if (inner < 0)
		return inner;
	outer = ns_copy(here, 0, e);
	if (outer < 0)
		return outer;
	rc = ns_attach(outer, here, "", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, e);
	/* Its nodes must open even if the file system says nodev; nothing in it may be set-uid. */
	if (rc == 0)
		rc = ns_attach(inner, outer, "root", MS_NOSUID, e);
	if (rc == 0 && fchdir(outer) < 0)
		rc = err_set_os(e, -errno, "Failed to chdir into chroot directory");
	return rc;
}

int ns_pivot(struct jail *j, struct err *e)
{
	int flags =
		CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | (j->opt.new_net_ns ? CLONE_NEWNET : 0);
	int rc;

	/* The working directory follows into the new namespace, open files do not. */
	if (fchdir(j->id_fd) < 0)
		return err_set_os(e, -errno, "Failed to chdir into %s", j->opt.id);
	if (unshare(flags) < 0)
		return err_set_os(e, -errno, "Failed to unshare into new mount namespace");
	if (sethostname(j->opt.id, strlen(j->opt.id)) < 0)
		return err_set_os(e, -errno, "Failed to set the host name of the jail");
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return err_set_os(e, -errno, "Failed to change the propagation type to slave");
	rc = ns_bind_root(j, e);
	if (rc < 0)
		return rc;
	/* Both at one place: the old root is then on top of the new one, and is let go. */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_set_os(e, -errno, "Failed to pivot root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_set_os(e, -errno, "Failed to unmount the old jail root");
	if (chdir("/") < 0)
		return err_set_os(e, -errno, "Failed to chdir into the jail root");
	fd_close(&j->root_fd);
	j->root_fd = open("/root", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return j->root_fd < 0 ? err_set_os(e, -errno, "Failed to open the jail root") : 0;
}

int ns_enter_root(struct jail *j, struct err *e)
{
	if (fchdir(j->root_fd) < 0 || chroot(".") < 0)
		return err_set_os(e, -errno, "Failed to chroot into the jail root");
	return 0;
}
