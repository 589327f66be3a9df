/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces of the host's kernel that mayfly uses or will use: each is tried, since a kernel
 * version or a sysctl says less than a call that works.
 */
#include "cli/doctor.h"

#include "vmm/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/landlock.h>
#include <linux/memfd.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

static void check_version(struct doctor_report *r)
{
	struct utsname u;

	(void)uname(&u);
	doctor_add(r, "host", "kernel", DOCTOR_OK, "%s %s", u.sysname, u.release);
}

static void check_tun(struct doctor_report *r)
{
	CLEANUP_FD
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct doctor_finding *f;

	if (fd >= 0) {
		doctor_add(r, "host", "tun", DOCTOR_OK, "/dev/net/tun can be opened");
		return;
	}
	f = doctor_add(r, "host", "tun", DOCTOR_WARN, "/dev/net/tun: %s; no network devices",
		strerror(errno));
	if (errno == EACCES || errno == EPERM)
		doctor_remedy(f, "as root: chmod 0666 /dev/net/tun (a tap still needs "
				 "CAP_NET_ADMIN or an owner), or have a launcher pass the tap in");
	else
		doctor_remedy(f, "load the module: modprobe tun; in a container, pass the device "
				 "in");
}

/* The VM's memory is touched by the kernel too, so user-mode-only descriptors will not do. */
static bool userfaultfd_works(const char **ret_how, int *ret_errno)
{
	CLEANUP_FD
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	CLEANUP_FD
	int dev = -1;

	*ret_how = "the system call";
	if (fd >= 0)
		return true;
	*ret_errno = errno;
	*ret_how = "/dev/userfaultfd";
	dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (dev >= 0)
		fd = ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
	return fd >= 0;
}

static void check_userfaultfd(struct doctor_report *r)
{
	struct doctor_finding *f;
	const char *how;
	int error = 0;

	if (userfaultfd_works(&how, &error)) {
		doctor_add(r, "host", "userfaultfd", DOCTOR_OK, "works, by %s", how);
		return;
	}
	f = doctor_add(r, "host", "userfaultfd", DOCTOR_WARN,
		"%s; no page-fault handlers for "
		"restored VMs",
		strerror(error));
	if (error == EPERM)
		doctor_remedy(f, "sysctl vm.unprivileged_userfaultfd=1, or (Linux 6.1) give access "
				 "to /dev/userfaultfd, or have a launcher pass the descriptor in");
	else
		doctor_remedy(f, "needs a kernel with CONFIG_USERFAULTFD");
}

static void check_io_uring(struct doctor_report *r)
{
	struct io_uring_params params = {0};
	CLEANUP_FD
	int fd = (int)syscall(SYS_io_uring_setup, 1, &params);
	struct doctor_finding *f;
	int64_t disabled = 0;

	if (fd >= 0) {
		doctor_add(r, "host", "io-uring", DOCTOR_OK, "works");
		return;
	}
	f = doctor_add(r, "host", "io-uring", DOCTOR_WARN, "%s; disks use the synchronous engine",
		strerror(errno));
	if (doctor_read_number("/proc/sys/kernel/io_uring_disabled", &disabled) && disabled)
		doctor_remedy(
			f, "sysctl kernel.io_uring_disabled=0 (it is %lld)", (long long)disabled);
	else
		doctor_remedy(f, "needs Linux 5.1 or newer, and a container's seccomp profile "
				 "that allows it");
}

static void check_memfd(struct doctor_report *r)
{
	CLEANUP_FD
	int plain = memfd_create("doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int plain_errno = errno;
	CLEANUP_FD
	int huge = memfd_create("doctor", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	int huge_errno = errno;
	struct doctor_finding *f;

	if (plain >= 0) {
		doctor_add(r, "host", "memfd", DOCTOR_OK, "works");
	} else {
		f = doctor_add(r, "host", "memfd", DOCTOR_FAIL,
			"%s; there is no guest memory "
			"without it",
			strerror(plain_errno));
		doctor_remedy(f, "needs Linux 3.17 or newer with CONFIG_MEMFD_CREATE");
	}
	if (huge >= 0) {
		doctor_add(r, "host", "memfd-huge-pages", DOCTOR_OK, "works, with 2 MiB pages");
	} else {
		f = doctor_add(r, "host", "memfd-huge-pages", DOCTOR_WARN,
			"%s; no 2 MiB pages for "
			"guests",
			strerror(huge_errno));
		doctor_remedy(f, "needs a kernel with CONFIG_HUGETLBFS (and a processor with pse)");
	}
}

/* In a child, since one cannot come back from a new namespace. */
static void check_user_namespaces(struct doctor_report *r)
{
	struct doctor_finding *f;
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) == 0 ? 0 : errno & 0x7f);
	if (pid > 0)
		(void)waitpid(pid, &status, 0);
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		doctor_add(r, "host", "user-namespaces", DOCTOR_OK, "can be made");
		return;
	}
	f = doctor_add(r, "host", "user-namespaces", DOCTOR_WARN,
		"cannot be made%s%s; jails need "
		"root",
		pid > 0 && WIFEXITED(status) ? ": " : "",
		pid > 0 && WIFEXITED(status) ? strerror(WEXITSTATUS(status)) : "");
	doctor_remedy(f, "check the sysctls user.max_user_namespaces, "
			 "kernel.unprivileged_userns_clone and "
			 "kernel.apparmor_restrict_unprivileged_userns");
}

static void check_landlock(struct doctor_report *r)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct doctor_finding *f;

	if (abi > 0) {
		f = doctor_add(r, "host", "landlock", DOCTOR_OK, "ABI %ld", abi);
		doctor_value(f, abi);
		return;
	}
	f = doctor_add(r, "host", "landlock", DOCTOR_WARN, "%s; file access is not confined by it",
		strerror(errno));
	doctor_remedy(f, "needs Linux 5.13 or newer with landlock in the list of security modules "
			 "(lsm= on the kernel command line)");
}

static void check_seccomp(struct doctor_report *r)
{
	const uint32_t kill_process = SECCOMP_RET_KILL_PROCESS;
	struct doctor_finding *f;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &kill_process) == 0) {
		doctor_add(r, "host", "seccomp", DOCTOR_OK,
			"filters that kill the process are "
			"available");
		return;
	}
	f = doctor_add(r, "host", "seccomp", DOCTOR_FAIL,
		"%s; the monitor does not run without "
		"its filters",
		strerror(errno));
	doctor_remedy(f, "needs Linux 4.14 or newer with CONFIG_SECCOMP_FILTER");
}

/* For information: mayfly's own devices need none of them. */
static void check_vhost(struct doctor_report *r)
{
	static const char *const paths[] = {"/dev/vhost-net", "/dev/vhost-vsock"};
	static const char *const ids[] = {"vhost-net", "vhost-vsock"};

	for (size_t i = 0; i < NELEM(paths); i++) {
		const char *state = "present";

		if (access(paths[i], F_OK) != 0)
			state = "absent (not needed)";
		else if (access(paths[i], R_OK | W_OK) != 0)
			state = "present, not accessible (not needed)";
		doctor_add(r, "host", ids[i], DOCTOR_OK, "%s: %s", paths[i], state);
	}
}

void doctor_check_kernel(struct doctor_report *r)
{
	check_version(r);
	check_memfd(r);
	check_seccomp(r);
	check_tun(r);
	check_userfaultfd(r);
	check_io_uring(r);
	check_user_namespaces(r);
	check_landlock(r);
	check_vhost(r);
}
