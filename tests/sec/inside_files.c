/* SPDX-License-Identifier: Apache-2.0 */
/* Attempts to reach files of the host, device nodes, and mounts. See inside.h. */
#include "tests/sec/inside.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES_FDS_MAX 65536

static int files_errno(long rc)
{
	return rc < 0 ? -errno : 0;
}

static int files_open(const char *path, int flags)
{
	return files_errno(open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600));
}

static int files_passwd(void)
{
	return files_open("/etc/passwd", O_RDONLY);
}

static int files_up(void)
{
	return files_open("/../../../../../../../../etc/passwd", O_RDONLY);
}

static int files_other_jail(void)
{
	return files_open("/../../neighbour/root/secret", O_RDONLY);
}

static int files_record(void)
{
	return files_open("/../mayfly-jail", O_RDWR);
}

static int files_proc(void)
{
	return files_open("/proc/1/environ", O_RDONLY);
}

static int files_proc_root(void)
{
	return files_open("/proc/self/root/../etc/passwd", O_RDONLY);
}

static int files_sys(void)
{
	return files_open("/sys/kernel/mm", O_RDONLY);
}

static int files_cgroup(void)
{
	return files_open("/sys/fs/cgroup/cgroup.procs", O_WRONLY);
}

static int files_symlink(void)
{
	(void)unlink("/trap");
	if (symlink("/etc/passwd", "/trap") < 0)
		return -errno;
	return files_open("/trap", O_RDONLY);
}

static int files_core(void)
{
	return files_open("/proc/sys/kernel/core_pattern", O_WRONLY);
}

/* The way out of a chroot that was not a pivot_root: a second root, and up from outside of it. */
static int files_second_root(void)
{
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || chroot("/run") < 0 || fchdir(fd) < 0)
		return -errno;
	for (int i = 0; i < 32; i++)
		(void)!chdir("..");
	return files_open("etc/passwd", O_RDONLY);
}

static int files_up_by_chdir(void)
{
	for (int i = 0; i < 32; i++)
		if (chdir("..") < 0)
			return -errno;
	return files_open("etc/passwd", O_RDONLY);
}

/* Any of the descriptors as a way to a folder: none may be one. */
static int files_folders_open(void)
{
	int last = -EBADF;

	for (int fd = 0; fd < FILES_FDS_MAX; fd++) {
		if (fchdir(fd) == 0)
			return fd;
		if (errno != EBADF)
			last = -errno;
	}
	return last;
}

/*
 * A file of the host: a block device, or a plain file that is not the disk, has a name, and is not one of
 * those that the kernel makes for its own descriptors. 0 to 2 are the
 * starter's choice, and one of them may be open twice.
 */
static int files_descriptors(void)
{
	struct stat st, good[4];
	struct statfs fs;
	bool host;

	if (stat("/disk", &good[3]) < 0)
		return -errno;
	for (int fd = 0; fd < 3; fd++)
		if (fstat(fd, &good[fd]) < 0)
			return -errno;
	for (int fd = 3; fd < FILES_FDS_MAX; fd++) {
		if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0 || fs.f_type == ANON_INODE_FS_MAGIC)
			continue;
		host = S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode) ||
		       (S_ISREG(st.st_mode) && st.st_nlink > 0);
		for (size_t i = 0; i < NELEM(good); i++)
			host = host && (st.st_ino != good[i].st_ino || st.st_dev != good[i].st_dev);
		if (host)
			return fd;
	}
	return -INSIDE_NO_EFFECT;
}

static int files_handle(void)
{
	/* Inode 2, the root of an ext4; of other file systems, garbage. */
	struct {
		struct file_handle h;
		unsigned char bytes[8];
	} handle = {.h = {.handle_bytes = 8, .handle_type = 1}, .bytes = {2}};
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : files_errno(open_by_handle_at(fd, &handle.h, O_RDONLY));
}

static int files_mknod(mode_t kind, unsigned major, unsigned minor)
{
	(void)unlink("/run/node");
	if (mknod("/run/node", kind | 0600, makedev(major, minor)) < 0)
		return -errno;
	return files_open("/run/node", O_RDWR);
}

static int files_disk(void)
{
	return files_mknod(S_IFBLK, 8, 0);
}

static int files_loop(void)
{
	return files_mknod(S_IFBLK, 7, 0);
}

