/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that a role does have rules for, with arguments that no rule admits: every value that one
 * argument can take up to 4095, of an ioctl to 65535, and every bit of it by itself, with the others as a rule wants them.
 * Then some by name, for people. Nothing that a rule allows is called.
 */
#include "tests/sec/inside.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define ARGUMENTS_IOCTLS 65536UL /* all kinds and numbers, without size and direction */
#define ARGUMENTS_VALUES 4096UL
#define ARGUMENTS_BITS   64UL

bool inside_allows(enum seccomp_role role, long nr, const unsigned long args[6])
{
	size_t count;
	const struct seccomp_rule *r = seccomp_rules_get(&count);

	for (size_t i = 0; i < count; i++) {
		bool fits = r[i].role == role && r[i].nr == nr;

		for (unsigned t = 0; fits && t < r[i].term_count; t++)
			fits = (args[r[i].terms[t].index] & r[i].terms[t].mask) ==
			       r[i].terms[t].value;
		if (fits)
			return true;
	}
	return false;
}

/* One argument of a rule varies: its bits, and, if first, through all small values. */
struct arguments_sweep {
	enum seccomp_role role;
	const struct seccomp_rule *rule;
	unsigned index;
	bool first;
};

/* 0 if all were denied. */
static int arguments_vary(const void *ctx)
{
	const struct arguments_sweep *s = ctx;
	unsigned long args[6] = {0}, wanted, count;

	for (unsigned t = 0; t < s->rule->term_count; t++)
		args[s->rule->terms[t].index] |= s->rule->terms[t].value;
	wanted = args[s->index];
	count = ARGUMENTS_BITS + (!s->first                         ? 0
					 : s->rule->nr == SYS_ioctl ? ARGUMENTS_IOCTLS
								    : ARGUMENTS_VALUES);
	for (unsigned long i = 0; i < count; i++) {
		args[s->index] = i < ARGUMENTS_BITS ? wanted ^ 1UL << i : i - ARGUMENTS_BITS;
		if (!inside_allows(s->role, s->rule->nr, args) && !inside_denies(s->rule->nr, args))
			return (int)i + 1;
	}
	return 0;
}

/* Whether no rule before this one gave the same calls to the sweep of small values. */
static bool arguments_first(const struct seccomp_rule *rules, size_t at, unsigned index)
{
	for (size_t i = 0; i < at; i++)
		if (rules[i].role == rules[at].role && rules[i].nr == rules[at].nr &&
			rules[i].term_count == 1 && rules[at].term_count == 1 &&
			rules[i].terms[0].index == index)
			return false;
	return true;
}

static void arguments_sweep_all(enum seccomp_role role)
{
	size_t count;
	const struct seccomp_rule *rules = seccomp_rules_get(&count);
	char text[128] = "SIGSYS";
	bool all = true;

	for (size_t i = 0; i < count; i++)
		for (unsigned t = 0; rules[i].role == role && t < rules[i].term_count; t++) {
			const unsigned index = rules[i].terms[t].index;
			const struct arguments_sweep s = {
				role, &rules[i], index, arguments_first(rules, i, index)};
			struct inside_end end = inside_make(role, true, arguments_vary, &s);

			if (end.told && end.result == 0)
				continue;
			all = false;
			(void)snprintf(text, sizeof(text), "%s: argument %u, step %d, signal %d",
				rules[i].item, index, end.told ? end.result : 0, end.signal);
		}
	inside_tell(role, true, all, "3",
		"every call that has rules, with each argument that they check at every other "
		"small value and with each bit turned over",
		text);
}

