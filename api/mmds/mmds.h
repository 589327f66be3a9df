/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata service (MMDS) of a VM: what the host has put, who may ask, and the interfaces on
 * which it answers. One for the process; main thread.
 *
 *	mmds_init                      at start, before any PUT /mmds
 *	mmds_preload, mmds_store       at any time: --metadata, and PUT, PATCH, GET of /mmds
 *	mmds_configure                 before the machine is built
 *	mmds_open_interface            by machine_init, for each network interface
 */
#pragma once

#include "api/mmds/answer.h"
#include "virtio/net_divert.h"
#include "virtio/rate_limiter.h"
#include "vmm/core/metrics.h"
#include "vmm/core/vm_config.h"

/* The service on one interface. Owned by the network device. */
struct mmds_interface {
	struct net_diverter diverter; /* first */
	struct mmds *mmds;            /* borrowed */
	struct rate_timer timer;
	uint64_t armed_ns; /* when the timer fires; UINT64_MAX: it does not */
	struct stack stack;
};

/* About 210 KiB: static. */
struct mmds {
	struct store store;
	struct tokens tokens;
	struct answerer answerer;
	struct metrics_mmds counters; /* the caller registers it: metrics_add_mmds */
	uint32_t ip;
	const struct vm_config *config; /* borrowed; NULL: not configured */
};

/* size_max: --mmds-size-limit. */
void mmds_init(struct mmds *m, size_t size_max);
void mmds_fini(struct mmds *m);

/* Adopts has_mmds and what follows it; c has been checked and outlives *m. */
void mmds_configure(struct mmds *m, const struct vm_config *c);

/*
 * For machine_options.open_diverter, with the struct mmds as ctx: makes the service on an
 * interface, if that is one of those configured (otherwise *ret is NULL). The network device
 * takes it over.
 */
int mmds_open_interface(void *ctx, const char *iface_id, struct loop *loop,
	struct net_diverter **ret, struct err *e) MUST_USE;

/* --metadata: puts the content of a file. 0 or -errno with Firecracker's text. */
int mmds_preload(struct mmds *m, const char *path, struct err *e) MUST_USE;
