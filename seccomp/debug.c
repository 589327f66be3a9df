/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters that forbid nothing: a denied call is logged, then made all the same. See seccomp.h.
 *
 * The filter raises SIGSYS as ever. The handler logs, makes the call itself and puts its result
 * into the register where the interrupted code looks for it. The handler's call is not denied
 * again because the program begins with a look at the place where it is made: the one system-call
 * instruction in debug_syscall is exempt. So a filter of this kind stops nobody who knows of it.
 *
 * With a record, every call raises the signal, allowed or not. Signals are not blocked in the
 * handler: a vCPU thread spends its life in there, in KVM_RUN, and must be kicked out of it.
 */
#include "seccomp/install.h"
#include "seccomp/record.h"

#include "vmm/base/log.h"
#include "vmm/base/vm_end.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define DEBUG_PREFIX   5
#define DEBUG_CODE_MAX (DEBUG_PREFIX + SECCOMP_PROGRAM_MAX)
#define DEBUG_NR_X32   0x40000000

static struct seccomp_record *debug_record; /* or NULL; as the code set before threads start */
static struct sock_filter debug_code[SECCOMP_ROLE_COUNT][DEBUG_CODE_MAX];

/* nr and the arguments in the order of C; debug_after is where the kernel sees the call made. */
extern long debug_syscall(
	uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);
extern const char debug_after[];

__asm__(".pushsection .text\n"
	".type debug_syscall, @function\n"
	"debug_syscall:\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %rdi\n"
	"	mov %rdx, %rsi\n"
	"	mov %rcx, %rdx\n"
	"	mov %r8, %r10\n"
	"	mov %r9, %r8\n"
	"	mov 8(%rsp), %r9\n"
	"	syscall\n"
	"debug_after:\n"
	"	ret\n"
	".size debug_syscall, . - debug_syscall\n"
	".popsection\n");

/* What only the interrupted code itself could do: the handler's frame must not come between. */
static bool debug_cannot_make(unsigned arch, int nr)
{
	return arch != AUDIT_ARCH_X86_64 || (nr & DEBUG_NR_X32) != 0 || nr == SYS_clone ||
	       nr == SYS_clone3 || nr == SYS_fork || nr == SYS_vfork || nr == SYS_execve ||
	       nr == SYS_execveat || nr == SYS_rt_sigreturn;
}

/*
 * The mask that counts is the interrupted code's. It never holds SIGSYS: the kernel kills where that
 * is blocked, and libc blocks all there is around some of its calls.
 */
static long debug_sigprocmask(ucontext_t *uc, const uint64_t a[6])
{
	uint64_t now, set;

	if (a[3] != sizeof(now))
		return -EINVAL;
	memcpy(&now, &uc->uc_sigmask, sizeof(now));
	if (a[2])
		memcpy((void *)(uintptr_t)a[2], &now, sizeof(now));
	if (!a[1])
		return 0;
	memcpy(&set, (const void *)(uintptr_t)a[1], sizeof(set));
	set &= ~(1ULL << (SIGSYS - 1));
	switch ((int)a[0]) {
	case SIG_BLOCK:
		now |= set;
		break;
	case SIG_UNBLOCK:
		now &= ~set;
		break;
	case SIG_SETMASK:
		now = set;
		break;
	default:
		return -EINVAL;
	}
	memcpy(&uc->uc_sigmask, &now, sizeof(now));
	return 0;
}

