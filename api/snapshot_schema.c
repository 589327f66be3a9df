/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of the snapshot bodies. See snapshot_schema.h. */
#include "api/snapshot_schema.h"

#include "snapshot/fork.h"

#include <limits.h>

#define BODY_PATH_MAX   (PATH_MAX - 1)
#define BODY_ID_MAX     255
#define SOCKET_PATH_MAX 107

static const struct schema_name snapshot_type_names[] = {
	{"Full", false}, {"Diff", true}, {NULL, 0}};
static const struct schema_row snapshot_create_rows[] = {
	SCHEMA_STR("snapshot_path", struct api_snapshot_create, snapshot_path, 1, BODY_PATH_MAX,
		SCHEMA_REQUIRED),
	SCHEMA_STR("mem_file_path", struct api_snapshot_create, mem_file_path, 1, BODY_PATH_MAX,
		SCHEMA_REQUIRED),
	SCHEMA_ENUM(
		"snapshot_type", struct api_snapshot_create, diff, snapshot_type_names, false, 0),
};
const struct schema snapshot_create_schema = SCHEMA("snapshot create", snapshot_create_rows, 0);

/* Ours. */
static const struct schema_row drive_clone_rows[] = {
	SCHEMA_STR("drive_id", struct api_drive_clone, drive_id, 1, BODY_ID_MAX, SCHEMA_REQUIRED),
	SCHEMA_STR("path", struct api_drive_clone, path, 1, BODY_PATH_MAX, SCHEMA_REQUIRED),
};
static const struct schema drive_clone_schema = SCHEMA("drive clone", drive_clone_rows, 0);

static const struct schema_row snapshot_fork_rows[] = {
	SCHEMA_STR("socket_path", struct api_snapshot_fork, socket_path, 1, SOCKET_PATH_MAX,
		SCHEMA_REQUIRED),
	SCHEMA_UINT("children", struct api_snapshot_fork, children, 1, FORK_CHILDREN_MAX, 1, 0),
	SCHEMA_UINT("timeout_ms", struct api_snapshot_fork, timeout_ms, 1, 3600000, 10000, 0),
	SCHEMA_ARRAY("drive_clones", struct api_snapshot_fork, clones, clone_count,
		&drive_clone_schema, NULL, 0),
};
const struct schema snapshot_fork_schema = SCHEMA("snapshot fork", snapshot_fork_rows, 0);

static const struct schema_name backend_type_names[] = {{"File", 0}, {"Uffd", 1}, {NULL, 0}};
static const struct schema_row mem_backend_rows[] = {
	SCHEMA_ENUM("backend_type", struct api_mem_backend, uffd, backend_type_names, 0,
		SCHEMA_REQUIRED),
	SCHEMA_STR("backend_path", struct api_mem_backend, path, 1, BODY_PATH_MAX, SCHEMA_REQUIRED),
};
static const struct schema mem_backend_schema = SCHEMA("mem_backend", mem_backend_rows, 0);

/* The overrides take unknown keys, as Firecracker's do. */
static const struct schema_row network_override_rows[] = {
	SCHEMA_STR(
		"iface_id", struct api_network_override, iface_id, 1, BODY_ID_MAX, SCHEMA_REQUIRED),
	/* Required unless there is a passt_socket: handle_snapshot.c. */
	SCHEMA_STR("host_dev_name", struct api_network_override, host_dev_name, 1, BODY_ID_MAX, 0),
	/* Ours. */
	SCHEMA_STR("passt_socket", struct api_network_override, passt_socket, 1, SOCKET_PATH_MAX,
		SCHEMA_NULLABLE | SCHEMA_OMIT),
	SCHEMA_STR("guest_mac", struct api_network_override, guest_mac, 1, BODY_ID_MAX,
		SCHEMA_NULLABLE | SCHEMA_OMIT),
};
static const struct schema network_override_schema =
	SCHEMA("network override", network_override_rows, SCHEMA_OPEN);

static const struct schema_row vsock_override_rows[] = {
	SCHEMA_STR(
		"uds_path", struct api_vsock_override, uds_path, 1, BODY_PATH_MAX, SCHEMA_REQUIRED),
};
static const struct schema vsock_override_schema =
	SCHEMA("vsock override", vsock_override_rows, SCHEMA_OPEN);

static const struct schema_row drive_override_rows[] = {
	SCHEMA_STR(
		"drive_id", struct api_drive_override, drive_id, 1, BODY_ID_MAX, SCHEMA_REQUIRED),
	SCHEMA_STR("path_on_host", struct api_drive_override, path_on_host, 1, BODY_PATH_MAX,
		SCHEMA_REQUIRED),
};
static const struct schema drive_override_schema =
	SCHEMA("drive override", drive_override_rows, SCHEMA_OPEN);

static const struct schema_name load_pages_names[] = {
	{"Snapshot", API_PAGES_SNAPSHOT},
	{"None", GMEM_PAGES_4K},
	{"Transparent", GMEM_PAGES_TRANSPARENT},
	{"2M", GMEM_PAGES_2M},
	{NULL, 0},
};

static const struct schema_row snapshot_load_rows[] = {
	SCHEMA_STR("snapshot_path", struct api_snapshot_load, snapshot_path, 1, BODY_PATH_MAX, 0),
	SCHEMA_OBJECT("mem_backend", struct api_snapshot_load, backend, has_backend,
		&mem_backend_schema, SCHEMA_NULLABLE),
	SCHEMA_STR("mem_file_path", struct api_snapshot_load, mem_file_path, 1, BODY_PATH_MAX,
		SCHEMA_NULLABLE | SCHEMA_DEPRECATED),
	SCHEMA_BOOL("track_dirty_pages", struct api_snapshot_load, track_dirty_pages, false, 0),
	SCHEMA_BOOL("enable_diff_snapshots", struct api_snapshot_load, enable_diff_snapshots, false,
		SCHEMA_DEPRECATED),
	SCHEMA_BOOL("resume_vm", struct api_snapshot_load, resume_vm, false, 0),
	SCHEMA_ARRAY("network_overrides", struct api_snapshot_load, nets, net_count,
		&network_override_schema, NULL, 0),
	SCHEMA_OBJECT("vsock_override", struct api_snapshot_load, vsock, has_vsock,
		&vsock_override_schema, SCHEMA_NULLABLE),
	SCHEMA_BOOL("clock_realtime", struct api_snapshot_load, clock_realtime, false, 0),
	SCHEMA_ENUM("huge_pages", struct api_snapshot_load, huge_pages, load_pages_names,
		API_PAGES_SNAPSHOT, 0),
	/* Ours. */
	SCHEMA_STR("fork_from", struct api_snapshot_load, fork_from, 1, SOCKET_PATH_MAX,
		SCHEMA_NULLABLE),
	SCHEMA_ARRAY("drive_overrides", struct api_snapshot_load, drives, drive_count,
		&drive_override_schema, NULL, 0),
	SCHEMA_BOOL("force", struct api_snapshot_load, force, false, 0),
	SCHEMA_STR("prefetch_path", struct api_snapshot_load, prefetch_path, 1, BODY_PATH_MAX,
		SCHEMA_NULLABLE),
};
const struct schema snapshot_load_schema = SCHEMA("snapshot load", snapshot_load_rows, 0);
