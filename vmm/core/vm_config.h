/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VM is to be: the checked result of a configuration file or of API requests,
 * and the input of machine_init. Plain data; strings are owned heap copies, freed by
 * vm_config_fini. Main thread only.
 */
#pragma once

#include "virtio/device.h"
#include "virtio/net.h"
#include "virtio/rate_limiter.h"
#include "vmm/base/layout.h"
#include "vmm/base/log.h"
#include "vmm/kvm/cpu_template.h"
#include "vmm/mem/gmem.h"

/* More than the machine has room for: what is too much is said when it starts. */
#define VM_CONFIG_DRIVES_MAX 64u
#define VM_CONFIG_NETS_MAX   64u
#define VM_CONFIG_BOOT_ARGS_DEFAULT                                                                \
	"reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd "         \
	"swiotlb=noforce"

#define VM_CONFIG_MMDS_IPV4_DEFAULT "169.254.169.254"

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
	enum cpu_template_name cpu_template;
	/* cpu-config */
	struct cpu_template *cpu_config; /* or NULL; takes the place of cpu_template */
	/* drives, in the order in which they were given */
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
	/* mmds-config */
	bool has_mmds;
	uint32_t mmds_version;  /* 1 or 2 */
	char *mmds_ipv4;        /* or NULL: VM_CONFIG_MMDS_IPV4_DEFAULT */
	char **mmds_interfaces; /* iface_ids, NULL behind the last; one block, see string_list.h */
	bool mmds_imds_compat;  /* answers are text, whatever the guest accepts */
	/* entropy */
	bool has_entropy;
	bool has_entropy_limiter;
	struct rate_limiter_config entropy_limiter;
	/* serial, by the API only */
	char *serial_out_path; /* or NULL: standard output */
	bool has_serial_limiter;
	struct token_bucket_config serial_limiter; /* tokens are bytes */
	/* logger */
	bool has_logger;
	char *log_path; /* or NULL: standard output */
	enum log_level log_level;
	bool show_level;
	bool show_log_origin;
	char *log_module; /* or NULL */
	/* metrics */
	char *metrics_path; /* or NULL: none */
	bool metrics_emit_id;
	char *metrics_properties; /* text of a JSON object of strings, or NULL */
};

/* Firecracker's defaults: 1 vCPU, 128 MiB, log level Info. */
void vm_config_init(struct vm_config *c);
/* The same for zeroed storage, which is not touched for more. */
void vm_config_set_defaults(struct vm_config *c);
void vm_config_fini(struct vm_config *c);

/*
 * What a request says of cpu_template: nothing (CPU_TEMPLATE_NONE) leaves every template as it is;
 * a name takes the place of all, "None" (CPU_TEMPLATE_CLEAR) ends them.
 */
void vm_config_take_cpu_template(struct vm_config *c, enum cpu_template_name given);