/* None of these has a rule in any role. */
static const struct arguments_named {
	const char *tried;
	long nr;
	unsigned long args[6];
} arguments_named[] = {
	{"mmap of memory to execute", SYS_mmap,
		{0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ~0UL, 0}},
	{"mmap of memory to write and execute", SYS_mmap,
		{0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ~0UL,
			0}},
	{"mprotect of code, to write it", SYS_mprotect, {0, 4096, PROT_READ | PROT_WRITE, 0, 0, 0}},
	{"pkey_mprotect to execute", SYS_pkey_mprotect, {0, 4096, PROT_READ | PROT_EXEC, 0, 0, 0}},
	{"mremap to an address of choice", SYS_mremap,
		{0, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, 0, 0}},
	{"clone of a process", SYS_clone, {SIGCHLD, 0, 0, 0, 0, 0}},
	{"clone of a thread", SYS_clone,
		{CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, 0, 0, 0, 0, 0}},
	{"clone into a user namespace", SYS_clone, {CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0, 0}},
	{"clone3", SYS_clone3, {0, 0, 0, 0, 0, 0}},
	{"execve of the monitor", SYS_execve, {0, 0, 0, 0, 0, 0}},
	{"KVM: another VM", SYS_ioctl, {~0UL, KVM_CREATE_VM, 0, 0, 0, 0}},
	{"KVM: another vCPU", SYS_ioctl, {~0UL, KVM_CREATE_VCPU, 0, 0, 0, 0}},
	{"KVM: a device in the kernel", SYS_ioctl, {~0UL, KVM_CREATE_DEVICE, 0, 0, 0, 0}},
	{"KVM: an interrupt controller in the kernel", SYS_ioctl,
		{~0UL, KVM_CREATE_IRQCHIP, 0, 0, 0, 0}},
	{"KVM: guest debugging", SYS_ioctl, {~0UL, KVM_SET_GUEST_DEBUG, 0, 0, 0, 0}},
	{"KVM: other CPU features for the guest", SYS_ioctl, {~0UL, KVM_SET_CPUID2, 0, 0, 0, 0}},
	{"ioctl TIOCSTI: keys put into the starter's terminal", SYS_ioctl, {0, 0x5412, 0, 0, 0, 0}},
	{"ioctl TIOCLINUX: the same on a console", SYS_ioctl, {0, 0x541c, 0, 0, 0, 0}},
	{"ioctl TUNSETIFF: another tap", SYS_ioctl, {~0UL, TUNSETIFF, 0, 0, 0, 0}},
	{"fcntl F_SETOWN: signals to another process", SYS_fcntl, {0, F_SETOWN, 1, 0, 0, 0}},
	{"fcntl F_SETSIG", SYS_fcntl, {0, F_SETSIG, SIGKILL, 0, 0, 0}},
	{"prctl PR_SET_MM", SYS_prctl, {PR_SET_MM, 0, 0, 0, 0, 0}},
	{"prctl PR_SET_DUMPABLE", SYS_prctl, {PR_SET_DUMPABLE, 1, 0, 0, 0, 0}},
	{"prctl PR_SET_SPECULATION_CTRL", SYS_prctl, {PR_SET_SPECULATION_CTRL, 0, 2, 0, 0, 0}},
	{"seccomp: another filter", SYS_seccomp, {0, 0, 0, 0, 0, 0}},
	{"tgkill with SIGKILL", SYS_tgkill, {0, 0, SIGKILL, 0, 0, 0}},
	{"futex of priorities (FUTEX_LOCK_PI)", SYS_futex, {0, 6, 0, 0, 0, 0}},
	{"socket: Internet, stream", SYS_socket, {AF_INET, SOCK_STREAM, 0, 0, 0, 0}},
	{"socket: Internet, version 6", SYS_socket, {AF_INET6, SOCK_STREAM, 0, 0, 0, 0}},
	{"socket: raw packets", SYS_socket, {AF_PACKET, SOCK_RAW, 0, 0, 0, 0}},
	{"socket: netlink", SYS_socket, {AF_NETLINK, SOCK_RAW, 0, 0, 0, 0}},
	{"socket: vsock of the host", SYS_socket, {AF_VSOCK, SOCK_STREAM, 0, 0, 0, 0}},
	{"socket: crypto of the kernel", SYS_socket, {AF_ALG, SOCK_SEQPACKET, 0, 0, 0, 0}},
	{"io_uring_setup", SYS_io_uring_setup, {8, 0, 0, 0, 0, 0}},
	{"userfaultfd", SYS_userfaultfd, {0, 0, 0, 0, 0, 0}},
};

static int arguments_make(const void *ctx)
{
	const struct arguments_named *n = ctx;

	return inside_denies(n->nr, n->args) ? 0 : 1;
}

void inside_arguments(enum seccomp_role role)
{
	arguments_sweep_all(role);
	for (size_t i = 0; i < NELEM(arguments_named); i++) {
		const struct arguments_named *n = &arguments_named[i];
		const bool allowed = inside_allows(role, n->nr, n->args);
		struct inside_end end = {0};

		if (!allowed)
			end = inside_make(role, true, arguments_make, n);
		inside_tell(role, true, end.told && end.result == 0, "3", n->tried,
			allowed                       ? "has a rule"
			: end.told && end.result == 0 ? "SIGSYS"
						      : "was made");
	}
}
