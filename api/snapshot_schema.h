/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of /snapshot/create, /snapshot/fork and /snapshot/load. Strings are owned by the body. */
#pragma once

#include "api/schema.h"
#include "snapshot/fork.h"
#include "vmm/core/vm_config.h"

struct api_snapshot_create {
	char *snapshot_path;
	char *mem_file_path;
	bool diff;
};

/* Ours. */
struct api_drive_clone {
	char *drive_id;
	char *path;
};

struct api_snapshot_fork {
	char *socket_path;
	uint32_t clone_count;
	struct api_drive_clone clones[FORK_CLONES_MAX];
	uint32_t children;
	uint32_t timeout_ms;
};

/* What the VM is to use instead of what is in the snapshot. */
struct api_network_override {
	char *iface_id;
	char *host_dev_name; /* or NULL, with passt_socket */
	char *passt_socket;  /* ours: instead of a tap; or NULL */
	char *guest_mac;     /* ours; or NULL */
};

struct api_drive_override { /* ours */
	char *drive_id;
	char *path_on_host;
};

#define API_PAGES_SNAPSHOT 0xffu /* huge_pages as they were */

struct api_snapshot_load {
	char *snapshot_path; /* or NULL, with fork_from */
	char *fork_from;     /* ours: the socket of a fork, instead of any file; or NULL */
	char *mem_file_path; /* deprecated; or NULL */
	char *prefetch_path; /* ours: a diff whose pages are brought at once; or NULL */
	bool has_backend;
	struct api_mem_backend {
		uint32_t uffd;
		char *path;
	} backend;
	bool track_dirty_pages;
	bool enable_diff_snapshots; /* deprecated, the same */
	bool resume_vm;
	bool clock_realtime;
	bool force;          /* ours: load also on a CPU that lacks features */
	uint32_t huge_pages; /* enum gmem_pages or API_PAGES_SNAPSHOT */
	bool has_vsock;
	struct api_vsock_override {
		char *uds_path;
	} vsock;
	uint32_t net_count;
	struct api_network_override nets[VM_CONFIG_NETS_MAX];
	uint32_t drive_count;
	struct api_drive_override drives[VM_CONFIG_DRIVES_MAX];
};

extern const struct schema snapshot_create_schema; /* into struct api_snapshot_create */
extern const struct schema snapshot_fork_schema;   /* into struct api_snapshot_fork */
extern const struct schema snapshot_load_schema;   /* into struct api_snapshot_load */
