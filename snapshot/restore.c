/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From sections to a machine. See restore.h. The order: CPUID before anything else of a vCPU, the
 * local APICs and the routes to them before devices, which may raise interrupts, and the news of
 * the new identity last, so that nothing of it is lost.
 */
#include "snapshot/restore.h"

#include "virtio/net.h"
#include "virtio/vsock.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define TSC_TOLERANCE_PPM 250u

/* The file says which devices there were; the configuration in it has made these. */
static int restore_check_devices(
	const struct snapshot_load *l, const struct machine *m, struct err *e)
{
	if (l->info.device_count != m->virtio_count)
		return err_set(e, -EINVAL, "there were %u devices, there are %u",
			l->info.device_count, m->virtio_count);
	for (uint32_t i = 0; i < m->virtio_count; i++) {
		const struct snapshot_device *s = &l->info.devices[i];
		const struct virtio_dev *d = m->virtio[i].dev;
		const char *class_name = (const char *)s->class_name, *id = (const char *)s->id;

		if (strncmp(class_name, d->ops->name, sizeof(s->class_name)) != 0 ||
			strncmp(id, d->id, sizeof(s->id)) != 0)
			return err_set(e, -EINVAL, "device %u was %.16s %.64s, it is %s %s", i,
				class_name, id, d->ops->name, d->id);
	}
	return 0;
}

/* TSCs may differ a little without anybody seeing it; more needs a CPU that can scale it. */
static int restore_tsc_rate(int fd, uint32_t saved_khz, bool force, struct err *e)
{
	int khz = ioctl(fd, KVM_GET_TSC_KHZ, 0);
	uint64_t difference;

	if (saved_khz == 0 || khz <= 0)
		return 0;
	difference =
		saved_khz > (uint32_t)khz ? saved_khz - (uint32_t)khz : (uint32_t)khz - saved_khz;
	if (difference * 1000000 <= (uint64_t)saved_khz * TSC_TOLERANCE_PPM ||
		ioctl(fd, KVM_SET_TSC_KHZ, (unsigned long)saved_khz) == 0)
		return 0;
	if (force) {
		log_warn("loaded by force: the TSC ran at %u kHz, here it runs at %d", saved_khz,
			khz);
		return 0;
	}
	return err_set(e, -ENOTSUP,
		"the guest's TSC ran at %u kHz, here it runs at %d and cannot be scaled", saved_khz,
		khz);
}

static int restore_vcpu(struct snapshot_load *l, int fd, uint32_t index, struct err *e)
{
	struct vcpu_state *state = &l->vcpu;
	int rc = snapshot_get_table(&l->reader, SNAPSHOT_VCPU, index, &vcpu_state_table, state, e);

	if (rc < 0)
		return rc;
	cpuid_set_apic_id(&l->cpuid, index);
	if (ioctl(fd, KVM_SET_CPUID2, &l->cpuid) < 0)
		return err_set_os(e, -errno, "KVM_SET_CPUID2");
	rc = restore_tsc_rate(fd, state->tsc_khz, l->o.force, e);
	return rc < 0 ? rc : vcpu_state_load(fd, state, e);
}

static int restore_vcpus(struct snapshot_load *l, struct machine *m, struct err *e)
{
	for (uint32_t i = 0; i < m->vcpus.count; i++)
		if (restore_vcpu(l, m->vcpus.vcpu[i].fd, i, e) < 0)
			return err_wrap(e, "vCPU %u", i);
	return 0;
}

static int restore_legacy(struct snapshot_load *l, struct machine *m, struct err *e)
{
	const struct snapshot_reader *r = &l->reader;
	struct vmgenid_state old_id;
	struct uart_state uart;
	struct i8042_state i8042;
	int rc;

	if ((rc = snapshot_get_table(
		     r, SNAPSHOT_IOAPIC, 0, &ioapic_state_table, &m->ioapic.st, e)) < 0 ||
		(rc = snapshot_get_table(r, SNAPSHOT_UART, 0, &uart_state_table, &uart, e)) < 0 ||
		(rc = snapshot_get_table(r, SNAPSHOT_I8042, 0, &i8042_state_table, &i8042, e)) <
			0 ||
		(rc = snapshot_get_table(
			 r, SNAPSHOT_VMGENID, 0, &vmgenid_state_table, &old_id, e)) < 0 ||
		(rc = snapshot_get_table(
			 r, SNAPSHOT_VMCLOCK, 0, &vmclock_state_table, &m->vmclock.st, e)) < 0)
		return rc;
	rc = ioapic_sync_routes(&m->ioapic);
	if (rc < 0)
		return err_set_os(e, rc, "the interrupt routes");
	uart_load(&m->uart, &uart);
	i8042_load(&m->i8042, &i8042);
	return 0;
}

