/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio vsock (virtio 1.2 §5.10): stream sockets between the guest and Unix sockets of the host,
 * by Firecracker's rules (virtio/vsock_unix.h, docs/vsock.md).
 */
#pragma once

#include "virtio/device.h"
#include "virtio/vsock_muxer.h"

struct vsock_config {
	uint32_t guest_cid;   /* >= VSOCK_CID_MIN */
	const char *uds_path; /* copied */
};

/* What survives a snapshot beyond virtio_dev_state. Connections do not. */
struct vsock_state {
	uint32_t guest_cid;
	uint32_t reserved; /* zero */
};
extern const struct field_table vsock_state_table;

/*
 * Binds uds_path and makes the device; loop is the owner thread's and must outlive it. The caller
 * owns *ret and frees it by ops->destroy on that thread. The socket file stays behind.
 */
int vsock_create(struct gmem *mem, struct loop *loop, const struct vsock_config *c,
	struct virtio_dev **ret, struct err *e) MUST_USE;

/*
 * After a load: tells a live driver that its connections are gone, and holds back packets until it
 * knows. Owner thread.
 */
void vsock_transport_reset(struct virtio_dev *d);

const struct vsock_counters *vsock_counters_get(const struct virtio_dev *d);