static int files_mem(void)
{
	return files_mknod(S_IFCHR, 1, 1);
}

static int files_port(void)
{
	return files_mknod(S_IFCHR, 1, 4);
}

static int files_neighbours(void)
{
	static const char *const paths[] = {"/dev/mem", "/dev/kmem", "/dev/port", "/dev/sda",
		"/dev/vda", "/dev/loop0", "/dev/loop-control", "/dev/fuse", "/dev/vhost-net",
		"/dev/vhost-vsock", "/dev/vfio/vfio", "/dev/tty", "/dev/console", "/dev/kmsg",
		"/dev/mapper/control", "/dev/cpu/0/msr"};
	int rc = -ENOENT;

	for (size_t i = 0; rc == -ENOENT && i < NELEM(paths); i++)
		rc = files_open(paths[i], O_RDWR);
	return rc;
}

static int files_chown_node(void)
{
	return files_errno(chown("/dev/kvm", 0, 0));
}

static int files_chown_setuid(void)
{
	return files_errno(chown("/disk", 0, 0));
}

/* Its folder and its nodes are its own, so only the filter stands before this. */
static int files_share(void)
{
	return files_errno(chmod("/dev/kvm", 0666) < 0 ? -1 : chmod("/", 0777));
}

/* The test compares the program that the jailer copied from. */
static int files_replace(void)
{
	int fd;

	if (unlink("/mayfly-vmm") < 0 && errno != ENOENT)
		return -errno;
	fd = open("/mayfly-vmm", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	return fd < 0 || write(fd, "#!/bin/sh\n", 10) != 10 ? -errno : -INSIDE_NO_EFFECT;
}

/* What it prepares for others to run must not be run as root. */
static int files_run_setuid(void)
{
	char *argv[] = {(char *)(uintptr_t) "/suid", NULL}, *none[] = {NULL};
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		(void)execve("/suid", argv, none);
		_exit(99);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -EIO;
	return WEXITSTATUS(status) == 1 ? -INSIDE_NO_EFFECT : WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

const struct attempt inside_files[] = {
	{"open of a host's file", "5", files_passwd, NULL, {ENOENT}},
	{"open of a host's file by many ..", "5", files_up, NULL, {ENOENT}},
	{"open of a file in another VM's jail", "5", files_other_jail, NULL, {ENOENT}},
	{"open of the jail's own record", "5", files_record, NULL, {ENOENT}},
	{"open of /proc of another process", "5", files_proc, NULL, {ENOENT}},
	{"open of a file through /proc/self/root", "5", files_proc_root, NULL, {ENOENT}},
	{"open of /sys", "5", files_sys, NULL, {ENOENT}},
	{"open of a cgroup's files", "5", files_cgroup, NULL, {ENOENT}},
	{"open of the host's core_pattern", "5", files_core, NULL, {ENOENT}},
	{"a symbolic link to a host's file, opened", "5", files_symlink, NULL, {ENOENT}},
	{"a host's file by chdir to ..", "5", files_up_by_chdir, NULL, {ENOENT}},
	{"a host's file by a second chroot and fchdir", "6", files_second_root, NULL, {EPERM}},
	{"a host's folder that was left open, by fchdir on every descriptor", "5",
		files_folders_open, NULL, {ENOTDIR, EACCES}},
	{"a file of the host among the open descriptors", "5", files_descriptors,
		"only the drive's and those of the starter", {0}},
	{"open_by_handle_at of the host's root", "6", files_handle, NULL, {EPERM}},
	{"mknod of a disk", "6", files_disk, NULL, {EPERM}},
	{"mknod of a loop device", "6", files_loop, NULL, {EPERM}},
	{"mknod of /dev/mem", "6", files_mem, NULL, {EPERM}},
	{"mknod of /dev/port", "6", files_port, NULL, {EPERM}},
	{"open of other device nodes", "5", files_neighbours, NULL, {ENOENT}},
	{"chown of /dev/kvm in the jail", "6", files_chown_node, NULL, {EPERM, EINVAL}},
	{"chown of a file of its own to root", "6", files_chown_setuid, NULL, {EPERM, EINVAL}},
	{"chmod of the jail's folder and /dev/kvm, for others on the host", NULL, files_share, NULL,
		{0}},
	{"another program in the place of the monitor's", "5", files_replace, "it is a copy", {0}},
	{"execve of a set-uid program of root in the jail", "5, 6", files_run_setuid,
		"runs as the same user", {0}},
};
const size_t inside_files_count = NELEM(inside_files);

static int mounts_bind(void)
{
	return files_errno(mount("/", "/run", NULL, MS_BIND, NULL));
}

static int mounts_proc(void)
{
	return files_errno(mount("proc", "/run", "proc", 0, NULL));
}

static int mounts_remount(void)
{
	return files_errno(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
}

static int mounts_shared(void)
{
	return files_errno(mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL));
}

static int mounts_umount(void)
{
	return files_errno(umount2("/", MNT_DETACH));
}

static int mounts_open_tree(void)
{
	return files_errno(open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE));
}

static int mounts_move(void)
{
	return files_errno(move_mount(AT_FDCWD, "/", AT_FDCWD, "/run", 0));
}

static int mounts_fsopen(void)
{
	return files_errno(fsopen("proc", 0));
}

static int mounts_setattr(void)
{
	struct mount_attr a = {.attr_clr = MOUNT_ATTR_NOSUID};

	return files_errno(mount_setattr(AT_FDCWD, "/", 0, &a, sizeof(a)));
}

static int mounts_pivot(void)
{
	return files_errno(syscall(SYS_pivot_root, ".", "."));
}

static int mounts_chroot(void)
{
	return files_errno(chroot("/run"));
}

static int mounts_unshare_user(void)
{
	return files_errno(unshare(CLONE_NEWUSER));
}

static int mounts_clone_user(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return files_errno(pid);
}

static int mounts_unshare(int flags)
{
	return files_errno(unshare(flags));
}

static int mounts_unshare_ns(void)
{
	return mounts_unshare(CLONE_NEWNS);
}

static int mounts_unshare_net(void)
{
	return mounts_unshare(CLONE_NEWNET);
}

static int mounts_unshare_others(void)
{
	static const int flags[] = {
		CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP, CLONE_NEWTIME};
	int rc = 0;

	for (size_t i = 0; i < NELEM(flags); i++) {
		rc = mounts_unshare(flags[i]);
		if (rc != -EPERM)
			return rc;
	}
	return rc;
}

/* Joins all that the process has, one by one: even its own want a capability. */
static int mounts_setns(void)
{
	static const int flags[] = {CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWIPC};
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0), rc = fd;

	for (size_t i = 0; fd >= 0 && i < NELEM(flags); i++) {
		rc = files_errno(setns(fd, flags[i]));
		if (rc != -EPERM)
			return rc;
	}
	return rc;
}

