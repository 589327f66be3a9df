/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VM is to be: the checked result of a configuration file (later also of API requests),
 * and the input of machine_create. Plain data; strings are owned heap copies, freed by
 * vm_config_fini. Main thread only.
 */
#pragma once

#include "virtio/device.h"
#include "virtio/net.h"
#include "virtio/rate_limiter.h"
#include "vmm/base/layout.h"
#include "vmm/base/log.h"
#include "vmm/mem/gmem.h"

#define VM_CONFIG_DRIVES_MAX LAYOUT_VIRTIO_COUNT_MAX
#define VM_CONFIG_NETS_MAX   LAYOUT_VIRTIO_COUNT_MAX
#define VM_CONFIG_BOOT_ARGS_DEFAULT                                                                \
	"reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd "         \
	"swiotlb=noforce"

struct vm_drive_config {
	char *drive_id;
	char *path_on_host;
	char *partuuid; /* or NULL; only with is_root_device */
	bool is_root_device;
	bool is_read_only;
	bool writeback;  /* cache_type Writeback */
	bool async;      /* io_engine Async: io_uring, where the host has it */
	bool direct;     /* ours: O_DIRECT, past the host's page cache */
	bool io_thread;  /* ours: served by a thread of its own */
	uint32_t queues; /* ours: 1 .. VIRTIO_QUEUES_MAX */
	bool has_rate_limiter;
	struct rate_limiter_config rate_limiter;
};

struct vm_net_config {
	char *iface_id;
	char *host_dev_name;  /* or NULL, with passt_socket */
	char *passt_socket;   /* ours: or NULL */
	char *guest_mac;      /* or NULL */
	uint32_t mtu;         /* 0: not offered */
	uint32_t queue_pairs; /* ours: 1 .. NET_PAIRS_MAX */
	bool has_rx_rate_limiter, has_tx_rate_limiter;
	struct rate_limiter_config rx_rate_limiter, tx_rate_limiter;
};

struct vm_config {
	/* boot-source */
	char *kernel_image_path;
	char *initrd_path; /* or NULL */
	char *boot_args;   /* or NULL: VM_CONFIG_BOOT_ARGS_DEFAULT */
	/* machine-config */
	uint32_t vcpu_count;   /* 1 .. LAYOUT_VCPUS_MAX */
	uint64_t mem_size_mib; /* > 0 */
	bool smt;
	bool track_dirty_pages;
	enum gmem_pages huge_pages;
	/* drives, in the order of the file */
	uint32_t drive_count;
	struct vm_drive_config drives[VM_CONFIG_DRIVES_MAX];
	/* network-interfaces */
	uint32_t net_count;
	struct vm_net_config nets[VM_CONFIG_NETS_MAX];
	/* vsock */
	bool has_vsock;
	uint32_t vsock_guest_cid;
	char *vsock_uds_path;
	char *vsock_id; /* deprecated, without effect; or NULL */
	/* entropy */
	bool has_entropy;
	bool has_entropy_limiter;
	struct rate_limiter_config entropy_limiter;
	/* logger */
	bool has_logger;
	char *log_path; /* or NULL: standard output */
	enum log_level log_level;
	bool show_level;
	bool show_log_origin;
	char *log_module; /* or NULL */
	/* metrics */
	char *metrics_path; /* or NULL: none */
};

/* Firecracker's defaults: 1 vCPU, 128 MiB, log level Info. */
void vm_config_init(struct vm_config *c);
void vm_config_fini(struct vm_config *c);
