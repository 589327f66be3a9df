/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic with a host that sends everything back, across snapshots: a frame or a connection may be
 * lost with the monitor that had it, what arrives must be what was sent. Nothing here waits for the host.
 */
#pragma once

#include "net.h"
#include "vsock.h"

struct talk_net {
	struct net net;
	uint64_t sent, back;
	bool on;
};

struct talk_vsock {
	struct vsock sock;
	uint64_t bytes, connections; /* come back; made */
	uint32_t event;              /* the device's last event */
	uint32_t port;               /* ours; another for each connection */
	uint32_t sent, seen;         /* of this connection, in bytes */
	uint32_t host_buf_alloc, host_fwd_cnt;
	enum { TALK_CLOSED, TALK_ASKED, TALK_OPEN } state;
	bool on;
};

/* Off if there is no such device. */
void talk_net_start(struct talk_net *t);
void talk_vsock_start(struct talk_vsock *t);
/* Takes what has come, and sends as much again. */
void talk_net_turn(struct talk_net *t);
void talk_vsock_turn(struct talk_vsock *t);
