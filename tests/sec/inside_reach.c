/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts to reach the network, other processes and what they share; and what Landlock forbids. See
 * inside.h. The listeners and processes are those of victim.c.
 */
#include "tests/sec/inside.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define FORKS_MAX 200

static int reach_errno(long rc)
{
	return rc < 0 ? -errno : 0;
}

static int network_tcp(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)inside_order.port),
		.sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : reach_errno(connect(fd, (struct sockaddr *)&to, sizeof(to)));
}

static int network_outside(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(53),
		.sin_addr = {.s_addr = htonl(0xc0000201)}}; /* 192.0.2.1, nobody's */
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : reach_errno(connect(fd, (struct sockaddr *)&to, sizeof(to)));
}

static int network_abstract(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const size_t len = strlen(inside_order.name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memcpy(to.sun_path + 1, inside_order.name, len);
	return fd < 0 ? -errno
		      : reach_errno(connect(fd, (struct sockaddr *)&to,
				(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)));
}

static int network_packet(void)
{
	return reach_errno(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static int network_raw(void)
{
	return reach_errno(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
}

/* The answer to a change is an error message, whose code is 0 if it was made. */
static int network_netlink(void)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} ask = {.h = {.nlmsg_len = sizeof(ask),
			 .nlmsg_type = RTM_NEWLINK,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.i = {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP}};
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		unsigned char rest[256];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || send(fd, &ask, sizeof(ask), 0) < 0 ||
		recv(fd, &answer, sizeof(answer), 0) < (ssize_t)sizeof(answer.h))
		return -errno;
	return answer.h.nlmsg_type == NLMSG_ERROR ? answer.e.error : -EIO;
}

static int network_up(void)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : reach_errno(ioctl(fd, SIOCSIFFLAGS, &r));
}

static int network_tap(void)
{
	struct ifreq r = {.ifr_name = "mayfly-attack", .ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : reach_errno(ioctl(fd, TUNSETIFF, &r));
}

static int network_shm(void)
{
	return reach_errno(shmget(inside_order.key, 0, 0));
}

static int network_queue(void)
{
	char queue[sizeof(inside_order.name) + 1];

	(void)snprintf(queue, sizeof(queue), "/%s", inside_order.name);
	return reach_errno(mq_open(queue, O_RDONLY | O_NONBLOCK));
}

const struct attempt inside_network[] = {
	{"connect to a TCP listener of the host", "5", network_tcp, NULL, {ENETUNREACH}},
	{"a datagram to the outside", "5", network_outside, NULL, {ENETUNREACH}},
	{"connect to an abstract Unix socket of the host", "5", network_abstract, NULL,
		{ECONNREFUSED}},
	{"socket of raw packets", "6", network_packet, NULL, {EPERM}},
	{"socket of raw Internet packets", "6", network_raw, NULL, {EPERM}},
	{"an interface taken up by netlink", "6", network_netlink, NULL, {EPERM}},
	{"an interface taken up by ioctl", "6", network_up, NULL, {EPERM}},
	{"a tap made", "6", network_tap, NULL, {EPERM}},
	{"shared memory of the host (System V)", "5", network_shm, NULL, {ENOENT}},
	{"a message queue of the host", "5", network_queue, NULL, {ENOENT, ENOSYS}},
};
const size_t inside_network_count = NELEM(inside_network);

static int processes_kill(void)
{
	return reach_errno(kill(inside_order.pid, SIGKILL));
}

static int processes_kill_same(void)
{
	return reach_errno(kill(inside_order.same, SIGKILL));
}

static int processes_queue(void)
{
	siginfo_t info = {.si_code = SI_QUEUE};

	return reach_errno(syscall(SYS_rt_sigqueueinfo, inside_order.pid, SIGKILL, &info));
}

static int processes_pidfd(void)
{
	int fd = (int)syscall(SYS_pidfd_open, inside_order.pid, 0);

	return fd < 0 ? -errno : reach_errno(syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0));
}

static int processes_pidfd_getfd(void)
{
	int fd = (int)syscall(SYS_pidfd_open, inside_order.pid, 0);

	return fd < 0 ? -errno : reach_errno(syscall(SYS_pidfd_getfd, fd, 0, 0));
}

static int processes_attach(void)
{
	return reach_errno(ptrace(PTRACE_ATTACH, inside_order.pid, NULL, NULL));
}

static int processes_seize(void)
{
	return reach_errno(ptrace(PTRACE_SEIZE, inside_order.pid, NULL, NULL));
}

static int processes_read(void)
{
	char byte;
	struct iovec to = {&byte, 1}, from = {&byte, 1};

	return reach_errno(process_vm_readv(inside_order.pid, &to, 1, &from, 1, 0));
}

static int processes_write(void)
{
	char byte = 0;
	struct iovec from = {&byte, 1}, to = {&byte, 1};

	return reach_errno(process_vm_writev(inside_order.pid, &from, 1, &to, 1, 0));
}

static int processes_limit(void)
{
	struct rlimit l = {0};

	return reach_errno(syscall(SYS_prlimit64, inside_order.pid, RLIMIT_CORE, &l, NULL));
}

static int processes_affinity(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	return reach_errno(sched_setaffinity(inside_order.pid, sizeof(cpus), &cpus));
}

static int processes_nice(void)
{
	return reach_errno(setpriority(PRIO_PROCESS, (id_t)inside_order.pid, 19));
}

static int processes_pages(void)
{
	unsigned long nodes = 1;

	return reach_errno(syscall(SYS_migrate_pages, inside_order.pid, 64, &nodes, &nodes));
}

static int processes_compare(void)
{
	return reach_errno(syscall(SYS_kcmp, getpid(), inside_order.pid, 0, 0, 0));
}

const struct attempt inside_processes[] = {
	{"SIGKILL to a process of root", "5, 6", processes_kill, NULL, {EPERM, ESRCH}},
	{"a queued signal to a process of root", "5, 6", processes_queue, NULL, {EPERM, ESRCH}},
	{"a signal by pidfd to a process of root", "5, 6", processes_pidfd, NULL, {EPERM, ESRCH}},
	{"pidfd_getfd from a process of root", "5, 6", processes_pidfd_getfd, NULL, {EPERM, ESRCH}},
	{"ptrace: attach to a process of root", "5, 6", processes_attach, NULL, {EPERM, ESRCH}},
	{"ptrace: seize a process of root", "5, 6", processes_seize, NULL, {EPERM, ESRCH}},
	{"process_vm_readv from a process of root", "5, 6", processes_read, NULL, {EPERM, ESRCH}},
	{"process_vm_writev into a process of root", "5, 6", processes_write, NULL, {EPERM, ESRCH}},
	{"prlimit of a process of root", "5, 6", processes_limit, NULL, {EPERM, ESRCH}},
	{"sched_setaffinity of a process of root", "5, 6", processes_affinity, NULL,
		{EPERM, ESRCH}},
	{"setpriority of a process of root", "5, 6", processes_nice, NULL, {EPERM, ESRCH}},
	{"migrate_pages of a process of root", "5, 6", processes_pages, NULL,
		{EPERM, ESRCH, ENOSYS}},
	{"kcmp with a process of root", "5, 6", processes_compare, NULL, {EPERM, ESRCH, ENOSYS}},
};
const size_t inside_processes_count = NELEM(inside_processes);

/* Without a namespace of processes this is the operator's: a user of its own for each jail. */
const struct attempt inside_same[] = {
	{"SIGKILL to a process of the same user outside", "5", processes_kill_same, NULL, {ESRCH}},
};
const size_t inside_same_count = NELEM(inside_same);

/* Far more than pids.max; they end with us. */
static int forks_bomb(void)
{
	for (int i = 0; i < FORKS_MAX; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return -errno;
		if (pid == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
	}
	return 0;
}

const struct attempt inside_forks[] = {
	{"a fork bomb", "7", forks_bomb, NULL, {EAGAIN}},
};
const size_t inside_forks_count = NELEM(inside_forks);

static int landlock_open(void)
{
	return reach_errno(open("/disk", O_RDONLY | O_CLOEXEC));
}

static int landlock_kvm(void)
{
	return reach_errno(open("/dev/kvm", O_RDWR | O_CLOEXEC));
}

static int landlock_make(void)
{
	return reach_errno(open("/run/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int landlock_remove(void)
{
	return reach_errno(unlink("/suid"));
}

static int landlock_exec(void)
{
	char *argv[] = {(char *)(uintptr_t) "/suid", NULL}, *none[] = {NULL};

	return reach_errno(execve("/suid", argv, none));
}

static int landlock_list(void)
{
	return reach_errno(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int landlock_rename(void)
{
	return reach_errno(rename("/suid", "/run/suid"));
}

const struct attempt inside_landlock[] = {
	{"Landlock, in the jail: open of the drive's file", "4", landlock_open, NULL, {EACCES}},
	{"Landlock, in the jail: open of /dev/kvm", "4", landlock_kvm, NULL, {EACCES}},
	{"Landlock, in the jail: a new file", "4", landlock_make, NULL, {EACCES}},
	{"Landlock, in the jail: a file removed", "4", landlock_remove, NULL, {EACCES}},
	{"Landlock, in the jail: a file moved", "4", landlock_rename, NULL, {EACCES, EXDEV}},
	{"Landlock, in the jail: execve", "4", landlock_exec, NULL, {EACCES}},
	{"Landlock, in the jail: list of a folder", "4", landlock_list, NULL, {EACCES}},
	{"Landlock: connect to a TCP listener of the host", "4", network_tcp, NULL, {EACCES}},
	{"Landlock: connect to an abstract Unix socket of the host", "4", network_abstract, NULL,
		{EPERM}},
	{"Landlock: SIGKILL to a process of the same user outside", "4", processes_kill_same, NULL,
		{EPERM}},
};
const size_t inside_landlock_count = NELEM(inside_landlock);
