/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of our counters feed which metrics keys: one function per kind of owner. Main thread,
 * before the VM starts; the counters stay their owner's and must outlive the metrics.
 */
#pragma once

#include "virtio/blk.h"
#include "virtio/mmio.h"
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

/*
 * Of the API: groups deprecated_api, get_api_requests, put_api_requests and patch_api_requests.
 * Written by the controller; *_fails counts those of *_count that were answered with an error.
 */
struct metrics_api_get {
	uint64_t instance_info_count, machine_cfg_count, mmds_count, vmm_version_count;
	uint64_t hotplug_memory_count;
};
struct metrics_api_put {
	uint64_t actions_count, actions_fails, boot_source_count, boot_source_fails;
	uint64_t drive_count, drive_fails, logger_count, logger_fails;
	uint64_t machine_cfg_count, machine_cfg_fails, cpu_cfg_count, cpu_cfg_fails;
	uint64_t metrics_count, metrics_fails, network_count, network_fails;
	uint64_t mmds_count, mmds_fails, vsock_count, vsock_fails, pmem_count, pmem_fails;
	uint64_t serial_count, serial_fails, hotplug_memory_count, hotplug_memory_fails;
};
struct metrics_api_patch {
	uint64_t drive_count, drive_fails, network_count, network_fails;
	uint64_t machine_cfg_count, machine_cfg_fails, mmds_count, mmds_fails;
	uint64_t hotplug_memory_count, hotplug_memory_fails, pmem_count, pmem_fails;
};
struct metrics_api {
	uint64_t deprecated_http_api_calls;
	struct metrics_api_get get;
	struct metrics_api_put put;
	struct metrics_api_patch patch;
};

/* Group latencies_us: how long the last one took, as the API saw it and by the work alone. */
struct metrics_latencies {
	uint64_t full_create_snapshot, diff_create_snapshot, load_snapshot, pause_vm, resume_vm;
	uint64_t vmm_full_create_snapshot, vmm_diff_create_snapshot, vmm_load_snapshot;
	uint64_t vmm_pause_vm, vmm_resume_vm;
};

/* Group restore: the phases of loading a snapshot, from its start to a paused machine. */
struct metrics_restore {
	struct latency state_file_agg; /* reading, checking, parsing */
	struct latency memory_agg;     /* the VM up to its memory, the CPU check included */
	struct latency vcpus_agg;      /* vCPUs and devices made, and the vCPUs' state in them */
	struct latency devices_agg;    /* the devices' state in them, the clocks, the identity */
};

/* *word = microseconds since start_ns (clock_mono_ns), at least 1: clients take 0 for "never". */
void metrics_latency_set(uint64_t *word, uint64_t start_ns);

/* Group mmds; written by the metadata service. */
struct metrics_mmds {
	uint64_t rx_accepted, rx_accepted_err, rx_accepted_unusual, rx_bad_eth, rx_invalid_token;
	uint64_t rx_no_token, rx_count, tx_bytes, tx_count, tx_errors, tx_frames;
	uint64_t connections_created, connections_destroyed;
};

int metrics_add_api(struct metrics *m, const struct metrics_api *a, struct err *e) MUST_USE;
int metrics_add_latencies(
	struct metrics *m, const struct metrics_latencies *l, struct err *e) MUST_USE;
int metrics_add_restore(struct metrics *m, const struct metrics_restore *r, struct err *e) MUST_USE;
int metrics_add_mmds(struct metrics *m, const struct metrics_mmds *c, struct err *e) MUST_USE;
int metrics_add_process(struct metrics *m, const struct metrics_process *p, struct err *e) MUST_USE;

/* Also gives the drive its own group, block_ID. */
int metrics_add_blk(
	struct metrics *m, const char *id, const struct blk_counters *c, struct err *e) MUST_USE;
/* Also gives the interface its own group, net_ID. */
int metrics_add_net(
	struct metrics *m, const char *id, const struct net_counters *c, struct err *e) MUST_USE;
/* Once for each device; the group is their sum. */
int metrics_add_virtio_mmio(
	struct metrics *m, const struct virtio_mmio_counters *c, struct err *e) MUST_USE;
int metrics_add_rng(struct metrics *m, const struct rng_counters *c, struct err *e) MUST_USE;
int metrics_add_vsock(struct metrics *m, const struct vsock_counters *c, struct err *e) MUST_USE;
int metrics_add_uart(struct metrics *m, const struct uart_counters *c, struct err *e) MUST_USE;
int metrics_add_i8042(struct metrics *m, const struct i8042_counters *c, struct err *e) MUST_USE;
int metrics_add_signals(struct metrics *m, const struct signal_counters *c, struct err *e) MUST_USE;

/* Once for each vCPU; the group is their sum. */
int metrics_add_vcpu(struct metrics *m, const struct vcpu_counters *c, struct err *e) MUST_USE;
