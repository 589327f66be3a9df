/* SPDX-License-Identifier: Apache-2.0 */
/* From a paused machine to the bytes of its state file. See image.h. */
#include "snapshot/image.h"

#include "snapshot/cpu_check.h"
#include "vmm/base/check.h"
#include "vmm/base/clock.h"
#include "vmm/core/machine.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

static void text_put(uint8_t *ret, size_t size, const char *text)
{
	memset(ret, 0, size);
	memcpy(ret, text, strnlen(text, size));
}

static void image_put_info(struct snapshot_writer *w, const struct machine *m)
{
	static struct snapshot_info info; /* 6 KiB; main thread only */

	info = (struct snapshot_info){
		.mem_size = m->mem.size,
		.created_s = clock_real_ns() / (uint64_t)CLOCK_NS_PER_S,
		.vcpu_count = m->vcpus.count,
		.region_count = m->mem.region_count,
		.device_count = m->virtio_count,
	};
	text_put(info.monitor, sizeof(info.monitor), MAYFLY_VERSION);
	cpu_check_identify(&info);
	for (uint32_t i = 0; i < m->mem.region_count; i++)
		info.regions[i] = (struct snapshot_region){
			.start = m->mem.regions[i].start.v,
			.size = m->mem.regions[i].size,
			.file_offset = m->mem.regions[i].file_offset,
		};
	for (uint32_t i = 0; i < m->virtio_count; i++) {
		const struct virtio_dev *d = m->virtio[i].dev;

		text_put(info.devices[i].class_name, sizeof(info.devices[i].class_name),
			d->ops->name);
		text_put(info.devices[i].id, sizeof(info.devices[i].id), d->id);
	}
	snapshot_put_table(w, SNAPSHOT_INFO, 0, &snapshot_info_table, &info);
}

/*
 * What the guest was given; the APIC ids in it are those of vCPU 0.
 * #syscalls:main ioctl:1=KVM_GET_CPUID2
 */
static int image_put_cpuid(struct snapshot_writer *w, const struct machine *m, struct err *e)
{
	static struct cpuid_table table;

	memset(&table, 0, sizeof(table));
	table.nent = CPUID_ENTRIES_MAX;
	if (ioctl(m->vcpus.vcpu[0].fd, KVM_GET_CPUID2, &table) < 0)
		return err_set_os(e, -errno, "KVM_GET_CPUID2");
	snapshot_put_table(w, SNAPSHOT_CPUID, 0, &snapshot_cpuid_table, &table);
	return 0;
}

/* #syscalls:main ioctl:1=KVM_GET_CLOCK */
static int image_put_clock(struct snapshot_writer *w, const struct machine *m, struct err *e)
{
	struct kvm_clock_data c = {0};
	struct snapshot_clock s;

	if (ioctl(m->vm.fd, KVM_GET_CLOCK, &c) < 0)
		return err_set_os(e, -errno, "KVM_GET_CLOCK");
	s = (struct snapshot_clock){
		.clock_ns = c.clock,
		.realtime_ns = c.realtime,
		.host_tsc = c.host_tsc,
		.flags = c.flags,
	};
	/*
	 * Loaded, and not run since: the clock has not been set yet. It stands where the snapshot had it: now, or, if
	 * the guest's wall clock is to be made right, then.
	 */
	if (m->clock_waits) {
		s.clock_ns = m->clock.clock;
		if (m->clock.flags & KVM_CLOCK_REALTIME) {
			s.realtime_ns = m->clock.realtime;
			s.flags = m->clock.flags;
		}
	}
	snapshot_put_table(w, SNAPSHOT_CLOCK, 0, &snapshot_clock_table, &s);
	return 0;
}

struct msr_list {
	uint32_t count;
	uint32_t indices[1024];
};

/* #syscalls:main ioctl:1=KVM_GET_MSR_INDEX_LIST */
static int image_list_msrs(const struct machine *m, struct msr_list *ret, struct err *e)
{
	ret->count = NELEM(ret->indices);
	if (ioctl(m->vm.kvm_fd, KVM_GET_MSR_INDEX_LIST, ret) < 0)
		return err_set_os(e, -errno, "KVM_GET_MSR_INDEX_LIST");
	return 0;
}

