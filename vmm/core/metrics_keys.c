/* SPDX-License-Identifier: Apache-2.0 */
/* The table of metric groups and keys. See metrics_keys.h. */
#include "vmm/core/metrics_keys.h"

#define DELTA(n)                                                                                   \
	{                                                                                          \
		(n), METRICS_DELTA                                                                 \
	}
#define STORE(n)                                                                                   \
	{                                                                                          \
		(n), METRICS_STORE                                                                 \
	}
#define AGG(n)                                                                                     \
	{                                                                                          \
		(n), METRICS_AGG                                                                   \
	}

static const struct metrics_key api_server_keys[] = {
	STORE("process_startup_time_us"),
	STORE("process_startup_time_cpu_us"),
};

static const struct metrics_key balloon_keys[] = {
	DELTA("activate_fails"),
	DELTA("inflate_count"),
	DELTA("stats_updates_count"),
	DELTA("stats_update_fails"),
	DELTA("deflate_count"),
	DELTA("event_fails"),
	DELTA("free_page_report_count"),
	DELTA("free_page_report_freed"),
	DELTA("free_page_report_fails"),
	DELTA("free_page_hint_count"),
	DELTA("free_page_hint_freed"),
	DELTA("free_page_hint_fails"),
};

static const struct metrics_key block_keys[] = {
	DELTA("activate_fails"),
	DELTA("cfg_fails"),
	DELTA("no_avail_buffer"),
	DELTA("event_fails"),
	DELTA("execute_fails"),
	DELTA("invalid_reqs_count"),
	DELTA("flush_count"),
	DELTA("queue_event_count"),
	DELTA("rate_limiter_event_count"),
	DELTA("update_count"),
	DELTA("update_fails"),
	DELTA("read_bytes"),
	DELTA("write_bytes"),
	DELTA("read_count"),
	DELTA("write_count"),
	AGG("read_agg"),
	AGG("write_agg"),
	DELTA("rate_limiter_throttled_events"),
	DELTA("io_engine_throttled_events"),
	DELTA("remaining_reqs_count"),
};

static const struct metrics_key deprecated_api_keys[] = {
	DELTA("deprecated_http_api_calls"),
};

static const struct metrics_key entropy_keys[] = {
	DELTA("activate_fails"),
	DELTA("entropy_event_fails"),
	DELTA("entropy_event_count"),
	DELTA("entropy_bytes"),
	DELTA("host_rng_fails"),
	DELTA("entropy_rate_limiter_throttled"),
	DELTA("rate_limiter_event_count"),
};

static const struct metrics_key get_api_keys[] = {
	DELTA("instance_info_count"),
	DELTA("machine_cfg_count"),
	DELTA("mmds_count"),
	DELTA("vmm_version_count"),
	DELTA("hotplug_memory_count"),
};

static const struct metrics_key i8042_keys[] = {
	DELTA("error_count"),
	DELTA("missed_read_count"),
	DELTA("missed_write_count"),
	DELTA("read_count"),
	DELTA("reset_count"),
	DELTA("write_count"),
};

static const struct metrics_key interrupts_keys[] = {
	DELTA("triggers"),
	DELTA("config_updates"),
};

static const struct metrics_key latencies_keys[] = {
	STORE("full_create_snapshot"),
	STORE("diff_create_snapshot"),
	STORE("load_snapshot"),
	STORE("pause_vm"),
	STORE("resume_vm"),
	STORE("vmm_full_create_snapshot"),
	STORE("vmm_diff_create_snapshot"),
	STORE("vmm_load_snapshot"),
	STORE("vmm_pause_vm"),
	STORE("vmm_resume_vm"),
};

static const struct metrics_key logger_keys[] = {
	DELTA("missed_metrics_count"),
	DELTA("metrics_fails"),
	DELTA("missed_log_count"),
	DELTA("rate_limited_log_count"),
};

