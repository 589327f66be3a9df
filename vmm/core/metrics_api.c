/* SPDX-License-Identifier: Apache-2.0 */
/* Tables from the counters of the API, of pauses and of MMDS to metrics keys. See metrics_sources.h. */
#include "vmm/core/metrics_sources.h"

static const struct metrics_field deprecated_fields[] = {
	METRICS_FIELD(struct metrics_api, deprecated_http_api_calls),
};

static const struct metrics_field api_get_fields[] = {
	METRICS_FIELD(struct metrics_api_get, instance_info_count),
	METRICS_FIELD(struct metrics_api_get, machine_cfg_count),
	METRICS_FIELD(struct metrics_api_get, mmds_count),
	METRICS_FIELD(struct metrics_api_get, vmm_version_count),
	METRICS_FIELD(struct metrics_api_get, hotplug_memory_count),
};

static const struct metrics_field api_put_fields[] = {
	METRICS_FIELD(struct metrics_api_put, actions_count),
	METRICS_FIELD(struct metrics_api_put, actions_fails),
	METRICS_FIELD(struct metrics_api_put, boot_source_count),
	METRICS_FIELD(struct metrics_api_put, boot_source_fails),
	METRICS_FIELD(struct metrics_api_put, drive_count),
	METRICS_FIELD(struct metrics_api_put, drive_fails),
	METRICS_FIELD(struct metrics_api_put, logger_count),
	METRICS_FIELD(struct metrics_api_put, logger_fails),
	METRICS_FIELD(struct metrics_api_put, machine_cfg_count),
	METRICS_FIELD(struct metrics_api_put, machine_cfg_fails),
	METRICS_FIELD(struct metrics_api_put, cpu_cfg_count),
	METRICS_FIELD(struct metrics_api_put, cpu_cfg_fails),
	METRICS_FIELD(struct metrics_api_put, metrics_count),
	METRICS_FIELD(struct metrics_api_put, metrics_fails),
	METRICS_FIELD(struct metrics_api_put, network_count),
	METRICS_FIELD(struct metrics_api_put, network_fails),
	METRICS_FIELD(struct metrics_api_put, mmds_count),
	METRICS_FIELD(struct metrics_api_put, mmds_fails),
	METRICS_FIELD(struct metrics_api_put, vsock_count),
	METRICS_FIELD(struct metrics_api_put, vsock_fails),
	METRICS_FIELD(struct metrics_api_put, pmem_count),
	METRICS_FIELD(struct metrics_api_put, pmem_fails),
	METRICS_FIELD(struct metrics_api_put, serial_count),
	METRICS_FIELD(struct metrics_api_put, serial_fails),
	METRICS_FIELD(struct metrics_api_put, hotplug_memory_count),
	METRICS_FIELD(struct metrics_api_put, hotplug_memory_fails),
};

static const struct metrics_field api_patch_fields[] = {
	METRICS_FIELD(struct metrics_api_patch, drive_count),
	METRICS_FIELD(struct metrics_api_patch, drive_fails),
	METRICS_FIELD(struct metrics_api_patch, network_count),
	METRICS_FIELD(struct metrics_api_patch, network_fails),
	METRICS_FIELD(struct metrics_api_patch, machine_cfg_count),
	METRICS_FIELD(struct metrics_api_patch, machine_cfg_fails),
	METRICS_FIELD(struct metrics_api_patch, mmds_count),
	METRICS_FIELD(struct metrics_api_patch, mmds_fails),
	METRICS_FIELD(struct metrics_api_patch, hotplug_memory_count),
	METRICS_FIELD(struct metrics_api_patch, hotplug_memory_fails),
	METRICS_FIELD(struct metrics_api_patch, pmem_count),
	METRICS_FIELD(struct metrics_api_patch, pmem_fails),
};