/*
 * #syscalls:main ioctl:1=KVM_CHECK_EXTENSION ioctl:1=KVM_GET_MP_STATE ioctl:1=KVM_GET_REGS
 * #syscalls:main ioctl:1=KVM_GET_SREGS ioctl:1=KVM_GET_XSAVE ioctl:1=KVM_GET_XSAVE2
 * #syscalls:main ioctl:1=KVM_GET_XCRS ioctl:1=KVM_GET_DEBUGREGS ioctl:1=KVM_GET_LAPIC
 * #syscalls:main ioctl:1=KVM_GET_VCPU_EVENTS ioctl:1=KVM_GET_MSRS ioctl:1=KVM_GET_TSC_KHZ
 */
static int image_put_vcpus(struct snapshot_writer *w, const struct machine *m, struct err *e)
{
	static struct vcpu_state state; /* 20 KiB */
	static struct msr_list msrs;
	int size = ioctl(m->vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
	int rc = image_list_msrs(m, &msrs, e);

	if (size < (int)sizeof(struct kvm_xsave))
		size = (int)sizeof(struct kvm_xsave);
	if (rc == 0 && size > (int)VCPU_XSAVE_SIZE_MAX)
		return err_set(e, -E2BIG, "vCPU state: XSAVE takes %d bytes, %u are the most", size,
			VCPU_XSAVE_SIZE_MAX);
	for (uint32_t i = 0; rc == 0 && i < m->vcpus.count; i++) {
		rc = vcpu_state_save(
			m->vcpus.vcpu[i].fd, (uint32_t)size, msrs.indices, msrs.count, &state, e);
		if (rc < 0)
			return err_wrap(e, "vCPU %u", i);
		snapshot_put_table(w, SNAPSHOT_VCPU, i, &vcpu_state_table, &state);
	}
	return rc;
}

static void image_put_legacy(struct snapshot_writer *w, const struct machine *m)
{
	snapshot_put_table(w, SNAPSHOT_IOAPIC, 0, &ioapic_state_table, &m->ioapic.st);
	snapshot_put_table(w, SNAPSHOT_UART, 0, &uart_state_table, &m->uart.st);
	snapshot_put_table(w, SNAPSHOT_I8042, 0, &i8042_state_table, &m->i8042.st);
	snapshot_put_table(w, SNAPSHOT_VMGENID, 0, &vmgenid_state_table, &m->vmgenid.st);
	snapshot_put_table(w, SNAPSHOT_VMCLOCK, 0, &vmclock_state_table, &m->vmclock.st);
}

static void image_put_device(struct snapshot_writer *w, struct machine *m, uint32_t index)
{
	static struct virtio_dev_state common;
	struct machine_virtio *v = &m->virtio[index];
	uint32_t id = snapshot_section_of_class(v->dev->ops->name);
	struct virtio_mmio_state transport;

	CHECK(id != 0);
	virtio_dev_save(v->dev, &common);
	virtio_mmio_save(&v->mmio, &transport);
	snapshot_put_table(w, SNAPSHOT_VIRTIO, index, &virtio_dev_state_table, &common);
	snapshot_put_table(w, SNAPSHOT_VIRTIO_MMIO, index, &virtio_mmio_state_table, &transport);
	if (v->dev->ops->state)
		snapshot_put_table(w, id, index, v->dev->ops->state, v->dev->state);
}

int image_make(
	struct machine *m, const char *config, uint8_t **ret_data, size_t *ret_len, struct err *e)
{
	struct snapshot_writer w;
	struct err ignored;
	int rc;

	CHECK(m->paused);
	snapshot_begin(&w);
	image_put_info(&w, m);
	snapshot_put_bytes(
		&w, SNAPSHOT_CONFIG, 0, SNAPSHOT_REQUIRED, "config", config, strlen(config));
	if ((rc = image_put_cpuid(&w, m, e)) == 0 && (rc = image_put_clock(&w, m, e)) == 0)
		rc = image_put_vcpus(&w, m, e);
	image_put_legacy(&w, m);
	for (uint32_t i = 0; i < m->virtio_count; i++)
		image_put_device(&w, m, i);
	if (rc == 0)
		return snapshot_finish(&w, ret_data, ret_len, e);
	w.failed = true; /* gives the bytes back */
	(void)!snapshot_finish(&w, ret_data, ret_len, &ignored);
	return rc;
}
