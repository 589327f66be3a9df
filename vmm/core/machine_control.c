/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to a machine that is put together: start, pause, resume, run. See machine.h. */
#include "vmm/core/machine.h"

#include "seccomp/seccomp.h"
#include "vmm/base/check.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

static bool machine_ended(const struct machine *m)
{
	return __atomic_load_n(&m->end, __ATOMIC_ACQUIRE) != VM_END_NONE;
}

/* Before filters: a thread started later would inherit the starter's. */
static int machine_start_io_threads(struct machine *m, struct err *e)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < m->io_thread_count; i++) {
		rc = io_thread_start(m->io_threads[i], e);
		if (rc == 0 && m->paused)
			io_thread_pause(m->io_threads[i]);
	}
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
	if ((rc = landlock_restrict(&m->landlock, e)) < 0)
		return rc;
	landlock_close(&m->landlock); /* every thread has it on */
	if (m->seccomp && (rc = seccomp_install(SECCOMP_ROLE_MAIN, e)) < 0)
		return rc;
	supervisor_send(&m->supervisor, "started");
	if (!m->paused)
		vcpus_resume(&m->vcpus);
	loop_stop(m->control); /* machine_run goes on with both loops */
	return 0;
}

/* vCPUs first: they make the devices' work. Then what the devices still have in flight. */
void machine_pause(struct machine *m)
{
	if (m->paused)
		return;
	vcpus_pause(&m->vcpus);
	for (uint32_t i = 0; i < m->io_thread_count; i++)
		io_thread_pause(m->io_threads[i]);
	for (uint32_t i = 0; i < m->virtio_count; i++) {
		struct virtio_dev *d = m->virtio[i].dev;

		if (!d->ops->drain)
			continue;
		virtio_dev_lock(d);
		d->ops->drain(d);
		virtio_dev_unlock(d);
	}
	m->paused = true;
	loop_stop(&m->loop);
}

/*
 * Tells a guest that uses kvm-clock that it stood still, so that its watchdog does not bark. KVM
 * refuses where the guest does not use it, which is fine.
 *
 * #syscalls:main ioctl:1=KVM_KVMCLOCK_CTRL
 */
static void machine_excuse_pause(struct machine *m)
{
	for (uint32_t i = 0; i < m->vcpus.count; i++)
		(void)ioctl(m->vcpus.vcpu[i].fd, KVM_KVMCLOCK_CTRL, 0);
}

/*
 * The clock of a snapshot goes on from where it stood, at the moment at which the guest goes on, also
 * if it was loaded long before.
 *
 * #syscalls:main ioctl:1=KVM_SET_CLOCK
 */
static void machine_set_clock(struct machine *m)
{
	if (!m->clock_waits)
		return;
	m->clock_waits = false;
	if (ioctl(m->vm.fd, KVM_SET_CLOCK, &m->clock) < 0)
		log_warn("the guest's clock could not be set: %s", strerrordesc_np(errno));
}

void machine_resume(struct machine *m)
{
	if (!m->paused)
		return;
	m->paused = false;
	loop_stop(m->control);
	if (machine_ended(m))
		return; /* the gate stays closed */
	for (uint32_t i = 0; i < m->io_thread_count; i++)
		io_thread_resume(m->io_threads[i]);
	machine_set_clock(m);
	if (!m->warm)
		machine_excuse_pause(m);
	m->warm = false;
	vcpus_resume(&m->vcpus);
}

void machine_warm(struct machine *m)
{
	CHECK(m->paused);
	machine_excuse_pause(m); /* the entry writes it into guest memory */
	vcpus_warm(&m->vcpus);
	m->warm = true;
}

struct virtio_dev *machine_find_device(struct machine *m, const char *class_name, const char *id)
{
	for (uint32_t i = 0; i < m->virtio_count; i++) {
		struct virtio_dev *d = m->virtio[i].dev;

		if (strcmp(d->ops->name, class_name) == 0 && strcmp(d->id, id) == 0)
			return d;
	}
	return NULL;
}

enum vm_end machine_run(struct machine *m)
{
	enum vm_end end;

	while (!machine_ended(m)) {
		int rc = loop_run(m->paused ? m->control : &m->loop);

		if (rc < 0) {
			log_error("the event loop failed: %s", strerrordesc_np(-rc));
			machine_end(m, VM_END_INTERNAL_ERROR);
		}
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
