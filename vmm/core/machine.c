/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting a machine together. The order of steps is the design: memory slots before the irqchip,
 * the irqchip before the vCPUs, irqfds last (vmm/kvm/vm.h says why). What takes long and needs nothing
 * else runs beside the rest: the fetching of CPUID, and the vCPU threads, which put their filters on
 * and park.
 */
#include "vmm/core/machine.h"

#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"
#include "vmm/core/machine_boot.h"
#include "vmm/core/machine_cpu.h"
#include "vmm/core/machine_virtio.h"
#include "vmm/core/metrics_sources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

#define MACHINE_FDS_MAX 256

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
	loop_stop(m->control);
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

/* The API, the supervisor, the end: served between two turns of the devices. */
static void machine_on_control(void *ctx, uint32_t events)
{
	struct machine *m = ctx;

	(void)events;
	if (loop_turn(m->control) < 0)
		machine_end(m, VM_END_INTERNAL_ERROR);
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

static int machine_init_memory(struct machine *m, const struct machine_options *o, struct err *e)
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
	if (o->source && (rc = o->source->memory(o->source_ctx, m, &mc, e)) < 0)
		return rc;
	rc = gmem_init(&m->mem, &mc, e);
	if (rc < 0)
		return err_wrap(e, "Invalid Memory Configuration");
	if (o->source && (rc = o->source->mapped(o->source_ctx, m, e)) < 0)
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
	const struct console_config cc = {
		.out_path = m->config->serial_out_path,
		.limiter = m->config->has_serial_limiter ? &m->config->serial_limiter : NULL,
	};
	int rc;

	m->power = (struct power){.end = machine_on_guest_end, .end_ctx = m};
	m->pvpanic = (struct pvpanic){.panicked = machine_on_panic, .ctx = m};
	m->boot_timer = (struct boot_timer){.booted = machine_on_booted, .ctx = m};
	i8042_init(&m->i8042, &m->i8042_irq, machine_on_guest_end, m);
	ioapic_init(&m->ioapic, machine_set_routes, &m->vm);
	if ((rc = irq_line_init(&m->com1_irq, e)) < 0 ||
		(rc = irq_line_init(&m->power_button_irq, e)) < 0 ||
		(rc = irq_line_init(&m->i8042_irq, e)) < 0 ||
		(rc = vmgenid_init(&m->vmgenid, &m->mem, e)) < 0 ||
		(rc = vmclock_init(&m->vmclock, &m->mem, e)) < 0 ||
		(rc = console_init(&m->console, &cc, e)) < 0)
		return rc;
	uart_init(&m->uart, &m->com1_irq, m->console.out_fd, m->console.kick_fd);
	return machine_fill_buses(m, e);
}

/* Last, because the kernel may wait for a grace period if a memory slot followed. */
static int machine_wire(struct machine *m, struct err *e)
{
	int rc;

	if ((rc = irq_line_bind(&m->com1_irq, &m->vm, LAYOUT_GSI_COM1, e)) < 0 ||
		(rc = irq_line_bind(&m->power_button_irq, &m->vm, LAYOUT_GSI_POWER_BUTTON, e)) <
			0 ||
		(rc = irq_line_bind(&m->i8042_irq, &m->vm, LAYOUT_GSI_I8042, e)) < 0 ||
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
	m->control_source = (struct loop_source){
		.fd = m->control->epoll_fd, .fn = machine_on_control, .ctx = m};
	if ((rc = loop_add(m->control, &m->end_source, EPOLLIN)) < 0 ||
		(rc = loop_add(&m->loop, &m->control_source, EPOLLIN)) < 0 ||
		(rc = loop_add(&m->loop, &m->timer_source, EPOLLIN)) < 0)
		return err_set_os(e, rc, "cannot watch the machine's event descriptors");
	return supervisor_init(
		&m->supervisor, o->supervisor_fd, m->control, &machine_supervisor_ops, m, e);
}

static void machine_share_with_vcpus(struct machine *m)
{
	m->vcpus.ports = &m->ports;
	m->vcpus.mmio = &m->mmio;
	m->vcpus.timeline = m->timeline;
	m->vcpus.end = machine_on_guest_end;
	m->vcpus.end_ctx = m;
	m->vcpus.seccomp = m->seccomp;
	m->vcpus.landlock = &m->landlock;
}

static int machine_register_metrics(struct machine *m, struct err *e)
{
	int rc = metrics_add_uart(m->metrics, &m->uart.counters, e);

	if (rc == 0)
		rc = metrics_add_i8042(m->metrics, &m->i8042.counters, e);
	for (uint32_t i = 0; rc == 0 && i < m->vcpus.count; i++)
		rc = metrics_add_vcpu(m->metrics, &m->vcpus.vcpu[i].counters, e);
	for (uint32_t i = 0; rc == 0 && i < m->virtio_count; i++)
		rc = metrics_add_virtio_mmio(m->metrics, &m->virtio[i].mmio.counters, e);
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
	int rc;

	if ((rc = o->source ? 0 : machine_cpu_choose(m, e)) < 0 ||
		(rc = landlock_open(&m->landlock, &o->landlock, e)) < 0 ||
		(rc = kvm_vm_open(&m->vm, m->cpu_template, e)) < 0)
		return rc;
	machine_size_fd_table(m->vm.kvm_fd);
	if (!o->source)
		cpuid_fetch_start(&m->cpuid, m->vm.kvm_fd);
	if ((rc = kvm_vm_create(&m->vm, e)) < 0 || (rc = machine_init_events(m, o, e)) < 0 ||
		(rc = machine_init_memory(m, o, e)) < 0 ||
		(rc = kvm_vm_split_irqchip(&m->vm, LAYOUT_GSI_COUNT, e)) < 0 ||
		(rc = vcpus_init(&m->vcpus, &m->vm, m->config->vcpu_count, e)) < 0)
		return rc;
	machine_share_with_vcpus(m);
	if ((rc = vcpus_launch(&m->vcpus, e)) < 0 || (rc = machine_init_legacy(m, e)) < 0 ||
		(rc = machine_init_virtio(m, e)) < 0 ||
		(rc = o->source ? 0 : machine_boot(m, e)) < 0 || (rc = machine_wire(m, e)) < 0 ||
		(rc = machine_register_metrics(m, e)) < 0 ||
		(rc = o->source ? o->source->restore(o->source_ctx, m, e) : 0) < 0)
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
	m->landlock = LANDLOCK_NONE;
	m->control = o->control;
	m->taps = o->taps;
	m->open_diverter = o->open_diverter;
	m->diverter_ctx = o->diverter_ctx;
	m->metrics_mark = metrics->source_count;
	m->vm.fd = m->vm.kvm_fd = m->mem.fd = m->loop.epoll_fd = -1;
	m->com1_irq.fd = m->power_button_irq.fd = m->i8042_irq.fd = m->vmgenid.irq.fd = -1;
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

void machine_fini(struct machine *m)
{
	metrics_forget_since(m->metrics, m->metrics_mark);
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
	irq_line_fini(&m->i8042_irq);
	kvm_vm_fini(&m->vm);
	gmem_fini(&m->mem);
	if (m->end_source.fn)
		loop_del(m->control, &m->end_source);
	fd_close(&m->end_fd);
	fd_close(&m->timer_fd);
	landlock_close(&m->landlock);
	loop_fini(&m->loop);
	memset(m, 0, sizeof(*m)); /* as machine_init wants it */
}
