/* SPDX-License-Identifier: Apache-2.0 */
/* Signals. See signals.h. */
#include "vmm/core/signals.h"

#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/base/vm_end.h"
#include "vmm/core/console.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define SIGNALS_REPORT_NS                                                                          \
	(10 * CLOCK_NS_PER_S) /* the first fatal signal's report may take as long */

struct signal_counters signal_counters;
static void (*signals_on_exit)(void);
static uint64_t signals_panics;

uint64_t signals_panic_count(void)
{
	return counter_get(&signals_panics);
}

static const struct signal_row {
	int number;
	int status; /* exit status; 0: counted, and life goes on */
	uint64_t *counter;
} signal_rows[] = {
	{SIGBUS, VMM_STATUS_SIGBUS, &signal_counters.sigbus},
	{SIGSEGV, VMM_STATUS_SIGSEGV, &signal_counters.sigsegv},
	{SIGXFSZ, VMM_STATUS_SIGXFSZ, &signal_counters.sigxfsz},
	{SIGXCPU, VMM_STATUS_SIGXCPU, &signal_counters.sigxcpu},
	{SIGPIPE, 0, &signal_counters.sigpipe},
	{SIGHUP, VMM_STATUS_SIGHUP, &signal_counters.sighup},
	{SIGILL, VMM_STATUS_SIGILL, &signal_counters.sigill},
};

/*
 * Is this the first fatal signal? One in its handler ends the process at once; one on another
 * thread must not cut the first one's report short, and does not wait for it for ever: what a
 * fault left behind may keep the report from its end.
 * #syscalls:* clock_gettime
 */
static bool signals_first(void)
{
	static _Thread_local char self;
	static void *owner;
	void *nobody = NULL;

	if (__atomic_compare_exchange_n(
		    &owner, &nobody, &self, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return true;
	if (nobody == &self)
		return false;
	log_give_up();
	for (uint64_t start = clock_mono_ns(); clock_mono_ns() - start < SIGNALS_REPORT_NS;)
		__builtin_ia32_pause();
	return false;
}

/* #syscalls:* exit_group rt_sigreturn */
static void signals_on_known(int number, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	(void)context;
	for (size_t i = 0; i < NELEM(signal_rows); i++) {
		const struct signal_row *row = &signal_rows[i];

		if (row->number != number)
			continue;
		(void)__atomic_fetch_add(row->counter, 1, __ATOMIC_RELAXED);
		if (row->status == 0) {
			log_guest(LOG_ERROR, "Received signal %d, code %d.", number, info->si_code);
			break;
		}
		if (!signals_first())
			_exit(row->status);
		log_take_over();
		if (number == SIGBUS && info->si_code == BUS_ADRERR)
			log_error("A mapped file lacks the page that was used: was the memory file "
				  "of "
				  "the snapshot cut off?");
		log_error("Shutting down VM after intercepting signal %d, code %d.", number,
			info->si_code);
		console_restore();
		if (signals_on_exit)
			signals_on_exit();
		_exit(row->status);
	}
	errno = saved_errno;
}

/* abort: a broken invariant of ours, or libc's word on a smashed stack. Worth a last line too. */
static void signals_on_abort(void)
{
	if (!signals_first())
		return;
	(void)__atomic_fetch_add(&signals_panics, 1, __ATOMIC_RELAXED);
	log_take_over();
	log_error("Shutting down VM after intercepting signal %d, a fault of mayfly-vmm itself.",
		SIGABRT);
	if (signals_on_exit)
		signals_on_exit();
}

/* SA_RESETHAND has put the default action back: the second time is the real one. */
static void signals_on_end(int number)
{
	/*
	 * #syscalls:* tgkill:2=SIGTERM tgkill:2=SIGINT tgkill:2=SIGQUIT tgkill:2=SIGABRT
	 * #syscalls:* gettid getpid rt_sigprocmask
	 */
	console_restore();
	if (number == SIGABRT)
		signals_on_abort();
	(void)raise(number);
}

void signals_leave_to_supervisor(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < NELEM(numbers); i++)
		(void)sigaddset(&set, numbers[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

int signals_init(void (*on_exit)(void), struct err *e)
{
	static const int ends[] = {SIGTERM, SIGINT, SIGQUIT, SIGABRT};
	struct sigaction sa = {.sa_sigaction = signals_on_known, .sa_flags = SA_SIGINFO};

	signals_on_exit = on_exit;
	(void)sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < NELEM(signal_rows); i++)
		if (sigaction(signal_rows[i].number, &sa, NULL) < 0)
			return err_set_os(e, -errno, "sigaction %d", signal_rows[i].number);
	/* The kick of a vCPU thread; until there is one (vcpus_start), it must not end the process. */
	(void)signal(SIGRTMIN, SIG_IGN);
	sa.sa_handler = signals_on_end;
	sa.sa_flags = (int)(SA_RESETHAND | SA_NODEFER);
	for (size_t i = 0; i < NELEM(ends); i++)
		if (sigaction(ends[i], &sa, NULL) < 0)
			return err_set_os(e, -errno, "sigaction %d", ends[i]);
	return 0;
}
