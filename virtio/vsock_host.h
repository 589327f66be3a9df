/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the muxer that deals with one connection's socket: opening, writing what the guest
 * sent, closing. For vsock_muxer.c only.
 */
#pragma once

#include "virtio/vsock_muxer.h"

/* The muxer a slot belongs to. */
struct vsock_muxer *vsock_host_muxer(struct vsock_slot *s);

/* A slot for an open socket, watched; NULL: table or loop are full, and the socket is closed. */
struct vsock_slot *vsock_host_add(struct vsock_muxer *m, int fd);

/* Ends a connection; the guest knows, or is gone. */
void vsock_host_remove(struct vsock_muxer *m, struct vsock_slot *s);

/* Ends it from our side: the socket at once, the slot when the guest has its RST. */
void vsock_host_kill(struct vsock_muxer *m, struct vsock_slot *s);

/* Writes what waits in the slot's buffer, as far as the socket takes it. */
void vsock_host_flush(struct vsock_muxer *m, struct vsock_slot *s);

/* The connection has VSOCK_TIMEOUT_NS from now. */
void vsock_host_arm(struct vsock_muxer *m, struct vsock_slot *s);
void vsock_host_set_timer(struct vsock_muxer *m, uint64_t deadline_ns);
