/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting a machine together. The order of steps is the design: memory slots before the irqchip,
 * the irqchip before the vCPUs, irqfds last (vmm/kvm/vm.h says why). What takes long and needs nothing
 * else runs beside the rest: the fetching of CPUID, and the vCPU threads, which put their filters on
 * and park.
 */
#include "vmm/core/machine.h"

#include "seccomp/seccomp.h"
#include "virtio/blk.h"
#include "virtio/net.h"
#include "virtio/rng.h"
#include "virtio/vsock.h"
#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"
#include "vmm/boot/acpi.h"
#include "vmm/boot/boot.h"
#include "vmm/core/cmdline.h"
#include "vmm/core/metrics_sources.h"
#include "vmm/kvm/cpuid.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

#define MACHINE_FDS_MAX          256
#define MACHINE_SLOW_KICKS       64
#define MSR_IA32_MISC_ENABLE     0x1a0u
#define MISC_ENABLE_FAST_STRINGS 1u
#define MSR_MTRR_DEF_TYPE        0x2ffu
#define MTRR_ENABLED_WRITE_BACK  0x806u

/* ---- ends and events; any thread ---- */

/* #syscalls:* write */
void machine_end(struct machine *m, enum vm_end end)
{
	uint32_t none = VM_END_NONE;
	uint64_t one = 1;

	if (!__atomic_compare_exchange_n(
		    &m->end, &none, (uint32_t)end, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return;
	timeline_set(m->timeline, TIMELINE_EXIT);
	vcpus_halt(&m->vcpus);
	(void)!write(m->end_fd, &one, sizeof(one));
}

static void machine_on_guest_end(void *ctx, enum vm_end end)
{
	machine_end(ctx, end);
}

static void machine_on_panic(void *ctx)
{
	struct machine *m = ctx;

	if (__atomic_exchange_n(&m->panicked, 1, __ATOMIC_RELAXED))
		return;
	log_warn("the guest's kernel panicked (pvpanic)");
	supervisor_send(&m->supervisor, "panicked");
}

static void machine_on_booted(void *ctx)
{
	struct machine *m = ctx;
	uint64_t wall_us, cpu_us = clock_process_cpu_ns() / CLOCK_NS_PER_US;

	timeline_set(m->timeline, TIMELINE_INIT);
	wall_us = (m->timeline->at_ns[TIMELINE_INIT] - m->timeline->at_ns[TIMELINE_PROCESS_START]) /
		  CLOCK_NS_PER_US;
	log_guest(LOG_INFO, "Guest-boot-time = %6llu us %llu ms, %6llu CPU us %llu CPU ms",
		(unsigned long long)wall_us, (unsigned long long)wall_us / 1000,
		(unsigned long long)cpu_us, (unsigned long long)cpu_us / 1000);
}

/* ---- events on the main thread ---- */

static void machine_on_end(void *ctx, uint32_t events)
{
	struct machine *m = ctx;

	(void)events;
	loop_stop(&m->loop);
}

/* #syscalls:main read */
static void machine_on_timer(void *ctx, uint32_t events)
{
	struct machine *m = ctx;
	uint64_t count;

	(void)events;
	if (read(m->timer_fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
		(void)metrics_flush(m->metrics);
}

/*
 * A queue gets its ioeventfd when it has proved busy; until then its kicks come by an exit of the vCPU,
 * some microseconds slower each. A VM that ends soon after an ioeventfd was made waits for a grace
 * period of the kernel, some 15 ms: more than a short-lived VM takes in all. Also on I/O threads.
 */
static void machine_on_kick(void *ctx, uint32_t events)
{
	struct machine_kick *k = ctx;
	struct err e = {0};

	(void)events;
	if (k->slow_count < MACHINE_SLOW_KICKS && ++k->slow_count == MACHINE_SLOW_KICKS &&
		kvm_vm_add_ioeventfd(
			&k->owner->machine->vm, k->notify, k->queue, k->source.fd, &e) < 0)
		log_warn("%s: its kicks stay slow: %s", k->owner->dev->id, e.msg);
	virtio_mmio_kicked(&k->owner->mmio, k->queue);
}

static void machine_on_power_button(void *ctx)
{
	struct machine *m = ctx;

	log_info("power button pressed");
	irq_line_raise(&m->power_button_irq);
}

static void machine_on_stop(void *ctx)
{
	machine_end(ctx, VM_END_STOPPED);
}

static const struct supervisor_ops machine_supervisor_ops = {
	.power_button = machine_on_power_button,
	.stop = machine_on_stop,
};

/* ---- building ---- */

static int machine_init_memory(struct machine *m, struct err *e)
{
	const struct vm_config *c = m->config;
	struct gmem_config mc = {
		.pages = c->huge_pages,
		.track_dirty = c->track_dirty_pages,
	};
	int rc;

	if (c->mem_size_mib > GMEM_SIZE_MAX / MIB)
		return err_set(e, -ENOMEM,
			"Invalid Memory Configuration: Cannot create mmap region: "
			"machine-config.mem_size_mib is %llu, at most %llu are possible",
			(unsigned long long)c->mem_size_mib,
			(unsigned long long)(GMEM_SIZE_MAX / MIB));
	mc.size = c->mem_size_mib * MIB;
	rc = gmem_init(&m->mem, &mc, e);
	if (rc < 0)
		return rc;
	return kvm_vm_map_memory(&m->vm, &m->mem, c->track_dirty_pages, e);
}

static int machine_set_routes(void *ctx, const struct kvm_irq_routing_entry *routes, uint32_t count)
{
	return kvm_vm_set_routes(ctx, routes, count);
}

/* Who answers where. */
static int machine_fill_buses(struct machine *m, struct err *e)
{
	const struct {
		struct bus *bus;
		uint64_t start, size;
		const struct bus_ops *ops;
		void *dev;
	} rows[] = {
		{&m->ports, LAYOUT_PORT_COM1, UART_PORT_COUNT, &uart_bus_ops, &m->uart},
		{&m->ports, LAYOUT_PORT_I8042_DATA, 1, &i8042_data_bus_ops, &m->i8042},
		{&m->ports, LAYOUT_PORT_I8042_CMD, 1, &i8042_cmd_bus_ops, &m->i8042},
		{&m->ports, LAYOUT_PORT_ACPI_SLEEP, POWER_PORT_COUNT, &power_bus_ops, &m->power},
		{&m->ports, LAYOUT_PORT_PVPANIC, 1, &pvpanic_bus_ops, &m->pvpanic},
		{&m->mmio, LAYOUT_BOOT_TIMER, BOOT_TIMER_SIZE, &boot_timer_bus_ops, &m->boot_timer},
		{&m->mmio, LAYOUT_IOAPIC, IOAPIC_SIZE, &ioapic_bus_ops, &m->ioapic},
	};

	for (size_t i = 0; i < NELEM(rows); i++) {
		int rc = bus_add(
			rows[i].bus, rows[i].start, rows[i].size, rows[i].ops, rows[i].dev, e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int machine_init_legacy(struct machine *m, struct err *e)
{
	int rc;

	m->power = (struct power){.end = machine_on_guest_end, .end_ctx = m};
	m->pvpanic = (struct pvpanic){.panicked = machine_on_panic, .ctx = m};
	m->boot_timer = (struct boot_timer){.booted = machine_on_booted, .ctx = m};
	i8042_init(&m->i8042, machine_on_guest_end, m);
	ioapic_init(&m->ioapic, machine_set_routes, &m->vm);
	if ((rc = irq_line_init(&m->com1_irq, e)) < 0 ||
		(rc = irq_line_init(&m->power_button_irq, e)) < 0 ||
		(rc = vmgenid_init(&m->vmgenid, &m->mem, e)) < 0 ||
		(rc = vmclock_init(&m->vmclock, &m->mem, e)) < 0 ||
		(rc = console_init(&m->console, e)) < 0)
		return rc;
	uart_init(&m->uart, &m->com1_irq, m->console.out_fd, m->console.kick_fd);
	return machine_fill_buses(m, e);
}

/* Takes dev over, also on failure. Its place on the bus follows from the order of calls. */
static int machine_attach(struct machine *m, struct virtio_dev *dev, struct err *e)
{
	struct machine_virtio *v = &m->virtio[m->virtio_count];
	int rc;

	if (m->virtio_count == LAYOUT_VIRTIO_COUNT_MAX) {
		dev->ops->destroy(dev);
		return err_set(e, -ENOSPC,
			"Could not allocate GSI: The requested resource is not available.: "
			"%u virtio devices are the most",
			LAYOUT_VIRTIO_COUNT_MAX);
	}
	rc = virtio_mmio_init(&v->mmio, dev, e);
	if (rc < 0) {
		dev->ops->destroy(dev);
		return rc;
	}
	v->machine = m;
	v->dev = dev;
	v->loop = &m->loop;
	rc = bus_add(&m->mmio, LAYOUT_VIRTIO_MMIO + m->virtio_count * LAYOUT_VIRTIO_MMIO_SIZE,
		LAYOUT_VIRTIO_MMIO_SIZE, &virtio_mmio_bus_ops, &v->mmio, e);
	m->virtio_count++;
	return rc;
}

/* A loop with a thread of its own. */
static int machine_add_io_thread(struct machine *m, struct loop **ret, struct err *e)
{
	struct io_thread *t;
	int rc;

	if (m->io_thread_count == LAYOUT_VIRTIO_COUNT_MAX)
		return err_set(e, -ENOSPC, "more drives than places for them");
	t = calloc(1, sizeof(*t));
	if (!t)
		return err_set_os(e, -ENOMEM, "I/O thread");
	rc = io_thread_init(t, m->io_thread_count, e);
	if (rc < 0) {
		free(t);
		return rc;
	}
	t->seccomp = m->seccomp;
	t->end = machine_on_guest_end;
	t->end_ctx = m;
	m->io_threads[m->io_thread_count++] = t;
	*ret = &t->loop;
	return 0;
}

static int machine_add_drive(struct machine *m, const struct vm_drive_config *d, struct err *e)
{
	struct blk_config bc = {
		.drive_id = d->drive_id,
		.path = d->path_on_host,
		.fd = -1,
		.read_only = d->is_read_only,
		.writeback = d->writeback,
		.direct = d->direct,
		.async = d->async,
		.queues = (uint16_t)d->queues,
		.limiter = d->has_rate_limiter ? &d->rate_limiter : NULL,
		.loop = &m->loop,
	};
	struct virtio_dev *dev;
	int rc;

	if (d->io_thread && (rc = machine_add_io_thread(m, &bc.loop, e)) < 0)
		return rc;
	rc = blk_create(&m->mem, &bc, &dev, e);
	if (rc < 0)
		return err_wrap(e, "drives.%s", d->drive_id);
	rc = machine_attach(m, dev, e);
	if (rc < 0)
		return rc;
	m->virtio[m->virtio_count - 1].loop = bc.loop;
	return metrics_add_blk(m->metrics, d->drive_id, blk_counters_get(dev), e);
}

static int machine_add_net(struct machine *m, const struct vm_net_config *c, struct err *e)
{
	uint8_t mac[NET_MAC_SIZE];
	struct net_config nc = {
		.iface_id = c->iface_id,
		.host_dev_name = c->host_dev_name,
		.passt_socket = c->passt_socket,
		.mtu = (uint16_t)c->mtu,
		.queue_pairs = (uint16_t)c->queue_pairs,
		.rx_rate_limiter = c->has_rx_rate_limiter ? &c->rx_rate_limiter : NULL,
		.tx_rate_limiter = c->has_tx_rate_limiter ? &c->tx_rate_limiter : NULL,
	};
	struct virtio_dev *dev;
	int rc;

	if (c->guest_mac && net_mac_parse(c->guest_mac, mac) == 0)
		nc.guest_mac = mac;
	rc = net_create(&m->mem, &m->loop, &nc, &dev, e);
	if (rc < 0)
		return rc;
	rc = machine_attach(m, dev, e);
	return rc < 0 ? rc : metrics_add_net(m->metrics, c->iface_id, net_counters_get(dev), e);
}

static int machine_add_vsock(struct machine *m, struct err *e)
{
	const struct vsock_config vc = {
		.guest_cid = m->config->vsock_guest_cid,
		.uds_path = m->config->vsock_uds_path,
	};
	struct virtio_dev *dev;
	int rc = vsock_create(&m->mem, &m->loop, &vc, &dev, e);

	if (rc < 0)
		return rc;
	rc = machine_attach(m, dev, e);
	return rc < 0 ? rc : metrics_add_vsock(m->metrics, vsock_counters_get(dev), e);
}

/*
 * The device list, in the order of the bus: the root drive, the other drives, network
 * interfaces, vsock, entropy.
 */
static int machine_init_virtio(struct machine *m, struct err *e)
{
	const struct vm_config *c = m->config;
	struct virtio_dev *dev;
	int rc;

	for (int root = 1; root >= 0; root--) {
		for (uint32_t i = 0; i < c->drive_count; i++) {
			if (c->drives[i].is_root_device != (root == 1))
				continue;
			rc = machine_add_drive(m, &c->drives[i], e);
			if (rc < 0)
				return rc;
		}
	}
	for (uint32_t i = 0; i < c->net_count; i++)
		if ((rc = machine_add_net(m, &c->nets[i], e)) < 0)
			return rc;
	if (c->has_vsock && (rc = machine_add_vsock(m, e)) < 0)
		return rc;
	if (!c->has_entropy)
		return 0;
	rc = rng_create(&m->mem,
		&(struct rng_config){
			.limiter = c->has_entropy_limiter ? &c->entropy_limiter : NULL,
			.loop = &m->loop,
		},
		&dev, e);
	if (rc < 0)
		return rc;
	rc = machine_attach(m, dev, e);
	return rc < 0 ? rc : metrics_add_rng(m->metrics, rng_counters_get(dev), e);
}

static int machine_open(const char *path, const char *field, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 ? fd : err_set_os(e, -errno, "boot-source.%s: cannot open %s", field, path);
}

static int machine_load_kernel(struct machine *m, struct boot_entry *ret_entry, struct err *e)
{
	const struct vm_config *c = m->config;
	CLEANUP_FD
	int kernel_fd = -1;
	CLEANUP_FD
	int initrd_fd = -1;
	uint32_t apic_ids[LAYOUT_VCPUS_MAX];
	struct acpi_config ac = {
		.vcpu_count = c->vcpu_count,
		.apic_ids = apic_ids,
		.virtio_count = m->virtio_count,
	};
	struct cmdline line;
	gpa_t rsdp;
	int rc;

	for (uint32_t i = 0; i < LAYOUT_VCPUS_MAX; i++)
		apic_ids[i] = i;
	kernel_fd = machine_open(c->kernel_image_path, "kernel_image_path", e);
	if (kernel_fd < 0)
		return kernel_fd;
	if (c->initrd_path) {
		initrd_fd = machine_open(c->initrd_path, "initrd_path", e);
		if (initrd_fd < 0)
			return initrd_fd;
	}
	if ((rc = cmdline_build(&line, c, m->virtio_count, e)) < 0 ||
		(rc = acpi_build(&m->mem, &ac, &rsdp, e)) < 0)
		return rc;
	log_debug("kernel command line: %s", line.text);
	struct boot_config bc = {
		.kernel_fd = kernel_fd,
		.initrd_fd = initrd_fd,
		.cmdline = line.text,
		.rsdp = rsdp,
	};

	rc = boot_load(&m->mem, &bc, ret_entry, e);
	if (rc < 0)
		return err_wrap(e, "boot-source");
	if (ret_entry->protocol == BOOT_PROTOCOL_PVH)
		log_info("Kernel loaded using PVH boot protocol");
	return rc;
}

/* Memory types: everything write-back; string moves fast. What firmware would have set. */
static int machine_set_msrs(int fd, struct err *e)
{
	static const struct kvm_msr_entry entries[] = {
		{.index = MSR_IA32_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRINGS},
		{.index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLED_WRITE_BACK},
	};
	union {
		struct kvm_msrs head;
		unsigned char bytes[sizeof(struct kvm_msrs) + sizeof(entries)];
	} msrs;

	memset(&msrs, 0, sizeof(msrs));
	msrs.head.nmsrs = NELEM(entries);
	memcpy(msrs.bytes + sizeof(msrs.head), entries, sizeof(entries));
	return ioctl(fd, KVM_SET_MSRS, &msrs) == 2 ? 0 : err_set_os(e, -errno, "KVM_SET_MSRS");
}

static int machine_set_cpuid(struct machine *m, struct err *e)
{
	struct cpuid_table *table = &m->cpuid.table;
	struct cpuid_topology topo = {
		.vcpu_count = m->vcpus.count,
		.smt = m->config->smt,
		.tsc_deadline = true,
	};
	int rc = cpuid_fetch_join(&m->cpuid, e);
	int khz = ioctl(m->vcpus.vcpu[0].fd, KVM_GET_TSC_KHZ, 0);

	if (rc < 0)
		return rc;
	topo.tsc_khz = khz > 0 ? (uint32_t)khz : 0;
	cpuid_normalise(table, &topo);
	for (uint32_t i = 0; i < m->vcpus.count; i++) {
		cpuid_set_apic_id(table, i);
		if (ioctl(m->vcpus.vcpu[i].fd, KVM_SET_CPUID2, table) < 0)
			return err_set_os(e, -errno, "KVM_SET_CPUID2");
		rc = machine_set_msrs(m->vcpus.vcpu[i].fd, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Only the boot CPU gets registers; the others wait for INIT and SIPI. */
static int machine_set_boot_cpu(struct machine *m, const struct boot_entry *entry, struct err *e)
{
	int rc, fd = m->vcpus.vcpu[0].fd;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return err_set_os(e, -errno, "KVM_GET_SREGS");
	memset(&regs, 0, sizeof(regs));
	rc = boot_set_registers(&m->mem, entry, &regs, &sregs, e);
	if (rc < 0)
		return rc;
	if (ioctl(fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(fd, KVM_SET_REGS, &regs) < 0)
		return err_set_os(e, -errno, "cannot set the boot CPU's registers");
	return 0;
}

static int machine_wire_virtio(struct machine *m, uint32_t index, struct err *e)
{
	struct machine_virtio *v = &m->virtio[index];
	gpa_t notify = GPA(LAYOUT_VIRTIO_MMIO + index * LAYOUT_VIRTIO_MMIO_SIZE +
			   VIRTIO_MMIO_REG_QUEUE_NOTIFY);
	int rc = kvm_vm_add_irqfd(&m->vm, LAYOUT_GSI_VIRTIO + index, v->mmio.irq_fd, e);

	for (uint16_t q = 0; rc == 0 && q < v->dev->queue_count; q++) {
		struct machine_kick *k = &v->kicks[q];

		*k = (struct machine_kick){.owner = v, .queue = q, .notify = notify};
		k->source = (struct loop_source){
			.fd = v->mmio.kick_fd[q], .fn = machine_on_kick, .ctx = k};
		if ((rc = loop_add(v->loop, &k->source, EPOLLIN | (uint32_t)EPOLLET)) < 0)
			return err_set_os(e, rc, "cannot watch a queue of %s", v->dev->id);
	}
	return rc;
}

/* Last, because the kernel may wait for a grace period if a memory slot followed. */
static int machine_wire(struct machine *m, struct err *e)
{
	int rc;

	if ((rc = irq_line_bind(&m->com1_irq, &m->vm, LAYOUT_GSI_COM1, e)) < 0 ||
		(rc = irq_line_bind(&m->power_button_irq, &m->vm, LAYOUT_GSI_POWER_BUTTON, e)) <
			0 ||
		(rc = irq_line_bind(&m->vmgenid.irq, &m->vm, LAYOUT_GSI_VMGENID, e)) < 0 ||
		(rc = irq_line_bind(&m->vmclock.irq, &m->vm, LAYOUT_GSI_VMCLOCK, e)) < 0)
		return rc;
	for (uint32_t i = 0; i < m->virtio_count; i++)
		if ((rc = machine_wire_virtio(m, i, e)) < 0)
			return rc;
	return 0;
}

static int machine_init_events(struct machine *m, const struct machine_options *o, struct err *e)
{
	struct itimerspec period = {
		.it_interval.tv_sec = METRICS_PERIOD_NS / CLOCK_NS_PER_S,
		.it_value.tv_sec = METRICS_PERIOD_NS / CLOCK_NS_PER_S,
	};
	int rc = loop_init(&m->loop, e);

	if (rc < 0)
		return rc;
	m->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	m->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (m->end_fd < 0 || m->timer_fd < 0 || timerfd_settime(m->timer_fd, 0, &period, NULL) < 0)
		return err_set_os(e, -errno, "cannot make the machine's event descriptors");
	m->end_source = (struct loop_source){.fd = m->end_fd, .fn = machine_on_end, .ctx = m};
	m->timer_source = (struct loop_source){.fd = m->timer_fd, .fn = machine_on_timer, .ctx = m};
	if ((rc = loop_add(&m->loop, &m->end_source, EPOLLIN)) < 0 ||
		(rc = loop_add(&m->loop, &m->timer_source, EPOLLIN)) < 0)
		return err_set_os(e, rc, "cannot watch the machine's event descriptors");
	return supervisor_init(
		&m->supervisor, o->supervisor_fd, &m->loop, &machine_supervisor_ops, m, e);
}

static void machine_share_with_vcpus(struct machine *m)
{
	m->vcpus.ports = &m->ports;
	m->vcpus.mmio = &m->mmio;
	m->vcpus.timeline = m->timeline;
	m->vcpus.end = machine_on_guest_end;
	m->vcpus.end_ctx = m;
	m->vcpus.seccomp = m->seccomp;
}

static int machine_register_metrics(struct machine *m, struct err *e)
{
	int rc = metrics_add_uart(m->metrics, &m->uart.counters, e);

	if (rc == 0)
		rc = metrics_add_i8042(m->metrics, &m->i8042.counters, e);
	for (uint32_t i = 0; rc == 0 && i < m->vcpus.count; i++)
		rc = metrics_add_vcpu(m->metrics, &m->vcpus.vcpu[i].counters, e);
	return rc;
}

/* The kernel enlarges the descriptor table of a process with threads only after a grace period. */
static void machine_size_fd_table(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, MACHINE_FDS_MAX - 1);

	fd_close(&high);
}

static int machine_build(struct machine *m, const struct machine_options *o, struct err *e)
{
	struct boot_entry entry;
	int rc;

	if ((rc = kvm_vm_open(&m->vm, e)) < 0)
		return rc;
	machine_size_fd_table(m->vm.kvm_fd);
	cpuid_fetch_start(&m->cpuid, m->vm.kvm_fd);
	if ((rc = kvm_vm_create(&m->vm, e)) < 0 || (rc = machine_init_events(m, o, e)) < 0 ||
		(rc = machine_init_memory(m, e)) < 0 ||
		(rc = kvm_vm_split_irqchip(&m->vm, LAYOUT_GSI_COUNT, e)) < 0 ||
		(rc = vcpus_init(&m->vcpus, &m->vm, m->config->vcpu_count, e)) < 0)
		return rc;
	machine_share_with_vcpus(m);
	if ((rc = vcpus_launch(&m->vcpus, e)) < 0 || (rc = machine_init_legacy(m, e)) < 0 ||
		(rc = machine_init_virtio(m, e)) < 0 ||
		(rc = machine_load_kernel(m, &entry, e)) < 0 ||
		(rc = machine_set_cpuid(m, e)) < 0 ||
		(rc = machine_set_boot_cpu(m, &entry, e)) < 0 || (rc = machine_wire(m, e)) < 0 ||
		(rc = machine_register_metrics(m, e)) < 0)
		return rc;
	timeline_set(m->timeline, TIMELINE_VM_CREATED);
	return 0;
}

int machine_init(struct machine *m, const struct vm_config *c, const struct machine_options *o,
	struct metrics *metrics, struct timeline *t, struct err *e)
{
	int rc;

	m->config = c;
	m->metrics = metrics;
	m->timeline = t;
	m->seccomp = o->seccomp;
	m->vm.fd = m->vm.kvm_fd = m->mem.fd = m->loop.epoll_fd = -1;
	m->com1_irq.fd = m->power_button_irq.fd = m->vmgenid.irq.fd = -1;
	m->vmclock.irq.fd = -1;
	m->console.out_fd = m->console.kick_fd = m->supervisor.fd = -1;
	m->end_fd = m->timer_fd = -1;
	bus_init(&m->ports, "port");
	bus_init(&m->mmio, "mmio");
	rc = machine_build(m, o, e);
	if (rc < 0)
		machine_fini(m);
	return rc;
}

/* Before filters: a thread started later would inherit the starter's. */
static int machine_start_io_threads(struct machine *m, struct err *e)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < m->io_thread_count; i++)
		rc = io_thread_start(m->io_threads[i], e);
	return rc;
}

int machine_start(struct machine *m, struct err *e)
{
	int rc;

	if ((rc = machine_start_io_threads(m, e)) < 0 ||
		(rc = console_start(&m->console, &m->uart, &m->loop, m->supervisor.fd < 0, e)) <
			0 ||
		(rc = vcpus_start(&m->vcpus, e)) < 0)
		return rc;
	if (m->seccomp && (rc = seccomp_install(SECCOMP_ROLE_MAIN, e)) < 0)
		return rc;
	supervisor_send(&m->supervisor, "started");
	vcpus_resume(&m->vcpus);
	return 0;
}

enum vm_end machine_run(struct machine *m)
{
	int rc = loop_run(&m->loop);
	enum vm_end end;

	if (rc < 0) {
		log_error("the event loop failed: %s", strerrordesc_np(-rc));
		machine_end(m, VM_END_INTERNAL_ERROR);
	}
	vcpus_stop(&m->vcpus);
	for (uint32_t i = 0; i < m->io_thread_count; i++)
		io_thread_stop(m->io_threads[i]);
	console_drain(&m->console);
	end = (enum vm_end)__atomic_load_n(&m->end, __ATOMIC_ACQUIRE);
	if (__atomic_load_n(&m->panicked, __ATOMIC_RELAXED))
		end = VM_END_PANIC;
	return end;
}

void machine_fini(struct machine *m)
{
	cpuid_fetch_fini(&m->cpuid);
	if (m->vcpus.count > 0)
		vcpus_fini(&m->vcpus);
	for (uint32_t i = 0; i < m->io_thread_count; i++)
		io_thread_stop(m->io_threads[i]);
	for (uint32_t i = 0; i < m->virtio_count; i++) {
		virtio_mmio_fini(&m->virtio[i].mmio);
		m->virtio[i].dev->ops->destroy(m->virtio[i].dev);
	}
	m->virtio_count = 0;
	for (uint32_t i = 0; i < m->io_thread_count; i++) {
		io_thread_fini(m->io_threads[i]);
		free(m->io_threads[i]);
	}
	m->io_thread_count = 0;
	supervisor_fini(&m->supervisor);
	console_fini(&m->console);
	vmgenid_fini(&m->vmgenid);
	vmclock_fini(&m->vmclock);
	irq_line_fini(&m->com1_irq);
	irq_line_fini(&m->power_button_irq);
	kvm_vm_fini(&m->vm);
	gmem_fini(&m->mem);
	fd_close(&m->end_fd);
	fd_close(&m->timer_fd);
	loop_fini(&m->loop);
}
