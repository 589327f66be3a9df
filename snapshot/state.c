/* SPDX-License-Identifier: Apache-2.0 */
/* State tables of the snapshot itself, and its list of sections. See image.h. */
#include "snapshot/image.h"

#include "virtio/blk.h"
#include "virtio/net.h"
#include "virtio/rng.h"
#include "virtio/vsock.h"
#include "vmm/base/check.h"

#include <errno.h>
#include <string.h>

#define REGION(id, member) FIELD(id, 1, struct snapshot_region, member, 0)
static const struct field region_fields[] = {
	REGION(1, start),
	REGION(2, size),
	REGION(3, file_offset),
};
static const struct field_table region_table =
	FIELD_TABLE("region", struct snapshot_region, region_fields, NULL);

static const struct field device_fields[] = {
	FIELD_ARRAY(1, 1, struct snapshot_device, class_name, 0),
	FIELD_ARRAY(2, 1, struct snapshot_device, id, 0),
};
static const struct field_table device_table =
	FIELD_TABLE("device", struct snapshot_device, device_fields, NULL);

#define INFO(id, member, max) FIELD(id, 1, struct snapshot_info, member, max)
#define INFO_TEXT(id, member) FIELD_ARRAY(id, 1, struct snapshot_info, member, 0)
static const struct field info_fields[] = {
	INFO_TEXT(1, monitor),
	INFO_TEXT(2, cpu_vendor),
	INFO(3, cpu_signature, 0),
	INFO_TEXT(4, cpu_brand),
	INFO(5, host_mark, 0),
	INFO(6, mem_size, GMEM_SIZE_MAX),
	INFO(7, created_s, 0),
	INFO(8, vcpu_count, LAYOUT_VCPUS_MAX),
	INFO(9, region_count, GMEM_REGIONS_MAX),
	FIELD_STRUCT_ARRAY(10, 1, struct snapshot_info, regions, &region_table),
	INFO(11, device_count, LAYOUT_VIRTIO_COUNT_MAX),
	INFO(12, reserved, 0),
	FIELD_STRUCT_ARRAY(13, 1, struct snapshot_info, devices, &device_table),
};

static int info_check(const void *state, struct err *e)
{
	const struct snapshot_info *s = state;

	if (s->vcpu_count == 0 || s->region_count == 0 || s->mem_size == 0 || s->reserved != 0)
		return err_set(e, -EINVAL, "snapshot: a machine without vCPU or memory");
	return 0;
}

const struct field_table snapshot_info_table =
	FIELD_TABLE("snapshot", struct snapshot_info, info_fields, info_check);

#define CLOCK(id, member) FIELD(id, 1, struct snapshot_clock, member, 0)
static const struct field clock_fields[] = {
	CLOCK(1, clock_ns),
	CLOCK(2, realtime_ns),
	CLOCK(3, host_tsc),
	CLOCK(4, flags),
	CLOCK(5, reserved),
};
const struct field_table snapshot_clock_table =
	FIELD_TABLE("clock", struct snapshot_clock, clock_fields, NULL);

#define LEAF(id, member) FIELD(id, 1, struct kvm_cpuid_entry2, member, 0)
static const struct field leaf_fields[] = {
	LEAF(1, function),
	LEAF(2, index),
	LEAF(3, flags),
	LEAF(4, eax),
	LEAF(5, ebx),
	LEAF(6, ecx),
	LEAF(7, edx),
	FIELD_ARRAY(8, 1, struct kvm_cpuid_entry2, padding, 0),
};
static const struct field_table leaf_table =
	FIELD_TABLE("cpuid-leaf", struct kvm_cpuid_entry2, leaf_fields, NULL);

static const struct field cpuid_fields[] = {
	FIELD(1, 1, struct cpuid_table, nent, CPUID_ENTRIES_MAX),
	FIELD(2, 1, struct cpuid_table, padding, 0),
	FIELD_STRUCT_ARRAY(3, 1, struct cpuid_table, entries, &leaf_table),
};
const struct field_table snapshot_cpuid_table =
	FIELD_TABLE("cpuid", struct cpuid_table, cpuid_fields, NULL);

const struct field_table *const snapshot_tables[] = {
	&snapshot_info_table,
	&snapshot_clock_table,
	&snapshot_cpuid_table,
};
const uint32_t snapshot_table_count = NELEM(snapshot_tables);

bool snapshot_section_known(uint32_t id)
{
	return id >= SNAPSHOT_INFO && id < SNAPSHOT_SECTION_END;
}

uint32_t snapshot_section_of_class(const char *class_name)
{
	static const struct {
		const char *name;
		uint32_t id;
	} classes[] = {
		{"block", SNAPSHOT_BLOCK},
		{"net", SNAPSHOT_NET},
		{"vsock", SNAPSHOT_VSOCK},
		{"entropy", SNAPSHOT_ENTROPY},
	};

	for (size_t i = 0; i < NELEM(classes); i++)
		if (strcmp(classes[i].name, class_name) == 0)
			return classes[i].id;
	return 0;
}

const struct field_table *snapshot_section_table(uint32_t id)
{
	static const struct field_table *const tables[SNAPSHOT_SECTION_END] = {
		[SNAPSHOT_INFO] = &snapshot_info_table,
		[SNAPSHOT_CPUID] = &snapshot_cpuid_table,
		[SNAPSHOT_CLOCK] = &snapshot_clock_table,
		[SNAPSHOT_VCPU] = &vcpu_state_table,
		[SNAPSHOT_IOAPIC] = &ioapic_state_table,
		[SNAPSHOT_UART] = &uart_state_table,
		[SNAPSHOT_I8042] = &i8042_state_table,
		[SNAPSHOT_VMGENID] = &vmgenid_state_table,
		[SNAPSHOT_VMCLOCK] = &vmclock_state_table,
		[SNAPSHOT_VIRTIO_MMIO] = &virtio_mmio_state_table,
		[SNAPSHOT_VIRTIO] = &virtio_dev_state_table,
		[SNAPSHOT_BLOCK] = &blk_state_table,
		[SNAPSHOT_NET] = &net_state_table,
		[SNAPSHOT_VSOCK] = &vsock_state_table,
		[SNAPSHOT_ENTROPY] = &rng_state_table,
	};

	return id < SNAPSHOT_SECTION_END ? tables[id] : NULL;
}

int snapshot_verify(const struct snapshot_reader *r, struct err *e)
{
	static uint64_t room[8192]; /* main thread only */

	for (uint32_t i = 0; i < r->section_count; i++) {
		const struct snapshot_section *s = &r->sections[i];
		const struct field_table *t = snapshot_section_table(s->id);
		int rc;

		if (!t)
			continue;
		CHECK(t->size <= sizeof(room));
		rc = snapshot_get_table(r, s->id, s->instance, t, room, e);
		if (rc < 0)
			return err_wrap(e, "section %s[%u]", s->name, s->instance);
	}
	return 0;
}
