/* SPDX-License-Identifier: Apache-2.0 */
/* Tables from counters to metrics keys. See metrics_sources.h. */
#include "vmm/core/metrics_sources.h"

static const struct metrics_field api_server_fields[] = {
	METRICS_FIELD(struct metrics_process, process_startup_time_us),
	METRICS_FIELD(struct metrics_process, process_startup_time_cpu_us),
};

static const struct metrics_field seccomp_fields[] = {
	METRICS_FIELD(struct metrics_process, num_faults),
};

static const struct metrics_field vmm_fields[] = {
	METRICS_FIELD(struct metrics_process, panic_count),
};

int metrics_add_process(struct metrics *m, const struct metrics_process *p, struct err *e)
{
	int rc = metrics_register(
		m, "api_server", NULL, api_server_fields, NELEM(api_server_fields), p, e);

	if (rc == 0)
		rc = metrics_register(
			m, "seccomp", NULL, seccomp_fields, NELEM(seccomp_fields), p, e);
	return rc == 0 ? metrics_register(m, "vmm", NULL, vmm_fields, NELEM(vmm_fields), p, e) : rc;
}

static const struct metrics_field blk_fields[] = {
	METRICS_FIELD(struct blk_counters, activate_fails),
	METRICS_FIELD(struct blk_counters, cfg_fails),
	METRICS_FIELD(struct blk_counters, no_avail_buffer),
	METRICS_FIELD(struct blk_counters, event_fails),
	METRICS_FIELD(struct blk_counters, execute_fails),
	METRICS_FIELD(struct blk_counters, invalid_reqs_count),
	METRICS_FIELD(struct blk_counters, flush_count),
	METRICS_FIELD(struct blk_counters, queue_event_count),
	METRICS_FIELD(struct blk_counters, rate_limiter_event_count),
	METRICS_FIELD(struct blk_counters, update_count),
	METRICS_FIELD(struct blk_counters, update_fails),
	METRICS_FIELD(struct blk_counters, read_bytes),
	METRICS_FIELD(struct blk_counters, write_bytes),
	METRICS_FIELD(struct blk_counters, read_count),
	METRICS_FIELD(struct blk_counters, write_count),
	METRICS_FIELD(struct blk_counters, read_agg),
	METRICS_FIELD(struct blk_counters, write_agg),
	METRICS_FIELD(struct blk_counters, rate_limiter_throttled_events),
	METRICS_FIELD(struct blk_counters, io_engine_throttled_events),
	METRICS_FIELD(struct blk_counters, remaining_reqs_count),
};

int metrics_add_blk(struct metrics *m, const char *id, const struct blk_counters *c, struct err *e)
{
	return metrics_register(m, "block", id, blk_fields, NELEM(blk_fields), c, e);
}

static const struct metrics_field net_fields[] = {
	METRICS_FIELD(struct net_counters, activate_fails),
	METRICS_FIELD(struct net_counters, cfg_fails),
	METRICS_FIELD(struct net_counters, no_rx_avail_buffer),
	METRICS_FIELD(struct net_counters, no_tx_avail_buffer),
	METRICS_FIELD(struct net_counters, event_fails),
	METRICS_FIELD(struct net_counters, rx_queue_event_count),
	METRICS_FIELD(struct net_counters, rx_event_rate_limiter_count),
	METRICS_FIELD(struct net_counters, rx_rate_limiter_throttled),
	METRICS_FIELD(struct net_counters, rx_tap_event_count),
	METRICS_FIELD(struct net_counters, rx_bytes_count),
	METRICS_FIELD(struct net_counters, rx_packets_count),
	METRICS_FIELD(struct net_counters, rx_fails),
	METRICS_FIELD(struct net_counters, rx_count),
	METRICS_FIELD(struct net_counters, tap_read_fails),
	METRICS_FIELD(struct net_counters, tap_write_fails),
	METRICS_FIELD(struct net_counters, tap_write_agg),
	METRICS_FIELD(struct net_counters, tx_bytes_count),
	METRICS_FIELD(struct net_counters, tx_malformed_frames),
	METRICS_FIELD(struct net_counters, tx_fails),
	METRICS_FIELD(struct net_counters, tx_count),
	METRICS_FIELD(struct net_counters, tx_packets_count),
	METRICS_FIELD(struct net_counters, tx_queue_event_count),
	METRICS_FIELD(struct net_counters, tx_rate_limiter_event_count),
	METRICS_FIELD(struct net_counters, tx_rate_limiter_throttled),
	METRICS_FIELD(struct net_counters, tx_spoofed_mac_count),
	METRICS_FIELD(struct net_counters, tx_remaining_reqs_count),
};

int metrics_add_net(struct metrics *m, const char *id, const struct net_counters *c, struct err *e)
{
	return metrics_register(m, "net", id, net_fields, NELEM(net_fields), c, e);
}

static const struct metrics_field rng_fields[] = {
	METRICS_FIELD(struct rng_counters, activate_fails),
	METRICS_FIELD(struct rng_counters, entropy_event_fails),
	METRICS_FIELD(struct rng_counters, entropy_event_count),
	METRICS_FIELD(struct rng_counters, entropy_bytes),
	METRICS_FIELD(struct rng_counters, host_rng_fails),
	METRICS_FIELD(struct rng_counters, entropy_rate_limiter_throttled),
	METRICS_FIELD(struct rng_counters, rate_limiter_event_count),
};

