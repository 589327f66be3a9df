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
	METRICS_FIELD(struct blk_counters, read_bytes),
	METRICS_FIELD(struct blk_counters, write_bytes),
	METRICS_FIELD(struct blk_counters, read_count),
	METRICS_FIELD(struct blk_counters, write_count),
};

int metrics_add_blk(struct metrics *m, const char *id, const struct blk_counters *c, struct err *e)
{
	return metrics_register(m, "block", id, blk_fields, NELEM(blk_fields), c, e);
}

static const struct metrics_field rng_fields[] = {
	METRICS_FIELD(struct rng_counters, activate_fails),
	METRICS_FIELD(struct rng_counters, entropy_event_fails),
	METRICS_FIELD(struct rng_counters, entropy_event_count),
	METRICS_FIELD(struct rng_counters, entropy_bytes),
	METRICS_FIELD(struct rng_counters, host_rng_fails),
};

int metrics_add_rng(struct metrics *m, const struct rng_counters *c, struct err *e)
{
	return metrics_register(m, "entropy", NULL, rng_fields, NELEM(rng_fields), c, e);
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
};

int metrics_add_vcpu(struct metrics *m, const struct vcpu_counters *c, struct err *e)
{
	return metrics_register(m, "vcpu", NULL, vcpu_fields, NELEM(vcpu_fields), c, e);
}
