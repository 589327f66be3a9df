/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a process that made a denied system call. See seccomp.h.
 *
 * The signal is synchronous: the kernel raises it in place of the call, so it never interrupts
 * code that is in the middle of something, only a libc function that is about to enter the
 * kernel. That function may hold libc's locks (malloc around brk, a FILE around write), so
 * nothing here may take one. log_line does not: it formats on the stack, and glibc's vsnprintf
 * neither locks nor allocates for the conversions used here; then it is clock_gettime and one
 * write.
 */
#include "seccomp/seccomp.h"

#include "vmm/base/log.h"
#include "vmm/base/vm_end.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static void (*violation_on_exit)(void); /* set before threads start, then constant */
static _Atomic uint64_t violation_count;
static atomic_flag violation_ended = ATOMIC_FLAG_INIT;

uint64_t seccomp_violation_count(void)
{
	return atomic_load_explicit(&violation_count, memory_order_relaxed);
}

void seccomp_violation_note(void)
{
	atomic_fetch_add_explicit(&violation_count, 1, memory_order_relaxed);
}

/* #syscalls:* write clock_gettime exit_group */
_Noreturn void seccomp_violation_end(int nr)
{
	/* The first thread to come here ends the process; a second must not cut it short. */
	if (atomic_flag_test_and_set_explicit(&violation_ended, memory_order_relaxed))
		for (;;)
			__builtin_ia32_pause();
	seccomp_violation_note();
	log_take_over();
	log_error("Shutting down VM after intercepting a bad syscall (%d).", nr);
	if (violation_on_exit)
		violation_on_exit();
	_exit(VMM_STATUS_BAD_SYSCALL);
}

static void violation_handle(int sig, siginfo_t *info, void *ctx)
{
	(void)sig;
	(void)ctx;
	/* Someone sent a SIGSYS by hand: no call was denied, but no one has business doing so. */
	if (info->si_code != SECCOMP_SI_CODE)
		_exit(VMM_STATUS_UNEXPECTED);
	seccomp_violation_end(info->si_syscall);
}

int seccomp_violation_init(void (*on_exit)(void), struct err *e)
{
	struct sigaction sa = {.sa_sigaction = violation_handle, .sa_flags = SA_SIGINFO};

	violation_on_exit = on_exit;
	(void)sigfillset(&sa.sa_mask);
	if (sigaction(SIGSYS, &sa, NULL) < 0)
		return err_set_os(e, -errno, "seccomp: cannot set the SIGSYS handler");
	return 0;
}
