/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts on what belongs to the whole host, and on the process's own credentials. See inside.h. Each is
 * chosen so that a success would do little harm, and is seen.
 */
#include "tests/sec/inside.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/reboot.h>
#include <linux/securebits.h>
#include <sched.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/io.h>
#include <sys/klog.h>
#include <sys/prctl.h>
#include <sys/quota.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static int kernel_errno(long rc)
{
	return rc < 0 ? -errno : 0;
}

static int kernel_bpf(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K}, {.code = BPF_JMP | BPF_EXIT}};
	union bpf_attr a = {.prog_type = BPF_PROG_TYPE_KPROBE,
		.insns = (uintptr_t)insns,
		.insn_cnt = 2,
		.license = (uintptr_t) "GPL"};

	return kernel_errno(syscall(SYS_bpf, BPF_PROG_LOAD, &a, sizeof(a)));
}

/* All that the CPU does, whoever does it. */
static int kernel_perf(void)
{
	struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(a),
		.config = PERF_COUNT_SW_CONTEXT_SWITCHES};

	return kernel_errno(syscall(SYS_perf_event_open, &a, -1, 0, -1, 0));
}

/* The starter's keys: t-inside.sh puts one into its session keyring. */
static int kernel_keys(void)
{
	return kernel_errno(syscall(
		SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", "mayfly-secret", 0));
}

static int kernel_module(void)
{
	return kernel_errno(syscall(SYS_init_module, "", 0UL, ""));
}

static int kernel_module_file(void)
{
	return kernel_errno(syscall(SYS_finit_module, 0, "", 0));
}

static int kernel_module_delete(void)
{
	return kernel_errno(syscall(SYS_delete_module, "no_such_module", O_NONBLOCK));
}

static int kernel_kexec(void)
{
	return kernel_errno(syscall(SYS_kexec_load, 0UL, 0UL, NULL, 0UL));
}

static int kernel_reboot(void)
{
	return kernel_errno(syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		LINUX_REBOOT_CMD_CAD_OFF, NULL));
}

static int kernel_time(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return kernel_errno(clock_settime(CLOCK_REALTIME, &now));
}

static int kernel_time_of_day(void)
{
	struct timeval now;

	(void)gettimeofday(&now, NULL);
	return kernel_errno(syscall(SYS_settimeofday, &now, NULL));
}

static int kernel_time_adjust(void)
{
	struct timex t = {.modes = ADJ_STATUS};

	return kernel_errno(adjtimex(&t));
}

static int kernel_swap(void)
{
	return kernel_errno(swapon("/disk", 0));
}

static int kernel_swap_off(void)
{
	return kernel_errno(swapoff("/disk"));
}

static int kernel_account(void)
{
	return kernel_errno(syscall(SYS_acct, "/disk"));
}

static int kernel_quota(void)
{
	return kernel_errno(syscall(SYS_quotactl, QCMD(Q_QUOTAON, USRQUOTA), "/disk", 0, "/disk"));
}

static int kernel_log(void)
{
	return kernel_errno(klogctl(5, NULL, 0)); /* SYSLOG_ACTION_CLEAR */
}

static int kernel_iopl(void)
{
	return kernel_errno(iopl(3));
}

static int kernel_ioperm(void)
{
	return kernel_errno(ioperm(0x70, 2, 1));
}

static int kernel_fanotify(void)
{
	return kernel_errno(syscall(SYS_fanotify_init, 0x0c /* FAN_CLASS_PRE_CONTENT */, O_RDONLY));
}

static int kernel_realtime(void)
{
	struct sched_param p = {.sched_priority = 99};

	return kernel_errno(sched_setscheduler(0, SCHED_FIFO, &p));
}

static int kernel_nice(void)
{
	return kernel_errno(setpriority(PRIO_PROCESS, 0, -20));
}

static int kernel_io_priority(void)
{
	return kernel_errno(syscall(SYS_ioprio_set, 1, 0, 1 << 13)); /* real time, for itself */
}

static int kernel_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return -errno;
	l.rlim_max++;
	return kernel_errno(setrlimit(RLIMIT_NOFILE, &l));
}

