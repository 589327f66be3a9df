/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that are no section of the configuration. See body_schema.h. */
#include "api/body_schema.h"

#include "api/vm_schema.h"

#include <limits.h>

#define BODY_PATH_MAX (PATH_MAX - 1)
#define BODY_ID_MAX   255
#define BODY_LIST_MAX 64

static const struct schema_name action_names[] = {
	{"FlushMetrics", API_FLUSH_METRICS},
	{"InstanceStart", API_INSTANCE_START},
	{"SendCtrlAltDel", API_SEND_CTRL_ALT_DEL},
	{NULL, 0},
};
static const struct schema_row action_rows[] = {
	SCHEMA_ENUM(
		"action_type", struct api_action_body, action, action_names, 0, SCHEMA_REQUIRED),
};
const struct schema action_schema = SCHEMA("actions", action_rows, 0);

static const struct schema_name vm_state_names[] = {
	{"Paused", true},
	{"Resumed", false},
	{NULL, 0},
};
static const struct schema_row vm_state_rows[] = {
	SCHEMA_ENUM("state", struct api_vm_body, paused, vm_state_names, 0, SCHEMA_REQUIRED),
};
const struct schema vm_state_schema = SCHEMA("vm", vm_state_rows, 0);

static const struct schema_row drive_update_rows[] = {
	SCHEMA_STR("drive_id", struct vm_drive_config, drive_id, 1, BODY_ID_MAX,
		SCHEMA_REQUIRED | SCHEMA_ID),
	SCHEMA_STR("path_on_host", struct vm_drive_config, path_on_host, 1, BODY_PATH_MAX,
		SCHEMA_NULLABLE),
	SCHEMA_OBJECT("rate_limiter", struct vm_drive_config, rate_limiter, has_rate_limiter,
		&rate_limiter_schema, SCHEMA_NULLABLE),
};
const struct schema drive_update_schema = SCHEMA("drive", drive_update_rows, 0);

static const struct schema_row net_update_rows[] = {
	SCHEMA_STR("iface_id", struct vm_net_config, iface_id, 1, BODY_ID_MAX,
		SCHEMA_REQUIRED | SCHEMA_ID),
	SCHEMA_OBJECT("rx_rate_limiter", struct vm_net_config, rx_rate_limiter, has_rx_rate_limiter,
		&rate_limiter_schema, SCHEMA_NULLABLE),
	SCHEMA_OBJECT("tx_rate_limiter", struct vm_net_config, tx_rate_limiter, has_tx_rate_limiter,
		&rate_limiter_schema, SCHEMA_NULLABLE),
};
const struct schema net_update_schema = SCHEMA("network-interface", net_update_rows, 0);

static const struct schema_row serial_rows[] = {
	SCHEMA_STR("serial_out_path", struct vm_config, serial_out_path, 1, BODY_PATH_MAX,
		SCHEMA_NULLABLE),
	SCHEMA_OBJECT("rate_limiter", struct vm_config, serial_limiter, has_serial_limiter,
		&token_bucket_schema, SCHEMA_NULLABLE),
};
const struct schema serial_schema = SCHEMA("serial", serial_rows, 0);

/* ---- subjects of later releases ---- */

static const struct schema_row pmem_rows[] = {
	SCHEMA_STR_CHECKED("id", 1, BODY_ID_MAX, SCHEMA_REQUIRED | SCHEMA_ID),
	SCHEMA_STR_CHECKED("path_on_host", 1, BODY_PATH_MAX, SCHEMA_REQUIRED),
	SCHEMA_BOOL_CHECKED("root_device", 0),
	SCHEMA_BOOL_CHECKED("read_only", 0),
	SCHEMA_SECTION("rate_limiter", &rate_limiter_schema, SCHEMA_NULLABLE),
};
const struct schema pmem_schema = SCHEMA("pmem", pmem_rows, 0);

static const struct schema_row pmem_update_rows[] = {
	SCHEMA_STR_CHECKED("id", 1, BODY_ID_MAX, SCHEMA_REQUIRED | SCHEMA_ID),
	SCHEMA_SECTION("rate_limiter", &rate_limiter_schema, SCHEMA_NULLABLE),
};
const struct schema pmem_update_schema = SCHEMA("pmem", pmem_update_rows, 0);

static const struct schema_row balloon_rows[] = {
	SCHEMA_UINT_CHECKED("amount_mib", 0, UINT32_MAX, SCHEMA_REQUIRED),
	SCHEMA_BOOL_CHECKED("deflate_on_oom", SCHEMA_REQUIRED),
	SCHEMA_UINT_CHECKED("stats_polling_interval_s", 0, UINT16_MAX, 0),
	SCHEMA_BOOL_CHECKED("free_page_hinting", 0),
	SCHEMA_BOOL_CHECKED("free_page_reporting", 0),
};
const struct schema balloon_schema = SCHEMA("balloon", balloon_rows, 0);

static const struct schema_row balloon_update_rows[] = {
	SCHEMA_UINT_CHECKED("amount_mib", 0, UINT32_MAX, SCHEMA_REQUIRED),
};
const struct schema balloon_update_schema = SCHEMA("balloon", balloon_update_rows, 0);

static const struct schema_row balloon_stats_rows[] = {
	SCHEMA_UINT_CHECKED("stats_polling_interval_s", 0, UINT16_MAX, SCHEMA_REQUIRED),
};
const struct schema balloon_stats_schema = SCHEMA("balloon statistics", balloon_stats_rows, 0);

static const struct schema_row balloon_hinting_rows[] = {
	SCHEMA_BOOL_CHECKED("acknowledge_on_stop", SCHEMA_NULLABLE),
};
const struct schema balloon_hinting_schema = SCHEMA("balloon hinting", balloon_hinting_rows, 0);

static const struct schema_row hotplug_rows[] = {
	SCHEMA_UINT_CHECKED("total_size_mib", 128, UINT32_MAX, SCHEMA_REQUIRED),
	SCHEMA_UINT_CHECKED("block_size_mib", 2, UINT32_MAX, SCHEMA_NULLABLE),
	SCHEMA_UINT_CHECKED("slot_size_mib", 128, UINT32_MAX, SCHEMA_NULLABLE),
};
const struct schema hotplug_schema = SCHEMA("memory-hotplug", hotplug_rows, 0);

static const struct schema_row hotplug_update_rows[] = {
	SCHEMA_UINT_CHECKED("requested_size_mib", 0, UINT32_MAX, SCHEMA_REQUIRED),
};
const struct schema hotplug_update_schema = SCHEMA("memory-hotplug", hotplug_update_rows, 0);