int metrics_add_api(struct metrics *m, const struct metrics_api *a, struct err *e)
{
	const struct {
		const char *group;
		const struct metrics_field *fields;
		uint32_t field_count;
		const void *base;
	} rows[] = {
		{"deprecated_api", deprecated_fields, NELEM(deprecated_fields), a},
		{"get_api_requests", api_get_fields, NELEM(api_get_fields), &a->get},
		{"put_api_requests", api_put_fields, NELEM(api_put_fields), &a->put},
		{"patch_api_requests", api_patch_fields, NELEM(api_patch_fields), &a->patch},
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < NELEM(rows); i++)
		rc = metrics_register(m, rows[i].group, NULL, rows[i].fields, rows[i].field_count,
			rows[i].base, e);
	return rc;
}

static const struct metrics_field latency_fields[] = {
	METRICS_FIELD(struct metrics_latencies, full_create_snapshot),
	METRICS_FIELD(struct metrics_latencies, diff_create_snapshot),
	METRICS_FIELD(struct metrics_latencies, load_snapshot),
	METRICS_FIELD(struct metrics_latencies, pause_vm),
	METRICS_FIELD(struct metrics_latencies, resume_vm),
	METRICS_FIELD(struct metrics_latencies, vmm_full_create_snapshot),
	METRICS_FIELD(struct metrics_latencies, vmm_diff_create_snapshot),
	METRICS_FIELD(struct metrics_latencies, vmm_load_snapshot),
	METRICS_FIELD(struct metrics_latencies, vmm_pause_vm),
	METRICS_FIELD(struct metrics_latencies, vmm_resume_vm),
};

/* NOLINTNEXTLINE(readability-non-const-parameter): clang-tidy takes __atomic_store_n for a read */
void metrics_latency_set(uint64_t *word, uint64_t start_ns)
{
	uint64_t us = (clock_mono_ns() - start_ns) / CLOCK_NS_PER_US;

	__atomic_store_n(word, MAX(us, 1), __ATOMIC_RELAXED);
}

int metrics_add_latencies(struct metrics *m, const struct metrics_latencies *l, struct err *e)
{
	return metrics_register(
		m, "latencies_us", NULL, latency_fields, NELEM(latency_fields), l, e);
}

static const struct metrics_field restore_fields[] = {
	METRICS_FIELD(struct metrics_restore, state_file_agg),
	METRICS_FIELD(struct metrics_restore, memory_agg),
	METRICS_FIELD(struct metrics_restore, vcpus_agg),
	METRICS_FIELD(struct metrics_restore, devices_agg),
};

int metrics_add_restore(struct metrics *m, const struct metrics_restore *r, struct err *e)
{
	return metrics_register(m, "restore", NULL, restore_fields, NELEM(restore_fields), r, e);
}

static const struct metrics_field mmds_fields[] = {
	METRICS_FIELD(struct metrics_mmds, rx_accepted),
	METRICS_FIELD(struct metrics_mmds, rx_accepted_err),
	METRICS_FIELD(struct metrics_mmds, rx_accepted_unusual),
	METRICS_FIELD(struct metrics_mmds, rx_bad_eth),
	METRICS_FIELD(struct metrics_mmds, rx_invalid_token),
	METRICS_FIELD(struct metrics_mmds, rx_no_token),
	METRICS_FIELD(struct metrics_mmds, rx_count),
	METRICS_FIELD(struct metrics_mmds, tx_bytes),
	METRICS_FIELD(struct metrics_mmds, tx_count),
	METRICS_FIELD(struct metrics_mmds, tx_errors),
	METRICS_FIELD(struct metrics_mmds, tx_frames),
	METRICS_FIELD(struct metrics_mmds, connections_created),
	METRICS_FIELD(struct metrics_mmds, connections_destroyed),
};

int metrics_add_mmds(struct metrics *m, const struct metrics_mmds *c, struct err *e)
{
	return metrics_register(m, "mmds", NULL, mmds_fields, NELEM(mmds_fields), c, e);
}
