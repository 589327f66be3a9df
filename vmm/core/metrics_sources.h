/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of our counters feed which metrics keys: one function per kind of owner. Main thread,
 * before the VM starts; the counters stay their owner's and must outlive the metrics.
 */
#pragma once

#include "virtio/blk.h"
#include "virtio/net.h"
#include "virtio/rng.h"
#include "virtio/vsock.h"
#include "vmm/core/metrics.h"
#include "vmm/core/signals.h"
#include "vmm/core/vcpu.h"
#include "vmm/legacy/i8042.h"
#include "vmm/legacy/uart.h"

/* Of the process: groups api_server, seccomp and vmm. Written by main.c and its handlers. */
struct metrics_process {
	uint64_t process_startup_time_us, process_startup_time_cpu_us;
	uint64_t num_faults;
	uint64_t panic_count;
};

int metrics_add_process(struct metrics *m, const struct metrics_process *p, struct err *e) MUST_USE;

/* Also gives the drive its own group, block_ID. */
int metrics_add_blk(
	struct metrics *m, const char *id, const struct blk_counters *c, struct err *e) MUST_USE;
/* Also gives the interface its own group, net_ID. */
int metrics_add_net(
	struct metrics *m, const char *id, const struct net_counters *c, struct err *e) MUST_USE;
int metrics_add_rng(struct metrics *m, const struct rng_counters *c, struct err *e) MUST_USE;
int metrics_add_vsock(struct metrics *m, const struct vsock_counters *c, struct err *e) MUST_USE;
int metrics_add_uart(struct metrics *m, const struct uart_counters *c, struct err *e) MUST_USE;
int metrics_add_i8042(struct metrics *m, const struct i8042_counters *c, struct err *e) MUST_USE;
int metrics_add_signals(struct metrics *m, const struct signal_counters *c, struct err *e) MUST_USE;

/* Once for each vCPU; the group is their sum. */
int metrics_add_vcpu(struct metrics *m, const struct vcpu_counters *c, struct err *e) MUST_USE;
