/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service inside the monitor that a network device hands some of its frames to, instead of to
 * its back end, and whose frames reach the guest between those of the back end. The device knows
 * nothing else of it. All calls are the device's owner thread's; those down to ops are made with the
 * device's lock held, and must not call back.
 */
#pragma once

#include "vmm/base/compiler.h"

/* Enough of a frame to decide by: Ethernet with a whole ARP packet. */
#define NET_DIVERT_HEAD 42u
/* Longer frames for the service are swallowed. */
#define NET_DIVERT_FRAME_MAX 4096u
/* What rx may give at once: a full frame of a usual MTU. */
#define NET_DIVERT_RX_MAX 1514u

struct net_diverter;

struct net_diverter_ops {
	/*
	 * Whether a frame of the guest is the service's, by its first len bytes (at most
	 * NET_DIVERT_HEAD; fewer if the frame is no longer).
	 */
	bool (*wants)(struct net_diverter *d, const void *head, size_t len);
	/*
	 * Takes such a frame, whole. csum_partial: the driver left the checksum of the transport
	 * layer undone. Answers wait for rx.
	 */
	void (*tx)(struct net_diverter *d, const void *frame, size_t len, bool csum_partial);
	/* A frame of the service was too long to be taken. */
	void (*tx_dropped)(struct net_diverter *d);
	/* The next frame for the guest, into buf of NET_DIVERT_RX_MAX bytes; 0: there is none. */
	size_t (*rx)(struct net_diverter *d, void *buf);
	/* The device ends. */
	void (*close)(struct net_diverter *d);
};

struct net_diverter {
	const struct net_diverter_ops *ops;
	/*
	 * Set by the device: frames wait that no tx call brought about (a timer did). Not from
	 * within ops.
	 */
	void (*kick)(void *ctx);
	void *kick_ctx;
};
struct loop;
struct err;

/*
 * How a device that is being made gets its service: *ret is NULL if the interface has none, and
 * otherwise its device's to close. Timers of the service are on loop.
 */
typedef int (*net_diverter_open)(void *ctx, const char *iface_id, struct loop *loop,
	struct net_diverter **ret, struct err *e);
