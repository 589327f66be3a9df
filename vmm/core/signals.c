/* SPDX-License-Identifier: Apache-2.0 */
/* Signals. See signals.h. */
#include "vmm/core/signals.h"

#include "vmm/base/log.h"
#include "vmm/base/vm_end.h"
#include "vmm/core/console.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct signal_counters signal_counters;
static void (*signals_on_exit)(void);

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

/* #syscalls:* exit_group rt_sigreturn */
static void signals_on_known(int number, siginfo_t *info, void *context)
{
	static volatile sig_atomic_t again;
	int saved_errno = errno;

	(void)context;
	for (size_t i = 0; i < NELEM(signal_rows); i++) {
		const struct signal_row *row = &signal_rows[i];

		if (row->number != number)
			continue;
		counter_add(row->counter, 1);
		if (row->status == 0) {
			log_guest(LOG_ERROR, "Received signal %d, code %d.", number, info->si_code);
			break;
		}
		if (again++)
			_exit(row->status);
		log_error("Shutting down VM after intercepting signal %d, code %d.", number,
			info->si_code);
		console_restore();
		if (signals_on_exit)
			signals_on_exit();
		_exit(row->status);
	}
	errno = saved_errno;
}

/* SA_RESETHAND has put the default action back: the second time is the real one. */
static void signals_on_end(int number)
{
	/*
	 * #syscalls:* tgkill:2=SIGTERM tgkill:2=SIGINT tgkill:2=SIGQUIT tgkill:2=SIGABRT
	 * #syscalls:* gettid getpid rt_sigprocmask
	 */
	console_restore();
	(void)raise(number);
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
	sa.sa_handler = signals_on_end;
	sa.sa_flags = (int)(SA_RESETHAND | SA_NODEFER);
	for (size_t i = 0; i < NELEM(ends); i++)
		if (sigaction(ends[i], &sa, NULL) < 0)
			return err_set_os(e, -errno, "sigaction %d", ends[i]);
	return 0;
}
