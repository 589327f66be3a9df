/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of struct vm_config. See vm_schema.h. */
#include "api/vm_schema.h"

#include "api/cpu_config.h"
#include "api/string_list.h"
#include "api/string_map.h"
#include "virtio/vsock_packet.h"

#include <limits.h>

#define VM_SCHEMA_PATH_MAX     (PATH_MAX - 1)
#define VM_SCHEMA_ID_MAX       255
#define VM_SCHEMA_PARTUUID_MAX 64
/* The loader checks the whole line again, with what the machine appends. */
#define VM_SCHEMA_BOOT_ARGS_MAX (LAYOUT_CMDLINE_SIZE_MAX - 1)

static const struct schema_row boot_source_rows[] = {
	SCHEMA_STR("kernel_image_path", struct vm_config, kernel_image_path, 1, VM_SCHEMA_PATH_MAX,
		SCHEMA_REQUIRED),
	SCHEMA_STR("initrd_path", struct vm_config, initrd_path, 1, VM_SCHEMA_PATH_MAX,
		SCHEMA_NULLABLE),
	SCHEMA_STR("boot_args", struct vm_config, boot_args, 0, VM_SCHEMA_BOOT_ARGS_MAX,
		SCHEMA_NULLABLE),
};
const struct schema boot_source_schema = SCHEMA("boot-source", boot_source_rows, 0);

static const struct schema_name huge_pages_names[] = {
	{"None", GMEM_PAGES_4K},
	{"Transparent", GMEM_PAGES_TRANSPARENT},
	{"2M", GMEM_PAGES_2M},
	{NULL, 0},
};

static const struct schema_name cpu_template_names[] = {
	{"None", CPU_TEMPLATE_CLEAR},
	{"C3", CPU_TEMPLATE_C3},
	{"T2", CPU_TEMPLATE_T2},
	{"T2S", CPU_TEMPLATE_T2S},
	{"T2CL", CPU_TEMPLATE_T2CL},
	{"T2A", CPU_TEMPLATE_T2A},
	{"V1N1", CPU_TEMPLATE_V1N1},
	{NULL, 0},
};

/* An absurd memory size is the machine's to refuse: Firecracker takes it here too. */
static const struct schema_row machine_config_rows[] = {
	SCHEMA_UINT("vcpu_count", struct vm_config, vcpu_count, 1, LAYOUT_VCPUS_MAX, 1,
		SCHEMA_REQUIRED),
	SCHEMA_UINT(
		"mem_size_mib", struct vm_config, mem_size_mib, 1, INT64_MAX, 128, SCHEMA_REQUIRED),
	SCHEMA_BOOL("smt", struct vm_config, smt, false, 0),
	SCHEMA_ENUM("cpu_template", struct vm_config, cpu_template, cpu_template_names,
		CPU_TEMPLATE_NONE, SCHEMA_NULLABLE | SCHEMA_DEPRECATED | SCHEMA_OMIT),
	SCHEMA_BOOL("track_dirty_pages", struct vm_config, track_dirty_pages, false, 0),
	SCHEMA_ENUM("huge_pages", struct vm_config, huge_pages, huge_pages_names, GMEM_PAGES_4K, 0),
};
const struct schema machine_config_schema = SCHEMA("machine-config", machine_config_rows, 0);

/* PATCH: what is given replaces what is there. */
static const struct schema_row machine_update_rows[] = {
	SCHEMA_UINT("vcpu_count", struct vm_config, vcpu_count, 1, LAYOUT_VCPUS_MAX, 1,
		SCHEMA_NULLABLE),
	SCHEMA_UINT(
		"mem_size_mib", struct vm_config, mem_size_mib, 1, INT64_MAX, 128, SCHEMA_NULLABLE),
	SCHEMA_BOOL("smt", struct vm_config, smt, false, SCHEMA_NULLABLE),
	SCHEMA_ENUM("cpu_template", struct vm_config, cpu_template, cpu_template_names,
		CPU_TEMPLATE_NONE, SCHEMA_NULLABLE | SCHEMA_DEPRECATED),
	SCHEMA_BOOL(
		"track_dirty_pages", struct vm_config, track_dirty_pages, false, SCHEMA_NULLABLE),
	SCHEMA_ENUM("huge_pages", struct vm_config, huge_pages, huge_pages_names, GMEM_PAGES_4K,
		SCHEMA_NULLABLE),
};
const struct schema machine_update_schema = SCHEMA("machine-config", machine_update_rows, 0);