static const struct metrics_key memory_hotplug_keys[] = {
	DELTA("activate_fails"),
	DELTA("queue_event_fails"),
	DELTA("queue_event_count"),
	DELTA("plug_count"),
	DELTA("plug_bytes"),
	DELTA("plug_fails"),
	AGG("plug_agg"),
	DELTA("unplug_count"),
	DELTA("unplug_bytes"),
	DELTA("unplug_fails"),
	DELTA("unplug_discard_fails"),
	AGG("unplug_agg"),
	DELTA("state_count"),
	DELTA("state_fails"),
	AGG("state_agg"),
	DELTA("unplug_all_count"),
	DELTA("unplug_all_fails"),
	AGG("unplug_all_agg"),
};

static const struct metrics_key mmds_keys[] = {
	DELTA("rx_accepted"),
	DELTA("rx_accepted_err"),
	DELTA("rx_accepted_unusual"),
	DELTA("rx_bad_eth"),
	DELTA("rx_invalid_token"),
	DELTA("rx_no_token"),
	DELTA("rx_count"),
	DELTA("tx_bytes"),
	DELTA("tx_count"),
	DELTA("tx_errors"),
	DELTA("tx_frames"),
	DELTA("connections_created"),
	DELTA("connections_destroyed"),
};

static const struct metrics_key net_keys[] = {
	DELTA("activate_fails"),
	DELTA("cfg_fails"),
	DELTA("no_rx_avail_buffer"),
	DELTA("no_tx_avail_buffer"),
	DELTA("event_fails"),
	DELTA("rx_queue_event_count"),
	DELTA("rx_event_rate_limiter_count"),
	DELTA("rx_rate_limiter_throttled"),
	DELTA("rx_tap_event_count"),
	DELTA("rx_bytes_count"),
	DELTA("rx_packets_count"),
	DELTA("rx_fails"),
	DELTA("rx_count"),
	DELTA("tap_read_fails"),
	DELTA("tap_write_fails"),
	AGG("tap_write_agg"),
	DELTA("tx_bytes_count"),
	DELTA("tx_malformed_frames"),
	DELTA("tx_fails"),
	DELTA("tx_count"),
	DELTA("tx_packets_count"),
	DELTA("tx_queue_event_count"),
	DELTA("tx_rate_limiter_event_count"),
	DELTA("tx_rate_limiter_throttled"),
	DELTA("tx_spoofed_mac_count"),
	DELTA("tx_remaining_reqs_count"),
};

static const struct metrics_key patch_api_keys[] = {
	DELTA("drive_count"),
	DELTA("drive_fails"),
	DELTA("network_count"),
	DELTA("network_fails"),
	DELTA("machine_cfg_count"),
	DELTA("machine_cfg_fails"),
	DELTA("mmds_count"),
	DELTA("mmds_fails"),
	DELTA("hotplug_memory_count"),
	DELTA("hotplug_memory_fails"),
	DELTA("pmem_count"),
	DELTA("pmem_fails"),
};

static const struct metrics_key put_api_keys[] = {
	DELTA("actions_count"),
	DELTA("actions_fails"),
	DELTA("boot_source_count"),
	DELTA("boot_source_fails"),
	DELTA("drive_count"),
	DELTA("drive_fails"),
	DELTA("logger_count"),
	DELTA("logger_fails"),
	DELTA("machine_cfg_count"),
	DELTA("machine_cfg_fails"),
	DELTA("cpu_cfg_count"),
	DELTA("cpu_cfg_fails"),
	DELTA("metrics_count"),
	DELTA("metrics_fails"),
	DELTA("network_count"),
	DELTA("network_fails"),
	DELTA("mmds_count"),
	DELTA("mmds_fails"),
	DELTA("vsock_count"),
	DELTA("vsock_fails"),
	DELTA("pmem_count"),
	DELTA("pmem_fails"),
	DELTA("serial_count"),
	DELTA("serial_fails"),
	DELTA("hotplug_memory_count"),
	DELTA("hotplug_memory_fails"),
};

static const struct metrics_key pmem_keys[] = {
	DELTA("activate_fails"),
	DELTA("cfg_fails"),
	DELTA("event_fails"),
	DELTA("queue_event_count"),
	DELTA("rate_limiter_throttled_events"),
	DELTA("rate_limiter_event_count"),
};

static const struct metrics_key seccomp_keys[] = {
	STORE("num_faults"),
};

