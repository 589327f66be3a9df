/* SPDX-License-Identifier: Apache-2.0 */
/* The table of endpoints, and routing. See endpoint.h. */
#include "api/endpoint.h"

#include "api/cpu_config.h"
#include "api/handle.h"
#include "api/snapshot_schema.h"
#include "api/vm_schema.h"

#include <errno.h>
#include <string.h>

#define PRE  ENDPOINT_PRE
#define POST ENDPOINT_POST
#define BOTH ENDPOINT_BOTH

#define GET(path_, phases_, fn_, ...)                                                              \
	{                                                                                          \
		.method = "GET", .path = (path_), .phases = (phases_), .fn = (fn_), __VA_ARGS__    \
	}
#define BODY(method_, path_, phases_, schema_, type_, fn_, ...)                                    \
	{                                                                                          \
		.method = (method_), .path = (path_), .phases = (phases_), .body = ENDPOINT_BODY,  \
		.schema = &(schema_), .parsed_size = sizeof(type_), .fn = (fn_), __VA_ARGS__       \
	}
#define LATER_BODY(method_, path_, phases_, schema_, later_, ...)                                  \
	{                                                                                          \
		.method = (method_), .path = (path_), .phases = (phases_), .body = ENDPOINT_BODY,  \
		.schema = &(schema_), .parsed_size = sizeof(struct api_later_body),                \
		.later = (later_), __VA_ARGS__                                                     \
	}
#define LATER(method_, path_, phases_, later_, ...)                                                \
	{                                                                                          \
		.method = (method_), .path = (path_), .phases = (phases_), .later = (later_),      \
		__VA_ARGS__                                                                        \
	}
/* Metadata: of any form, and not for the log. */
#define TEXT(method_, path_, phases_, fn_, ...)                                                    \
	{                                                                                          \
		.method = (method_), .path = (path_), .phases = (phases_), .body = ENDPOINT_BODY,  \
		.secret = true, .fn = (fn_), __VA_ARGS__                                           \
	}
#define COUNT(member) .counter = offsetof(struct metrics_api, member)
#define ID(key)       .id_key = (key)
#define HOTPLUG       .after = "hotplug needs PCI (--enable-pci), which this version does not have"

const struct endpoint endpoint_table[] = {
	GET("/", BOTH, handle_get_instance, COUNT(get.instance_info_count)),
	GET("/version", BOTH, handle_get_version, COUNT(get.vmm_version_count)),
	GET("/vm/config", BOTH, handle_get_config, ),
	GET("/metrics", BOTH, handle_get_metrics, ),
	BODY("PATCH", "/vm", POST, vm_state_schema, struct api_vm_body, handle_patch_vm, ),
	BODY("PUT", "/actions", BOTH, action_schema, struct api_action_body, handle_put_action,
		COUNT(put.actions_count)),
	BODY("PUT", "/boot-source", PRE, boot_source_schema, struct vm_config,
		handle_put_boot_source, COUNT(put.boot_source_count)),
	BODY("PUT", "/cpu-config", PRE, cpu_config_schema, struct cpu_template,
		handle_put_cpu_config, COUNT(put.cpu_cfg_count)),
	GET("/machine-config", BOTH, handle_get_machine_config, COUNT(get.machine_cfg_count)),
	BODY("PUT", "/machine-config", PRE, machine_config_schema, struct vm_config,
		handle_put_machine_config, COUNT(put.machine_cfg_count)),
	BODY("PATCH", "/machine-config", PRE, machine_update_schema, struct vm_config,
		handle_patch_machine_config, COUNT(patch.machine_cfg_count)),
	BODY("PUT", "/drives/{drive_id}", PRE, drive_schema, struct vm_drive_config,
		handle_put_drive, COUNT(put.drive_count), ID("drive_id"), HOTPLUG),
	BODY("PATCH", "/drives/{drive_id}", POST, drive_update_schema, struct vm_drive_config,
		handle_patch_drive, COUNT(patch.drive_count), ID("drive_id")),
	LATER("DELETE", "/drives/{drive_id}", POST, "hot unplug needs PCI (--enable-pci)", ),
	BODY("PUT", "/network-interfaces/{iface_id}", PRE, net_schema, struct vm_net_config,
		handle_put_net, COUNT(put.network_count), ID("iface_id"), HOTPLUG),
	BODY("PATCH", "/network-interfaces/{iface_id}", POST, net_update_schema,
		struct vm_net_config, handle_patch_net, COUNT(patch.network_count), ID("iface_id")),
	LATER("DELETE", "/network-interfaces/{iface_id}", POST,
		"hot unplug needs PCI (--enable-pci)", ),
	BODY("PUT", "/vsock", PRE, vsock_schema, struct vm_config, handle_put_vsock,
		COUNT(put.vsock_count)),
	BODY("PUT", "/entropy", PRE, entropy_schema, struct vm_config, handle_put_entropy, ),
	BODY("PUT", "/serial", PRE, serial_schema, struct vm_config, handle_put_serial,
		COUNT(put.serial_count)),
	BODY("PUT", "/logger", PRE, logger_schema, struct vm_config, handle_put_logger,
		COUNT(put.logger_count)),
	BODY("PUT", "/metrics", PRE, metrics_schema, struct vm_config, handle_put_metrics,
		COUNT(put.metrics_count)),
	GET("/mmds", BOTH, handle_get_mmds, COUNT(get.mmds_count)),
	TEXT("PUT", "/mmds", BOTH, handle_put_mmds, COUNT(put.mmds_count)),
	TEXT("PATCH", "/mmds", BOTH, handle_patch_mmds, COUNT(patch.mmds_count)),
	BODY("PUT", "/mmds/config", PRE, mmds_schema, struct vm_config, handle_put_mmds_config,
		COUNT(put.mmds_count)),
	LATER_BODY("PUT", "/pmem/{id}", PRE, pmem_schema, "pmem", COUNT(put.pmem_count), ID("id"),
		HOTPLUG),
	LATER_BODY("PATCH", "/pmem/{id}", POST, pmem_update_schema, "pmem", COUNT(patch.pmem_count),
		ID("id")),
	LATER("DELETE", "/pmem/{id}", POST, "pmem", ),
	LATER("GET", "/balloon", BOTH, "balloon", ),
	LATER_BODY("PUT", "/balloon", PRE, balloon_schema, "balloon", ),
	LATER_BODY("PATCH", "/balloon", POST, balloon_update_schema, "balloon", ),
	LATER("GET", "/balloon/statistics", POST, "balloon", ),
	LATER_BODY("PATCH", "/balloon/statistics", POST, balloon_stats_schema, "balloon", ),
	{
		.method = "PATCH",
		.path = "/balloon/hinting/start",
		.phases = POST,
		.body = ENDPOINT_BODY_OPTIONAL,
		.schema = &balloon_hinting_schema,
		.parsed_size = sizeof(struct api_later_body),
		.later = "balloon",
	},
	LATER("GET", "/balloon/hinting/status", POST, "balloon", ),
	LATER("PATCH", "/balloon/hinting/stop", POST, "balloon", ),
	LATER("GET", "/hotplug/memory", POST, "memory hotplug", COUNT(get.hotplug_memory_count)),
	LATER_BODY("PUT", "/hotplug/memory", PRE, hotplug_schema, "memory hotplug",
		COUNT(put.hotplug_memory_count)),
	LATER_BODY("PATCH", "/hotplug/memory", POST, hotplug_update_schema, "memory hotplug",
		COUNT(patch.hotplug_memory_count)),
	BODY("PUT", "/snapshot/create", POST, snapshot_create_schema, struct api_snapshot_create,
		handle_put_snapshot_create, ),
	BODY("PUT", "/snapshot/fork", POST, snapshot_fork_schema, struct api_snapshot_fork,
		handle_put_snapshot_fork, ),
	BODY("PUT", "/snapshot/load", PRE, snapshot_load_schema, struct api_snapshot_load,
		handle_put_snapshot_load, ),
};
const uint32_t endpoint_count = NELEM(endpoint_table);