static const struct schema_name cache_type_names[] = {
	{"Unsafe", false},
	{"Writeback", true},
	{NULL, 0},
};

/* Firecracker takes unknown keys in a bucket, and only there. */
static const struct schema_row token_bucket_rows[] = {
	SCHEMA_UINT("size", struct token_bucket_config, size, 0, UINT64_MAX, 0, SCHEMA_REQUIRED),
	SCHEMA_UINT("refill_time", struct token_bucket_config, refill_time_ms, 0, UINT64_MAX, 0,
		SCHEMA_REQUIRED),
	SCHEMA_UINT("one_time_burst", struct token_bucket_config, one_time_burst, 0, UINT64_MAX, 0,
		SCHEMA_NULLABLE | SCHEMA_ZERO_NULL),
};
const struct schema token_bucket_schema = SCHEMA("token bucket", token_bucket_rows, SCHEMA_OPEN);

static const struct schema_row rate_limiter_rows[] = {
	SCHEMA_OBJECT("bandwidth", struct rate_limiter_config, bandwidth, has_bandwidth,
		&token_bucket_schema, SCHEMA_NULLABLE),
	SCHEMA_OBJECT("ops", struct rate_limiter_config, ops, has_ops, &token_bucket_schema,
		SCHEMA_NULLABLE),
};
const struct schema rate_limiter_schema = SCHEMA("rate limiter", rate_limiter_rows, 0);

static const struct schema_name io_engine_names[] = {
	{"Sync", false},
	{"Async", true},
	{NULL, 0},
};

/* socket (vhost-user) comes first: with it, the path would rightly be missing. */
static const struct schema_row drive_rows[] = {
	SCHEMA_STR("drive_id", struct vm_drive_config, drive_id, 1, VM_SCHEMA_ID_MAX,
		SCHEMA_REQUIRED | SCHEMA_ID),
	SCHEMA_LATER("socket"),
	SCHEMA_STR("path_on_host", struct vm_drive_config, path_on_host, 1, VM_SCHEMA_PATH_MAX,
		SCHEMA_REQUIRED | SCHEMA_NULLABLE),
	SCHEMA_BOOL(
		"is_root_device", struct vm_drive_config, is_root_device, false, SCHEMA_REQUIRED),
	SCHEMA_STR("partuuid", struct vm_drive_config, partuuid, 1, VM_SCHEMA_PARTUUID_MAX,
		SCHEMA_NULLABLE),
	SCHEMA_BOOL("is_read_only", struct vm_drive_config, is_read_only, false, SCHEMA_NULLABLE),
	SCHEMA_ENUM("cache_type", struct vm_drive_config, writeback, cache_type_names, false, 0),
	SCHEMA_ENUM("io_engine", struct vm_drive_config, async, io_engine_names, false,
		SCHEMA_NULLABLE),
	SCHEMA_OBJECT("rate_limiter", struct vm_drive_config, rate_limiter, has_rate_limiter,
		&rate_limiter_schema, SCHEMA_NULLABLE),
	/* Ours. */
	SCHEMA_BOOL("direct", struct vm_drive_config, direct, false, SCHEMA_NULLABLE | SCHEMA_OMIT),
	SCHEMA_BOOL("io_thread", struct vm_drive_config, io_thread, false,
		SCHEMA_NULLABLE | SCHEMA_OMIT),
	SCHEMA_UINT("queues", struct vm_drive_config, queues, 1, VIRTIO_QUEUES_MAX, 1,
		SCHEMA_NULLABLE | SCHEMA_OMIT),
};
const struct schema drive_schema = SCHEMA("drive", drive_rows, 0);

