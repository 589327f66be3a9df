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

/* The jail's root, in our own mount namespace, found again; it must be the folder that we made. */
static int ns_reopen_root(const struct jail *j, struct err *e)
{
	CLEANUP_FD
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_FD
	int root = here < 0 ? -errno : path_open(here, "root", O_PATH | O_DIRECTORY, 0);
	struct stat a, b;

	if (root < 0)
		return err_set_os(e, root, "Failed to open %s", jail_path(j, ""));
	if (fstat(root, &a) < 0 || fstat(j->root_fd, &b) < 0)
		return err_set_os(e, -errno, "%s", jail_path(j, ""));
	if (a.st_ino != b.st_ino || a.st_dev != b.st_dev)
		return err_set(e, -ESTALE, "%s was replaced meanwhile", jail_path(j, ""));
	return fd_take(&root);
}

/* Binds the root onto itself, with what is mounted in it, and makes that the working directory. */
static int ns_bind_root(struct jail *j, struct err *e)
{
	CLEANUP_FD
	int root = ns_reopen_root(j, e);
	CLEANUP_FD
	int tree = -1;

	if (root < 0)
		return root;
	tree = open_tree(
		root, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 || move_mount(tree, "", root, "",
				MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_set_os(e, -errno, "Failed to bind mount the jail root directory");
	if (fchdir(tree) < 0)
		return err_set_os(e, -errno, "Failed to chdir into chroot directory");
	/* Its nodes must open even if the file system says nodev; nothing in it may be set-uid. */
	if (mount(NULL, ".", NULL, MS_REMOUNT | MS_BIND | MS_NOSUID, NULL) < 0)
		return err_set_os(e, -errno, "Failed to remount the jail root directory");
	return 0;
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
	j->root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return j->root_fd < 0 ? err_set_os(e, -errno, "Failed to open the jail root") : 0;
}
