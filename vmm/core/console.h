/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console: standard input and output joined to the UART. A terminal on standard input is put
 * into raw mode and restored on every way out of the process, signals included. Output is never
 * waited for, and the flags of descriptors shared with other processes are never changed: a
 * terminal or pipe is opened anew for a description of our own.
 *
 * Threads: the main thread; console_restore from any thread and from signal handlers.
 */
#pragma once

#include "virtio/rate_limiter.h"
#include "vmm/legacy/uart.h"
#include "vmm/svc/loop.h"

struct console {
	struct uart *uart; /* borrowed */
	struct loop *loop; /* borrowed */
	int in_fd;         /* borrowed: standard input, or -1 at its end */
	int out_fd;        /* owned */
	int kick_fd;       /* owned eventfd: the UART has output waiting, or room for input */
	bool in_pollable, in_watched, out_watched;
	struct loop_source in, out, kick;
	/* What the guest may print; under the UART's lock. */
	struct rate_limiter_state limiter_state;
	struct rate_limiter limiter;
};

struct console_config {
	const char *out_path; /* a file or fifo instead of standard output; or NULL */
	const struct token_bucket_config *limiter; /* in bytes; borrowed for the call, or NULL */
};

/* Opens descriptors. out_fd and kick_fd are then for uart_init. Before any other thread. */
int console_init(struct console *c, const struct console_config *o, struct err *e) MUST_USE;
/* Joins the UART and starts to watch. raw: put a terminal on standard input into raw mode. */
int console_start(
	struct console *c, struct uart *u, struct loop *l, bool raw, struct err *e) MUST_USE;
/* Writes what output is left, waiting for a reader at most a moment. */
void console_drain(struct console *c);
void console_fini(struct console *c);

/* Puts the terminal back as it was. Idempotent; async-signal-safe. */
void console_restore(void);
