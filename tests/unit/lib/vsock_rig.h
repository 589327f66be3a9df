/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vsock device with its three queues, a guest driver that speaks packets, a socket path of its
 * own, and an event loop that the test turns by hand.
 */
#pragma once

#include "tests/unit/lib/driver.h"
#include "virtio/vsock.h"
#include "vmm/svc/loop.h"

#define RIG_CID      42u
#define RIG_QUEUE    64u
#define RIG_RX_SIZE  1024u /* payload that a receive buffer holds */
#define RIG_RX_COUNT 32u
#define RIG_TX_MAX   0x11000u

enum { RIG_RX, RIG_TX, RIG_EVENT };

struct vsock_rig {
	struct driver drv;
	struct loop loop;
	struct virtio_dev *dev; /* owned */
	char dir[64], path[96];
	struct rig_ring {
		uint64_t desc, avail, used;
		uint16_t avail_idx, used_seen;
	} ring[3];
	uint64_t rx_at, tx_at; /* buffers in guest memory */
	uint32_t rx_size;      /* of the buffers that are posted */
	bool hold_rx;          /* do not give a buffer back when its packet was taken */
	bool plain;            /* the next vsock_rig_start is without EVENT_IDX */
	unsigned kicks_seen;
	unsigned events; /* that the last vsock_rig_turn dispatched */
};

/* A live device with RIG_RX_COUNT receive buffers. */
void vsock_rig_init(struct vsock_rig *r);
void vsock_rig_fini(struct vsock_rig *r);
/* Resets the device and brings it up again, with that many receive buffers. */
void vsock_rig_start(struct vsock_rig *r, uint32_t rx_count);

/* One more receive buffer, of that many bytes in all; the device is not told. */
void vsock_rig_post(struct vsock_rig *r, uint32_t slot, uint32_t len);

/* Works off events and kicks until there are none. */
void vsock_rig_turn(struct vsock_rig *r);

/* A packet from the guest; addresses, type and len are filled in. With notify. */
void vsock_rig_send(struct vsock_rig *r, uint16_t op, uint32_t guest_port, uint32_t host_port,
	const void *data, uint32_t len);
/* The same, every byte of the header the test's; len bytes behind it. */
void vsock_rig_send_raw(
	struct vsock_rig *r, const struct vsock_hdr *h, const void *data, uint32_t len);
/* The same with room of its own, and the device is not told yet. */
void vsock_rig_offer(
	struct vsock_rig *r, const struct vsock_hdr *h, const void *data, uint32_t len);
struct vsock_hdr vsock_rig_hdr(uint16_t op, uint32_t guest_port, uint32_t host_port);

/* The next packet for the guest, if there is one; its payload at *ret_data. */
bool vsock_rig_recv(struct vsock_rig *r, struct vsock_hdr *ret, const unsigned char **ret_data);
/* The next packet, which must have this op. */
struct vsock_hdr vsock_rig_expect(struct vsock_rig *r, uint16_t op);
/* There is no packet for the guest. */
void vsock_rig_expect_none(struct vsock_rig *r);

/* The host's side. Blocking sockets with a time-out of 2 s for reading. */
int vsock_rig_connect(struct vsock_rig *r);
int vsock_rig_listen(struct vsock_rig *r, uint32_t port);
/* A client that says CONNECT guest_port, accepted by the guest. Its fd; *ret_port: the local port. */
int vsock_rig_open(struct vsock_rig *r, uint32_t guest_port, uint32_t *ret_port);
/* A connection from the guest to a listener of the host; the host's end. */
int vsock_rig_open_guest(struct vsock_rig *r, uint32_t guest_port, uint32_t host_port);
/* The guest sends while it has credit and the host does not read; how many bytes that was. */
uint32_t vsock_rig_fill(struct vsock_rig *r, uint32_t guest_port, uint32_t host_port);
/* Byte i of what vsock_rig_fill sends. */
unsigned char rig_pattern(uint32_t i);
/* The inside of the device. */
struct vsock_muxer *vsock_rig_muxer(struct vsock_rig *r);
struct vsock_table *vsock_rig_table(struct vsock_rig *r);
const struct vsock_counters *vsock_rig_counters(const struct vsock_rig *r);
/* True if nothing but the end of file is to be read; consumes nothing otherwise. */
bool rig_at_end(int fd);
void rig_expect_bytes(int fd, const void *data, size_t len);