static void debug_handle(int sig, siginfo_t *info, void *ctx)
{
	ucontext_t *uc = ctx;
	const greg_t *r = uc->uc_mcontext.gregs;
	const uint64_t a[6] = {(uint64_t)r[REG_RDI], (uint64_t)r[REG_RSI], (uint64_t)r[REG_RDX],
		(uint64_t)r[REG_R10], (uint64_t)r[REG_R8], (uint64_t)r[REG_R9]};
	const int nr = info->si_syscall, saved_errno = errno;
	const enum seccomp_role role = seccomp_role_get();

	(void)sig;
	if (info->si_code != SECCOMP_SI_CODE)
		_exit(VMM_STATUS_UNEXPECTED);
	if (!debug_record || !seccomp_record_call(debug_record, role, nr, a)) {
		seccomp_violation_note();
		log_guest(LOG_WARN,
			"seccomp: %s: call %d (0x%llx, 0x%llx, 0x%llx, 0x%llx, 0x%llx, 0x%llx) is "
			"denied; made all the same",
			seccomp_role_thread(role), nr, (unsigned long long)a[0],
			(unsigned long long)a[1], (unsigned long long)a[2],
			(unsigned long long)a[3], (unsigned long long)a[4],
			(unsigned long long)a[5]);
	}
	if (debug_cannot_make(info->si_arch, nr))
		seccomp_violation_end(nr);
	uc->uc_mcontext.gregs[REG_RAX] =
		nr == SYS_rt_sigprocmask
			? debug_sigprocmask(uc, a)
			: debug_syscall((uint64_t)nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	errno = saved_errno;
}

/* Calls from debug_syscall are allowed; what follows decides about the others. */
static void debug_prefix(struct sock_filter code[DEBUG_PREFIX])
{
	const uint64_t at = (uintptr_t)debug_after;
	const uint32_t low = offsetof(struct seccomp_data, instruction_pointer);
	const struct sock_filter prefix[DEBUG_PREFIX] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)at, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(at >> 32), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	memcpy(code, prefix, sizeof(prefix));
}

/* The program of a role, with every end of it as SIGSYS. */
static int debug_soften(
	enum seccomp_role role, const struct seccomp_program *p, uint16_t *ret_len, struct err *e)
{
	struct sock_filter *code = debug_code[role] + DEBUG_PREFIX;

	if (p->len > SECCOMP_PROGRAM_MAX - DEBUG_PREFIX)
		return err_set(e, -E2BIG,
			"%s: %u instructions leave no room for --seccomp-log; the most is %d",
			seccomp_role_thread(role), p->len, SECCOMP_PROGRAM_MAX - DEBUG_PREFIX);
	memcpy(code, p->code, p->len * sizeof(*code));
	for (uint32_t i = 0; i < p->len; i++) {
		uint32_t action = code[i].k & SECCOMP_RET_ACTION_FULL;

		if (code[i].code == (BPF_RET | BPF_K) &&
			(action == SECCOMP_RET_KILL_PROCESS || action == SECCOMP_RET_KILL_THREAD))
			code[i].k = SECCOMP_RET_TRAP;
	}
	*ret_len = (uint16_t)(DEBUG_PREFIX + p->len);
	return 0;
}

/* SIGSYS for all, but for what the kernel and the handler's return need. */
static void debug_catch_all(enum seccomp_role role, uint16_t *ret_len)
{
	const struct sock_filter all[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, DEBUG_NR_X32, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_restart_syscall, 2, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	memcpy(debug_code[role] + DEBUG_PREFIX, all, sizeof(all));
	*ret_len = DEBUG_PREFIX + NELEM(all);
}

int seccomp_debug_init(const char *record_path, struct err *e)
{
	struct sigaction sa = {.sa_sigaction = debug_handle, .sa_flags = SA_SIGINFO | SA_NODEFER};
	const struct seccomp_set *now = seccomp_set_get();
	struct seccomp_set s = {0};
	int rc = record_path ? seccomp_record_open(&debug_record, record_path, true, e) : 0;

	for (int i = 0; rc == 0 && i < SECCOMP_ROLE_COUNT; i++) {
		enum seccomp_role role = (enum seccomp_role)i;

		debug_prefix(debug_code[role]);
		if (record_path)
			debug_catch_all(role, &s.role[role].len);
		else
			rc = debug_soften(role, &now->role[role], &s.role[role].len, e);
		s.role[role].code = debug_code[role];
	}
	if (rc < 0)
		return rc;
	seccomp_set_use(&s);
	(void)sigemptyset(&sa.sa_mask);
	if (sigaction(SIGSYS, &sa, NULL) < 0)
		return err_set_os(e, -errno, "seccomp: cannot set the SIGSYS handler");
	return 0;
}