int metrics_add_rng(struct metrics *m, const struct rng_counters *c, struct err *e)
{
	return metrics_register(m, "entropy", NULL, rng_fields, NELEM(rng_fields), c, e);
}

static const struct metrics_field vsock_fields[] = {
	METRICS_FIELD(struct vsock_counters, activate_fails),
	METRICS_FIELD(struct vsock_counters, cfg_fails),
	METRICS_FIELD(struct vsock_counters, rx_queue_event_fails),
	METRICS_FIELD(struct vsock_counters, tx_queue_event_fails),
	METRICS_FIELD(struct vsock_counters, ev_queue_event_fails),
	METRICS_FIELD(struct vsock_counters, muxer_event_fails),
	METRICS_FIELD(struct vsock_counters, conn_event_fails),
	METRICS_FIELD(struct vsock_counters, rx_queue_event_count),
	METRICS_FIELD(struct vsock_counters, tx_queue_event_count),
	METRICS_FIELD(struct vsock_counters, rx_bytes_count),
	METRICS_FIELD(struct vsock_counters, tx_bytes_count),
	METRICS_FIELD(struct vsock_counters, rx_packets_count),
	METRICS_FIELD(struct vsock_counters, tx_packets_count),
	METRICS_FIELD(struct vsock_counters, conns_added),
	METRICS_FIELD(struct vsock_counters, conns_killed),
	METRICS_FIELD(struct vsock_counters, conns_removed),
	METRICS_FIELD(struct vsock_counters, killq_resync),
	METRICS_FIELD(struct vsock_counters, tx_flush_fails),
	METRICS_FIELD(struct vsock_counters, tx_write_fails),
	METRICS_FIELD(struct vsock_counters, rx_read_fails),
};

int metrics_add_vsock(struct metrics *m, const struct vsock_counters *c, struct err *e)
{
	return metrics_register(m, "vsock", NULL, vsock_fields, NELEM(vsock_fields), c, e);
}

static const struct metrics_field uart_fields[] = {
	METRICS_FIELD(struct uart_counters, error_count),
	METRICS_FIELD(struct uart_counters, flush_count),
	METRICS_FIELD(struct uart_counters, missed_read_count),
	METRICS_FIELD(struct uart_counters, missed_write_count),
	METRICS_FIELD(struct uart_counters, read_count),
	METRICS_FIELD(struct uart_counters, write_count),
	METRICS_FIELD(struct uart_counters, rate_limiter_dropped_bytes),
};

int metrics_add_uart(struct metrics *m, const struct uart_counters *c, struct err *e)
{
	return metrics_register(m, "uart", NULL, uart_fields, NELEM(uart_fields), c, e);
}

static const struct metrics_field i8042_fields[] = {
	METRICS_FIELD(struct i8042_counters, error_count),
	METRICS_FIELD(struct i8042_counters, missed_read_count),
	METRICS_FIELD(struct i8042_counters, missed_write_count),
	METRICS_FIELD(struct i8042_counters, read_count),
	METRICS_FIELD(struct i8042_counters, reset_count),
	METRICS_FIELD(struct i8042_counters, write_count),
};

int metrics_add_i8042(struct metrics *m, const struct i8042_counters *c, struct err *e)
{
	return metrics_register(m, "i8042", NULL, i8042_fields, NELEM(i8042_fields), c, e);
}

static const struct metrics_field signals_fields[] = {
	METRICS_FIELD(struct signal_counters, sigbus),
	METRICS_FIELD(struct signal_counters, sigsegv),
	METRICS_FIELD(struct signal_counters, sigxfsz),
	METRICS_FIELD(struct signal_counters, sigxcpu),
	METRICS_FIELD(struct signal_counters, sigpipe),
	METRICS_FIELD(struct signal_counters, sighup),
	METRICS_FIELD(struct signal_counters, sigill),
};

int metrics_add_signals(struct metrics *m, const struct signal_counters *c, struct err *e)
{
	return metrics_register(m, "signals", NULL, signals_fields, NELEM(signals_fields), c, e);
}

static const struct metrics_field vcpu_fields[] = {
	METRICS_FIELD(struct vcpu_counters, exit_io_in),
	METRICS_FIELD(struct vcpu_counters, exit_io_out),
	METRICS_FIELD(struct vcpu_counters, exit_mmio_read),
	METRICS_FIELD(struct vcpu_counters, exit_mmio_write),
	METRICS_FIELD(struct vcpu_counters, failures),
	METRICS_FIELD(struct vcpu_counters, exit_io_in_agg),
	METRICS_FIELD(struct vcpu_counters, exit_io_out_agg),
	METRICS_FIELD(struct vcpu_counters, exit_mmio_read_agg),
	METRICS_FIELD(struct vcpu_counters, exit_mmio_write_agg),
};

int metrics_add_vcpu(struct metrics *m, const struct vcpu_counters *c, struct err *e)
{
	return metrics_register(m, "vcpu", NULL, vcpu_fields, NELEM(vcpu_fields), c, e);
}

static const struct metrics_field virtio_mmio_fields[] = {
	METRICS_FIELD(struct virtio_mmio_counters, triggers),
	METRICS_FIELD(struct virtio_mmio_counters, config_updates),
};

int metrics_add_virtio_mmio(struct metrics *m, const struct virtio_mmio_counters *c, struct err *e)
{
	return metrics_register(
		m, "interrupts", NULL, virtio_mmio_fields, NELEM(virtio_mmio_fields), c, e);
}