static const struct metrics_key signals_keys[] = {
	STORE("sigbus"),
	STORE("sigsegv"),
	STORE("sigxfsz"),
	STORE("sigxcpu"),
	DELTA("sigpipe"),
	STORE("sighup"),
	STORE("sigill"),
};

static const struct metrics_key uart_keys[] = {
	DELTA("error_count"),
	DELTA("flush_count"),
	DELTA("missed_read_count"),
	DELTA("missed_write_count"),
	DELTA("read_count"),
	DELTA("write_count"),
	DELTA("rate_limiter_dropped_bytes"),
};

static const struct metrics_key vcpu_keys[] = {
	DELTA("exit_io_in"),
	DELTA("exit_io_out"),
	DELTA("exit_mmio_read"),
	DELTA("exit_mmio_write"),
	DELTA("failures"),
	DELTA("kvmclock_ctrl_fails"),
	AGG("exit_io_in_agg"),
	AGG("exit_io_out_agg"),
	AGG("exit_mmio_read_agg"),
	AGG("exit_mmio_write_agg"),
};

static const struct metrics_key restore_keys[] = {
	AGG("state_file_agg"),
	AGG("memory_agg"),
	AGG("vcpus_agg"),
	AGG("devices_agg"),
};

static const struct metrics_key vhost_user_block_keys[] = {
	DELTA("activate_fails"),
	DELTA("cfg_fails"),
	STORE("init_time_us"),
	STORE("activate_time_us"),
	STORE("config_change_time_us"),
};

static const struct metrics_key vmm_keys[] = {
	STORE("panic_count"),
};

static const struct metrics_key vsock_keys[] = {
	DELTA("activate_fails"),
	DELTA("cfg_fails"),
	DELTA("rx_queue_event_fails"),
	DELTA("tx_queue_event_fails"),
	DELTA("ev_queue_event_fails"),
	DELTA("muxer_event_fails"),
	DELTA("conn_event_fails"),
	DELTA("rx_queue_event_count"),
	DELTA("tx_queue_event_count"),
	DELTA("rx_bytes_count"),
	DELTA("tx_bytes_count"),
	DELTA("rx_packets_count"),
	DELTA("tx_packets_count"),
	DELTA("conns_added"),
	DELTA("conns_killed"),
	DELTA("conns_removed"),
	DELTA("killq_resync"),
	DELTA("tx_flush_fails"),
	DELTA("tx_write_fails"),
	DELTA("rx_read_fails"),
};

#define GROUP(n, k)                                                                                \
	{                                                                                          \
		.name = (n), .key_count = NELEM(k), .keys = (k),                                   \
	}

const struct metrics_group metrics_groups[] = {
	GROUP("api_server", api_server_keys),
	GROUP("balloon", balloon_keys),
	GROUP("block", block_keys),
	GROUP("deprecated_api", deprecated_api_keys),
	GROUP("entropy", entropy_keys),
	GROUP("get_api_requests", get_api_keys),
	GROUP("i8042", i8042_keys),
	GROUP("interrupts", interrupts_keys),
	GROUP("latencies_us", latencies_keys),
	GROUP("logger", logger_keys),
	GROUP("memory_hotplug", memory_hotplug_keys),
	GROUP("mmds", mmds_keys),
	GROUP("net", net_keys),
	GROUP("patch_api_requests", patch_api_keys),
	GROUP("pmem", pmem_keys),
	GROUP("put_api_requests", put_api_keys),
	{
		.name = "restore",
		.page_only = true,
		.key_count = NELEM(restore_keys),
		.keys = restore_keys,
	},
	GROUP("seccomp", seccomp_keys),
	GROUP("signals", signals_keys),
	GROUP("uart", uart_keys),
	GROUP("vcpu", vcpu_keys),
	{
		.name = "vhost_user_block",
		.instances_only = true,
		.key_count = NELEM(vhost_user_block_keys),
		.keys = vhost_user_block_keys,
	},
	GROUP("vmm", vmm_keys),
	GROUP("vsock", vsock_keys),
};
const uint32_t metrics_group_count = NELEM(metrics_groups);