const struct attempt inside_kernel[] = {
	{"bpf: a program in the kernel", "6", kernel_bpf, NULL, {EPERM, ENOSYS}},
	{"perf_event_open: all that a CPU of the host does", "6", kernel_perf, NULL,
		{EPERM, EACCES, ENOSYS}},
	{"keyctl: a key of the starter's session", "5", kernel_keys, NULL, {ENOKEY, ENOSYS}},
	{"init_module", "6", kernel_module, NULL, {EPERM, ENOSYS}},
	{"finit_module", "6", kernel_module_file, NULL, {EPERM, ENOSYS}},
	{"delete_module", "6", kernel_module_delete, NULL, {EPERM, ENOSYS}},
	{"kexec_load", "6", kernel_kexec, NULL, {EPERM, ENOSYS}},
	{"reboot", "6", kernel_reboot, NULL, {EPERM}},
	{"clock_settime of the host", "6", kernel_time, NULL, {EPERM}},
	{"settimeofday of the host", "6", kernel_time_of_day, NULL, {EPERM}},
	{"adjtimex of the host", "6", kernel_time_adjust, NULL, {EPERM}},
	{"swapon", "6", kernel_swap, NULL, {EPERM, ENOSYS}},
	{"swapoff", "6", kernel_swap_off, NULL, {EPERM, ENOSYS}},
	{"acct: process accounting into a file", "6", kernel_account, NULL, {EPERM, ENOSYS}},
	{"quotactl: quotas on", "6", kernel_quota, NULL, {EPERM, ENOTBLK, ENOSYS}},
	{"syslog: the kernel's log cleared", "6", kernel_log, NULL, {EPERM}},
	{"iopl", "6", kernel_iopl, NULL, {EPERM, ENOSYS}},
	{"ioperm", "6", kernel_ioperm, NULL, {EPERM, ENOSYS}},
	{"fanotify_init: a say in all opening of files", "6", kernel_fanotify, NULL,
		{EPERM, ENOSYS}},
	{"sched_setscheduler: real time", "6", kernel_realtime, NULL, {EPERM}},
	{"setpriority -20", "6", kernel_nice, NULL, {EACCES, EPERM}},
	{"ioprio_set: real time", "6", kernel_io_priority, NULL, {EPERM}},
	{"setrlimit above the hard limit", "7", kernel_limit, NULL, {EPERM}},
};
const size_t inside_kernel_count = NELEM(inside_kernel);

static int credentials_setuid(void)
{
	return kernel_errno(setuid(0));
}

static int credentials_setresuid(void)
{
	return kernel_errno(syscall(SYS_setresuid, -1, 0, -1));
}

static int credentials_setgid(void)
{
	return kernel_errno(setgid(0));
}

static int credentials_setgroups(void)
{
	static const gid_t groups[] = {0};

	return kernel_errno(syscall(SYS_setgroups, 1, groups));
}

/* It tells no failure: asked again, it tells what is. */
static int credentials_setfsuid(void)
{
	(void)setfsuid(0);
	return setfsuid((uid_t)-1) == 0 ? 0 : -INSIDE_NO_EFFECT;
}

static int credentials_capset(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {{~0U, ~0U, ~0U}, {~0U, ~0U, ~0U}};

	return kernel_errno(syscall(SYS_capset, &h, d));
}

static int credentials_ambient(void)
{
	return kernel_errno(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0));
}

static int credentials_securebits(void)
{
	return kernel_errno(prctl(PR_SET_SECUREBITS, 0, 0, 0, 0));
}

static int credentials_new_privs(void)
{
	return kernel_errno(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

const struct attempt inside_credentials[] = {
	{"setuid to root", "6", credentials_setuid, NULL, {EPERM, EINVAL}},
	{"setresuid to root", "6", credentials_setresuid, NULL, {EPERM, EINVAL}},
	{"setgid to root", "6", credentials_setgid, NULL, {EPERM, EINVAL}},
	{"setgroups to root's", "6", credentials_setgroups, NULL, {EPERM, EINVAL}},
	{"setfsuid to root", "6", credentials_setfsuid, "in vain", {0}},
	{"capset of all capabilities", "6", credentials_capset, NULL, {EPERM}},
	{"prctl: an ambient capability", "6", credentials_ambient, NULL, {EPERM}},
	{"prctl: root's privileges unlocked", "6", credentials_securebits, NULL, {EPERM}},
	{"prctl: no_new_privs taken back", "6", credentials_new_privs, NULL, {EINVAL}},
};
const size_t inside_credentials_count = NELEM(inside_credentials);