/* 0: does not match; 1: matches; the variable part is then [*ret_at, + *ret_len), or empty. */
static int endpoint_match(
	const char *pattern, const char *path, const char **ret_at, size_t *ret_len)
{
	const char *open = strchr(pattern, '{');
	size_t fixed = open ? (size_t)(open - pattern) : strlen(pattern), len = strlen(path);

	if (len > 1 && path[len - 1] == '/')
		len--; /* one slash at the end changes nothing */
	*ret_at = NULL;
	*ret_len = 0;
	if (!open)
		return len == fixed && memcmp(path, pattern, len) == 0;
	/* "/drives" is "/drives/" with an empty id. */
	if (len == fixed - 1 && memcmp(path, pattern, len) == 0) {
		*ret_at = "";
		return 1;
	}
	if (len <= fixed || memcmp(path, pattern, fixed) != 0 ||
		memchr(path + fixed, '/', len - fixed))
		return 0;
	*ret_at = path + fixed;
	*ret_len = len - fixed;
	return 1;
}

static bool endpoint_id_ok(const char *id, size_t len)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

	for (size_t i = 0; i < len; i++)
		if (!strchr(allowed, id[i]))
			return false;
	return true;
}

static const struct endpoint *endpoint_take_id(const struct endpoint *p, const char *id, size_t len,
	char ret_id[ENDPOINT_ID_SIZE], struct err *e)
{
	if (len == 0) {
		(void)err_set(e, -EINVAL, "%s %s: the id in the path cannot be empty", p->method,
			p->path);
		return NULL;
	}
	if (len >= ENDPOINT_ID_SIZE || !endpoint_id_ok(id, len)) {
		(void)err_set(e, -EINVAL,
			"%s %s: the id \"%.*s\" in the path is not one: 1 to %d letters, digits "
			"and _ are allowed",
			p->method, p->path, (int)MIN(len, 64u), id, ENDPOINT_ID_SIZE - 1);
		return NULL;
	}
	memcpy(ret_id, id, len);
	ret_id[len] = '\0';
	return p;
}

const struct endpoint *endpoint_find(
	const char *method, const char *path, char ret_id[ENDPOINT_ID_SIZE], struct err *e)
{
	ret_id[0] = '\0';
	for (uint32_t i = 0; i < endpoint_count; i++) {
		const struct endpoint *p = &endpoint_table[i];
		const char *at;
		size_t len;

		if (strcmp(p->method, method) != 0 || !endpoint_match(p->path, path, &at, &len))
			continue;
		return at ? endpoint_take_id(p, at, len, ret_id, e) : p;
	}
	(void)err_set(e, -EINVAL, "Invalid request method and/or path: %s %.200s", method, path);
	return NULL;
}
