/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in a state file: its sections, and those state structs that belong to the snapshot
 * itself instead of to a device. image.c reads them out of a paused machine, restore.c puts them
 * into a new one; state.c has the tables.
 */
#pragma once

#include "snapshot/format.h"
#include "virtio/mmio.h"
#include "vmm/kvm/cpuid.h"
#include "vmm/kvm/vcpu_state.h"
#include "vmm/legacy/i8042.h"
#include "vmm/legacy/uart.h"
#include "vmm/legacy/vmclock.h"
#include "vmm/legacy/vmgenid.h"
#include "vmm/svc/ioapic.h"

struct machine;

/* Never used again once a release has written one. */
enum snapshot_section_id {
	SNAPSHOT_INFO = 1,
	SNAPSHOT_CONFIG = 2, /* the VM's configuration, as the text of its JSON form */
	SNAPSHOT_CPUID = 3,
	SNAPSHOT_CLOCK = 4,
	SNAPSHOT_VCPU = 5, /* instance: its index */
	SNAPSHOT_IOAPIC = 6,
	SNAPSHOT_UART = 7,
	SNAPSHOT_I8042 = 8,
	SNAPSHOT_VMGENID = 9,
	SNAPSHOT_VMCLOCK = 10,
	SNAPSHOT_VIRTIO_MMIO = 11, /* instance of these: the device's place on the bus */
	SNAPSHOT_VIRTIO = 12,
	SNAPSHOT_BLOCK = 13,
	SNAPSHOT_NET = 14,
	SNAPSHOT_VSOCK = 15,
	SNAPSHOT_ENTROPY = 16,
	SNAPSHOT_SECTION_END,
};

bool snapshot_section_known(uint32_t id);
/* Decodes every section that this version knows, and checks it by itself. 0 or -EINVAL. */
int snapshot_verify(const struct snapshot_reader *r, struct err *e) MUST_USE;

/* How to decode a section. NULL: its bytes have another form, or the id is not known. */
const struct field_table *snapshot_section_table(uint32_t id);

/* The section of a device class by its ops' name, or 0. */
uint32_t snapshot_section_of_class(const char *class_name);

/* Texts are zero-filled, and need not have an end. */
struct snapshot_region {
	uint64_t start, size, file_offset;
};

struct snapshot_device {
	uint8_t class_name[16];
	uint8_t id[256];
};

struct snapshot_info {
	uint8_t monitor[32];    /* version that wrote it */
	uint8_t cpu_vendor[12]; /* of the host */
	uint32_t cpu_signature; /* CPUID leaf 1 EAX of the host: family, model, stepping */
	uint8_t cpu_brand[48];
	uint64_t host_mark; /* of CPU and kernel: see cpu_check.h */
	uint64_t mem_size;
	uint64_t created_s; /* wall clock */
	uint32_t vcpu_count;
	uint32_t region_count;
	struct snapshot_region regions[GMEM_REGIONS_MAX];
	uint32_t device_count;
	uint32_t reserved; /* zero */
	struct snapshot_device devices[LAYOUT_VIRTIO_COUNT_MAX];
};
extern const struct field_table snapshot_info_table;

struct snapshot_clock { /* struct kvm_clock_data */
	uint64_t clock_ns;
	uint64_t realtime_ns; /* wall clock at the same moment, if flags have KVM_CLOCK_REALTIME */
	uint64_t host_tsc;
	uint32_t flags;
	uint32_t reserved; /* zero */
};
extern const struct field_table snapshot_clock_table;
extern const struct field_table snapshot_cpuid_table; /* of struct cpuid_table */

/* The tables above, for the schema. */
extern const struct field_table *const snapshot_tables[];
extern const uint32_t snapshot_table_count;

/*
 * The whole state file of a paused machine. config is the text of its configuration. The caller
 * frees *ret_data. Reads only; -errno with *e.
 */
int image_make(struct machine *m, const char *config, uint8_t **ret_data, size_t *ret_len,
	struct err *e) MUST_USE;
