/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the line for a broken invariant. */
#include "vmm/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* #syscalls:* write gettid getpid tgkill:2=SIGABRT rt_sigprocmask */
_Noreturn void check_failed(const char *what, const char *file, int line)
{
	char msg[256];
	int n = snprintf(
		msg, sizeof(msg), "mayfly: bug: CHECK(%s) failed at %s:%d\n", what, file, line);

	if (n > 0)
		(void)!write(
			STDERR_FILENO, msg, (size_t)n < sizeof(msg) ? (size_t)n : sizeof(msg) - 1);
	abort();
}