static int mounts_hostname(void)
{
	return files_errno(sethostname("x", 1));
}

const struct attempt inside_mounts[] = {
	{"mount: the root bound elsewhere", "6", mounts_bind, NULL, {EPERM}},
	{"mount of /proc", "6", mounts_proc, NULL, {EPERM}},
	{"mount: the root remounted without nosuid", "6", mounts_remount, NULL, {EPERM}},
	{"mount: the root made shared", "6", mounts_shared, NULL, {EPERM}},
	{"umount of the root", "6", mounts_umount, NULL, {EPERM}},
	{"open_tree: a copy of the root", "6", mounts_open_tree, NULL, {EPERM}},
	{"move_mount of the root", "6", mounts_move, NULL, {EPERM}},
	{"fsopen of proc", "6", mounts_fsopen, NULL, {EPERM}},
	{"mount_setattr: nosuid taken off", "6", mounts_setattr, NULL, {EPERM}},
	{"pivot_root", "6", mounts_pivot, NULL, {EPERM}},
	{"chroot", "6", mounts_chroot, NULL, {EPERM}},
	{"unshare into a user namespace, for its capabilities", "5", mounts_unshare_user, NULL,
		{EPERM}},
	{"clone into a user and a mount namespace", "5", mounts_clone_user, NULL, {EPERM}},
	{"unshare into a mount namespace", "6", mounts_unshare_ns, NULL, {EPERM}},
	{"unshare into a network namespace", "6", mounts_unshare_net, NULL, {EPERM}},
	{"unshare into each other kind of namespace", "6", mounts_unshare_others, NULL, {EPERM}},
	{"setns into namespaces by a process descriptor", "6", mounts_setns, NULL, {EPERM}},
	{"sethostname", "6", mounts_hostname, NULL, {EPERM}},
};
const size_t inside_mounts_count = NELEM(inside_mounts);