/* host_dev_name is required, unless passt_socket is there: see config_file.c. */
static const struct schema_row net_rows[] = {
	SCHEMA_STR("iface_id", struct vm_net_config, iface_id, 1, VM_SCHEMA_ID_MAX,
		SCHEMA_REQUIRED | SCHEMA_ID),
	SCHEMA_STR("host_dev_name", struct vm_net_config, host_dev_name, 1, VM_SCHEMA_ID_MAX,
		SCHEMA_NULLABLE),
	SCHEMA_STR(
		"guest_mac", struct vm_net_config, guest_mac, 1, VM_SCHEMA_ID_MAX, SCHEMA_NULLABLE),
	SCHEMA_UINT("mtu", struct vm_net_config, mtu, NET_MTU_MIN, NET_MTU_MAX, 0,
		SCHEMA_NULLABLE | SCHEMA_ZERO_NULL),
	SCHEMA_OBJECT("rx_rate_limiter", struct vm_net_config, rx_rate_limiter, has_rx_rate_limiter,
		&rate_limiter_schema, SCHEMA_NULLABLE),
	SCHEMA_OBJECT("tx_rate_limiter", struct vm_net_config, tx_rate_limiter, has_tx_rate_limiter,
		&rate_limiter_schema, SCHEMA_NULLABLE),
	/* Ours. */
	SCHEMA_STR("passt_socket", struct vm_net_config, passt_socket, 1, VM_SCHEMA_PATH_MAX,
		SCHEMA_NULLABLE | SCHEMA_OMIT),
	SCHEMA_UINT("queue_pairs", struct vm_net_config, queue_pairs, 1, NET_PAIRS_MAX, 1,
		SCHEMA_NULLABLE | SCHEMA_OMIT),
};
const struct schema net_schema = SCHEMA("network-interface", net_rows, 0);

static const struct schema_row vsock_rows[] = {
	SCHEMA_UINT("guest_cid", struct vm_config, vsock_guest_cid, VSOCK_CID_MIN, UINT32_MAX - 1,
		0, SCHEMA_REQUIRED),
	SCHEMA_STR("uds_path", struct vm_config, vsock_uds_path, 1, VM_SCHEMA_PATH_MAX,
		SCHEMA_REQUIRED),
	SCHEMA_STR("vsock_id", struct vm_config, vsock_id, 0, VM_SCHEMA_ID_MAX,
		SCHEMA_NULLABLE | SCHEMA_DEPRECATED | SCHEMA_SILENT),
};
const struct schema vsock_schema = SCHEMA("vsock", vsock_rows, 0);

static const struct schema_name mmds_version_names[] = {
	{"V1", 1},
	{"V2", 2},
	{NULL, 0},
};

/* Whether the interfaces exist and the address may be used: see vm_rules.c. */
static const struct schema_row mmds_rows[] = {
	SCHEMA_ENUM("version", struct vm_config, mmds_version, mmds_version_names, 1, 0),
	SCHEMA_CUSTOM("network_interfaces", struct vm_config, mmds_interfaces, &string_list_custom,
		SCHEMA_REQUIRED),
	SCHEMA_STR(
		"ipv4_address", struct vm_config, mmds_ipv4, 1, VM_SCHEMA_ID_MAX, SCHEMA_NULLABLE),
	SCHEMA_BOOL("imds_compat", struct vm_config, mmds_imds_compat, false, 0),
};
const struct schema mmds_schema = SCHEMA("mmds-config", mmds_rows, 0);

static const struct schema_row entropy_rows[] = {
	SCHEMA_OBJECT("rate_limiter", struct vm_config, entropy_limiter, has_entropy_limiter,
		&rate_limiter_schema, SCHEMA_NULLABLE),
};
const struct schema entropy_schema = SCHEMA("entropy", entropy_rows, 0);

