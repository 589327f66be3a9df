/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What signals do to the monitor: fatal ones log one line, put the terminal back, write the last
 * metrics and exit with their documented status (Firecracker's); SIGPIPE is counted; SIGTERM and
 * SIGINT end the process by their default action, after the terminal is back.
 */
#pragma once

#include "vmm/base/err.h"

struct signal_counters { /* Firecracker's group "signals" */
	uint64_t sigbus, sigsegv, sigxfsz, sigxcpu, sigpipe, sighup, sigill;
};
extern struct signal_counters signal_counters; /* handlers write, any thread reads */

/* Aborts of the process, for vmm.panic_count: 0 or 1. Any thread; async-signal-safe. */
uint64_t signals_panic_count(void);

/*
 * Blocks what a terminal or a service manager sends to a supervisor and to us at once: SIGINT, SIGTERM, SIGHUP,
 * SIGQUIT. Whether we end is the supervisor's to say. Main thread, before there are others.
 */
void signals_leave_to_supervisor(void);

/* on_exit: called once on a fatal signal; async-signal-safe or NULL. Main thread, before any other. */
int signals_init(void (*on_exit)(void), struct err *e) MUST_USE;