/* A MAC address may have been given anew; the configuration has it. */
static void restore_net_mac(const struct machine *m, const char *id, struct net_state *s)
{
	for (uint32_t i = 0; i < m->config->net_count; i++) {
		const struct vm_net_config *c = &m->config->nets[i];

		if (s->has_mac && c->guest_mac && strcmp(c->iface_id, id) == 0)
			(void)!net_mac_parse(c->guest_mac, s->mac);
	}
}

/* What only the class knows. */
static int restore_class(struct snapshot_load *l, struct machine *m, uint32_t index, struct err *e)
{
	static union {
		struct net_state net;
		uint64_t room[512];
	} state;
	struct virtio_dev *d = m->virtio[index].dev;
	uint32_t section = snapshot_section_of_class(d->ops->name);
	int rc;

	if (!d->ops->state)
		return 0;
	if (d->ops->state->size > sizeof(state))
		return err_set(e, -E2BIG, "its state has %u bytes", d->ops->state->size);
	rc = snapshot_get_table(&l->reader, section, index, d->ops->state, &state, e);
	if (rc < 0)
		return rc;
	if (section == SNAPSHOT_NET)
		restore_net_mac(m, d->id, &state.net);
	virtio_dev_lock(d);
	if (d->ops->load)
		rc = d->ops->load(d, &state, e);
	else
		memcpy(d->state, &state, d->ops->state->size);
	virtio_dev_unlock(d);
	return rc;
}

/* The class before the common part, which sets the device to work. */
static int restore_device(struct snapshot_load *l, struct machine *m, uint32_t index, struct err *e)
{
	static struct virtio_dev_state common;
	struct machine_virtio *v = &m->virtio[index];
	struct virtio_mmio_state transport;
	int rc;

	if ((rc = restore_class(l, m, index, e)) < 0 ||
		(rc = snapshot_get_table(&l->reader, SNAPSHOT_VIRTIO, index,
			 &virtio_dev_state_table, &common, e)) < 0 ||
		(rc = snapshot_get_table(&l->reader, SNAPSHOT_VIRTIO_MMIO, index,
			 &virtio_mmio_state_table, &transport, e)) < 0 ||
		(rc = virtio_dev_load(v->dev, &common, e)) < 0)
		return rc;
	return virtio_mmio_load(&v->mmio, &transport, e);
}

static int restore_devices(struct snapshot_load *l, struct machine *m, struct err *e)
{
	for (uint32_t i = 0; i < m->virtio_count; i++)
		if (restore_device(l, m, i, e) < 0)
			return err_wrap(e, "device %s %s", m->virtio[i].dev->ops->name,
				m->virtio[i].dev->id);
	return 0;
}

/* The new VMGenID is in guest memory since the device was made: here it is told. */
static int restore_identity(struct machine *m, struct err *e)
{
	irq_line_raise(&m->vmgenid.irq);
	for (uint32_t i = 0; i < m->virtio_count; i++)
		if (snapshot_section_of_class(m->virtio[i].dev->ops->name) == SNAPSHOT_VSOCK)
			vsock_transport_reset(m->virtio[i].dev);
	return vmclock_disrupt(&m->vmclock, &m->mem) < 0
		       ? err_set(e, -EFAULT, "vmclock: its page is not in guest memory")
		       : 0;
}

static int restore_clock(struct snapshot_load *l, struct machine *m, struct err *e)
{
	struct snapshot_clock s;
	int rc = snapshot_get_table(&l->reader, SNAPSHOT_CLOCK, 0, &snapshot_clock_table, &s, e);

	if (rc < 0)
		return rc;
	if (l->o.clock_realtime && !(s.flags & KVM_CLOCK_REALTIME))
		return err_set(e, -ENOTSUP,
			"clock_realtime: the snapshot has no reading of the wall clock: it was "
			"made on a host without it");
	m->clock = (struct kvm_clock_data){
		.clock = s.clock_ns,
		.realtime = l->o.clock_realtime ? s.realtime_ns : 0,
		.flags = l->o.clock_realtime ? KVM_CLOCK_REALTIME : 0,
	};
	m->clock_waits = true;
	return 0;
}

int restore_machine(struct snapshot_load *l, struct machine *m, struct err *e)
{
	struct metrics_restore *phases = l->o.phases;
	int rc;

	if ((rc = restore_check_devices(l, m, e)) < 0 || (rc = restore_vcpus(l, m, e)) < 0)
		return rc;
	load_phase(l, phases ? &phases->vcpus_agg : NULL);
	if ((rc = restore_legacy(l, m, e)) < 0 || (rc = restore_devices(l, m, e)) < 0 ||
		(rc = restore_clock(l, m, e)) < 0 || (rc = restore_identity(m, e)) < 0)
		return rc;
	load_phase(l, phases ? &phases->devices_agg : NULL);
	m->paused = true;
	return 0;
}