static const struct schema_name log_level_names[] = {
	{"Error", LOG_ERROR},
	{"Warning", LOG_WARN},
	{"Warn", LOG_WARN},
	{"Info", LOG_INFO},
	{"Debug", LOG_DEBUG},
	{"Trace", LOG_TRACE},
	{"Off", LOG_OFF},
	{NULL, 0},
};

static const struct schema_row logger_rows[] = {
	SCHEMA_STR("log_path", struct vm_config, log_path, 1, VM_SCHEMA_PATH_MAX, SCHEMA_NULLABLE),
	SCHEMA_ENUM("level", struct vm_config, log_level, log_level_names, LOG_INFO,
		SCHEMA_NULLABLE | SCHEMA_ANY_CASE),
	SCHEMA_BOOL("show_level", struct vm_config, show_level, false, SCHEMA_NULLABLE),
	SCHEMA_BOOL("show_log_origin", struct vm_config, show_log_origin, false, SCHEMA_NULLABLE),
	SCHEMA_STR("module", struct vm_config, log_module, 0, VM_SCHEMA_PATH_MAX, SCHEMA_NULLABLE),
};
const struct schema logger_schema = SCHEMA("logger", logger_rows, 0);

static const struct schema_row metrics_rows[] = {
	SCHEMA_STR("metrics_path", struct vm_config, metrics_path, 1, VM_SCHEMA_PATH_MAX,
		SCHEMA_REQUIRED),
	SCHEMA_BOOL("emit_id", struct vm_config, metrics_emit_id, false, SCHEMA_NULLABLE),
	SCHEMA_CUSTOM("properties", struct vm_config, metrics_properties, &string_map_custom,
		SCHEMA_NULLABLE),
};
const struct schema metrics_schema = SCHEMA("metrics", metrics_rows, 0);

/* logger and metrics are never shown by GET /vm/config. */
static const struct schema_row vm_config_rows[] = {
	SCHEMA_SECTION("boot-source", &boot_source_schema, SCHEMA_REQUIRED),
	SCHEMA_SECTION("machine-config", &machine_config_schema, SCHEMA_NULLABLE),
	SCHEMA_ARRAY("drives", struct vm_config, drives, drive_count, &drive_schema,
		VM_SCHEMA_NO_GSI_TEXT, SCHEMA_NULLABLE),
	SCHEMA_SECTION_PRESENT(
		"entropy", struct vm_config, has_entropy, &entropy_schema, SCHEMA_NULLABLE),
	SCHEMA_SECTION_PRESENT("logger", struct vm_config, has_logger, &logger_schema,
		SCHEMA_NULLABLE | SCHEMA_HIDDEN),
	SCHEMA_SECTION("metrics", &metrics_schema, SCHEMA_NULLABLE | SCHEMA_HIDDEN),
	SCHEMA_ARRAY("network-interfaces", struct vm_config, nets, net_count, &net_schema,
		VM_SCHEMA_NO_GSI_TEXT, SCHEMA_NULLABLE),
	SCHEMA_SECTION_PRESENT(
		"vsock", struct vm_config, has_vsock, &vsock_schema, SCHEMA_NULLABLE),
	SCHEMA_LATER("balloon"),
	SCHEMA_LATER_LIST("pmem"),
	SCHEMA_SECTION_PRESENT(
		"mmds-config", struct vm_config, has_mmds, &mmds_schema, SCHEMA_NULLABLE),
	SCHEMA_CUSTOM("cpu-config", struct vm_config, cpu_config, &cpu_config_custom,
		SCHEMA_NULLABLE | SCHEMA_HIDDEN),
	SCHEMA_LATER("memory-hotplug"),
};
const struct schema vm_config_schema = SCHEMA("configuration file", vm_config_rows, SCHEMA_OPEN);
