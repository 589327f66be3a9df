/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor socket: how `mayfly run` talks to the monitor it started (--supervisor-fd, a
 * SOCK_SEQPACKET). One text message per packet.
 *
 *	from the monitor: "started", "panicked", "timeline <marks>", "ended <end>"
 *	to the monitor:   "power-button", "stop"; closing the socket means stop
 *
 * Threads: the main thread; supervisor_send from any.
 */
#pragma once

#include "vmm/svc/loop.h"

#define SUPERVISOR_MESSAGE_MAX 256

struct supervisor_ops {
	void (*power_button)(void *ctx);
	void (*stop)(void *ctx);
};

struct supervisor {
	int fd; /* owned; -1: there is none, and every call does nothing */
	struct loop *loop;
	struct loop_source source;
	const struct supervisor_ops *ops;
	void *ctx;
};

/* fd is checked to be a seqpacket socket and taken over. */
int supervisor_init(struct supervisor *s, int fd, struct loop *l, const struct supervisor_ops *ops,
	void *ctx, struct err *e) MUST_USE;
void supervisor_send(const struct supervisor *s, const char *text);
void supervisor_fini(struct supervisor *s);
