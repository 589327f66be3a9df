/* SPDX-License-Identifier: Apache-2.0 */
/* vCPU threads. See vcpu.h. */
#include "vmm/core/vcpu.h"

#include "seccomp/seccomp.h"
#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define VCPU_STACK_SIZE   ((size_t)256 * 1024)
#define VCPU_ENOMEM_TRIES 100

static int vcpu_kick_signal(void)
{
	return SIGRTMIN;
}

/* The signal's only work is to make KVM_RUN return; who asked is in the gate. */
static void vcpu_on_kick(int sig)
{
	(void)sig;
}

static int vcpu_init(
	struct vcpu *c, struct vcpus *all, struct kvm_vm *vm, uint32_t index, struct err *e)
{
	void *run;

	c->all = all;
	c->index = index;
	c->run_size = vm->run_size;
	c->fd = kvm_vm_create_vcpu(vm, index, e);
	if (c->fd < 0)
		return c->fd;
	run = mmap(NULL, c->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
	if (run == MAP_FAILED)
		return err_set_os(e, -errno, "cannot map vCPU %u", index);
	c->run = run;
	return 0;
}

int vcpus_init(struct vcpus *v, struct kvm_vm *vm, uint32_t count, struct err *e)
{
	CHECK(count >= 1 && count <= LAYOUT_VCPUS_MAX);
	(void)pthread_mutex_init(&v->lock, NULL);
	(void)pthread_cond_init(&v->changed, NULL);
	v->gate = VCPU_GATE_PAUSED;
	while (v->count < count) {
		uint32_t i = v->count++;
		int rc = vcpu_init(&v->vcpu[i], v, vm, i, e);

		if (rc < 0) {
			vcpus_fini(v);
			return rc;
		}
	}
	return 0;
}

/* #syscalls:vcpu futex:1=FUTEX_WAIT_PRIVATE futex:1=FUTEX_WAKE_PRIVATE */
void vcpus_halt(struct vcpus *v)
{
	(void)pthread_mutex_lock(&v->lock);
	if (v->gate == VCPU_GATE_RUNNING)
		__atomic_store_n(&v->gate, VCPU_GATE_PAUSED, __ATOMIC_RELEASE);
	(void)pthread_mutex_unlock(&v->lock);
}

static void vcpu_handle_io(struct vcpu *c)
{
	struct kvm_run *run = c->run;
	uint64_t start = clock_mono_ns();
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	bool in = run->io.direction == KVM_EXIT_IO_IN;
	struct vcpu_counters *n = &c->counters;

	counter_add(in ? &n->exit_io_in : &n->exit_io_out, 1);
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (in)
			(void)bus_read(c->all->ports, run->io.port, data, run->io.size);
		else
			(void)bus_write(c->all->ports, run->io.port, data, run->io.size);
	}
	latency_add(in ? &n->exit_io_in_agg : &n->exit_io_out_agg, clock_mono_ns() - start);
}

static void vcpu_handle_mmio(struct vcpu *c)
{
	struct kvm_run *run = c->run;
	uint64_t start = clock_mono_ns();
	struct vcpu_counters *n = &c->counters;

	if (run->mmio.is_write) {
		counter_add(&n->exit_mmio_write, 1);
		(void)bus_write(c->all->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
	} else {
		counter_add(&n->exit_mmio_read, 1);
		(void)bus_read(c->all->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
	}
	latency_add(run->mmio.is_write ? &n->exit_mmio_write_agg : &n->exit_mmio_read_agg,
		clock_mono_ns() - start);
}

/* #syscalls:vcpu ioctl:1=KVM_GET_REGS */
static void vcpu_fail(struct vcpu *c, const char *what, uint64_t code)
{
	struct kvm_regs regs = {0};

	(void)ioctl(c->fd, KVM_GET_REGS, &regs);
	counter_add(&c->counters.failures, 1);
	log_error("vCPU %u: %s %llu at guest rip 0x%llx", c->index, what, (unsigned long long)code,
		(unsigned long long)regs.rip);
	if (c->run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
		c->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
		log_error("KVM had to emulate that instruction and cannot: if this host's KVM does "
			  "not run kernel-mode code natively (see `mayfly doctor`), stock kernels "
			  "do not boot on it; use a VT-x or SVM host or the nested testbed");
	c->all->end(c->all->end_ctx, VM_END_INTERNAL_ERROR);
}

static void vcpu_handle_exit(struct vcpu *c)
{
	switch (c->run->exit_reason) {
	case KVM_EXIT_IO:
		vcpu_handle_io(c);
		break;
	case KVM_EXIT_MMIO:
		vcpu_handle_mmio(c);
		break;
	case KVM_EXIT_IOAPIC_EOI: /* a pin programmed as level: edges need no end */
	case KVM_EXIT_INTR:
		break;
	case KVM_EXIT_SHUTDOWN:
		c->all->end(c->all->end_ctx, VM_END_TRIPLE_FAULT);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		vcpu_fail(c, "KVM internal error, suberror", c->run->internal.suberror);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		vcpu_fail(c, "the CPU refused to enter the guest, hardware reason",
			c->run->fail_entry.hardware_entry_failure_reason);
		break;
	default:
		vcpu_fail(c, "unexpected KVM exit", c->run->exit_reason);
		break;
	}
}

/*
 * Runs until the gate is no longer RUNNING. Some kernels answer a KVM_RUN on a fork-heavy host
 * with a passing ENOMEM: tried again a bounded number of times.
 *
 * #syscalls:vcpu ioctl:1=KVM_RUN
 */
static void vcpu_run(struct vcpu *c)
{
	int enomem_count = 0;

	while (__atomic_load_n(&c->all->gate, __ATOMIC_ACQUIRE) == VCPU_GATE_RUNNING) {
		if (ioctl(c->fd, KVM_RUN, 0) == 0) {
			vcpu_handle_exit(c);
			if (c->index == 0)
				timeline_set(c->all->timeline, TIMELINE_KERNEL_ENTRY);
			continue;
		}
		if (errno == EINTR || errno == EAGAIN)
			continue;
		if (errno == ENOMEM && enomem_count++ < VCPU_ENOMEM_TRIES)
			continue;
		vcpu_fail(c, "KVM_RUN failed with error", (uint64_t)errno);
		break;
	}
	/* Completes the exit in progress; returns EINTR without running the guest. */
	__atomic_store_n(&c->run->immediate_exit, 1, __ATOMIC_RELAXED);
	(void)ioctl(c->fd, KVM_RUN, 0);
}

/*
 * With the kick pending all the time, KVM does all that comes before an entry, and then returns EINTR in place
 * of entering. (immediate_exit would make it return before.)
 *
 * #syscalls:vcpu ioctl:1=KVM_SET_SIGNAL_MASK ioctl:1=KVM_RUN rt_sigprocmask tgkill:2=SIGRTMIN getpid
 */
static void vcpu_warm(struct vcpu *c)
{
	uint32_t none[3] = {sizeof(uint64_t)}; /* struct kvm_signal_mask: its length, no signal */
	struct vcpus *v = c->all;
	sigset_t kick;

	(void)sigemptyset(&kick);
	(void)sigaddset(&kick, vcpu_kick_signal());
	(void)pthread_sigmask(SIG_BLOCK, &kick, NULL);
	(void)pthread_kill(pthread_self(), vcpu_kick_signal());
	if (ioctl(c->fd, KVM_SET_SIGNAL_MASK, none) == 0) {
		if (ioctl(c->fd, KVM_RUN, 0) == 0)
			vcpu_handle_exit(c);
		(void)ioctl(c->fd, KVM_SET_SIGNAL_MASK, NULL);
	}
	(void)pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	c->warm = true;
	(void)pthread_mutex_lock(&v->lock);
	v->warm_count++;
	(void)pthread_cond_broadcast(&v->changed);
	(void)pthread_mutex_unlock(&v->lock);
}

/*
 * Waits at the gate until there is something to do.
 *
 * #syscalls:vcpu futex:1=FUTEX_WAIT_PRIVATE futex:1=FUTEX_WAKE_PRIVATE
 * #syscalls:vcpu futex:1=FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME
 */
static enum vcpu_gate vcpu_park(struct vcpu *c)
{
	struct vcpus *v = c->all;
	enum vcpu_gate gate;

	(void)pthread_mutex_lock(&v->lock);
	v->parked_count++;
	(void)pthread_cond_broadcast(&v->changed);
	while (v->gate == VCPU_GATE_PAUSED || (v->gate == VCPU_GATE_WARMING && c->warm))
		(void)pthread_cond_wait(&v->changed, &v->lock);
	v->parked_count--;
	gate = v->gate;
	/* Cleared under the lock: a pause that comes after this sets it again. */
	__atomic_store_n(&c->run->immediate_exit, 0, __ATOMIC_RELAXED);
	(void)pthread_mutex_unlock(&v->lock);
	return gate;
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *c = arg;
	enum vcpu_gate gate;
	struct err e = {0};
	char name[16];

	(void)snprintf(name, sizeof(name), "fc_vcpu %u", c->index);
	(void)pthread_setname_np(pthread_self(), name);
	log_thread_name(name);
	if (landlock_restrict(c->all->landlock, &e) < 0 ||
		(c->all->seccomp && seccomp_install(SECCOMP_ROLE_VCPU, &e) < 0)) {
		log_error("%s", e.msg);
		(void)pthread_mutex_lock(&c->all->lock);
		/* vcpus_start gives this up; the thread never runs the guest. */
		c->all->unconfined = true;
		(void)pthread_mutex_unlock(&c->all->lock);
	}
	while ((gate = vcpu_park(c)) != VCPU_GATE_STOPPED) {
		if (gate == VCPU_GATE_WARMING) {
			vcpu_warm(c);
			continue;
		}
		if (c->index == 0)
			timeline_set(c->all->timeline, TIMELINE_FIRST_INSTRUCTION);
		vcpu_run(c);
	}
	return NULL;
}

static int vcpu_start(struct vcpu *c, struct err *e)
{
	pthread_attr_t attr;
	int rc;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, VCPU_STACK_SIZE);
	rc = pthread_create(&c->thread, &attr, vcpu_thread, c);
	(void)pthread_attr_destroy(&attr);
	if (rc != 0)
		return err_set_os(e, -rc, "cannot start the thread of vCPU %u", c->index);
	c->started = true;
	return 0;
}

static void vcpus_wait_parked(struct vcpus *v, uint32_t count)
{
	(void)pthread_mutex_lock(&v->lock);
	while (v->parked_count < count)
		(void)pthread_cond_wait(&v->changed, &v->lock);
	(void)pthread_mutex_unlock(&v->lock);
}

int vcpus_launch(struct vcpus *v, struct err *e)
{
	struct sigaction kick = {.sa_handler = vcpu_on_kick};

	if (v->launched)
		return 0;
	(void)sigaction(vcpu_kick_signal(), &kick, NULL);
	for (uint32_t i = 0; i < v->count; i++) {
		int rc = vcpu_start(&v->vcpu[i], e);

		if (rc < 0) {
			vcpus_stop(v);
			return rc;
		}
	}
	v->launched = true;
	return 0;
}

int vcpus_start(struct vcpus *v, struct err *e)
{
	int rc = vcpus_launch(v, e);

	if (rc < 0)
		return rc;
	vcpus_wait_parked(v, v->count);
	if (v->unconfined) {
		vcpus_stop(v);
		return err_set(e, -EPERM,
			"a vCPU thread could not put its system-call filter on (see the log)");
	}
	return 0;
}

/* #syscalls:main futex:1=FUTEX_WAIT_PRIVATE futex:1=FUTEX_WAKE_PRIVATE */
static void vcpus_set_gate(struct vcpus *v, enum vcpu_gate gate)
{
	(void)pthread_mutex_lock(&v->lock);
	__atomic_store_n(&v->gate, gate, __ATOMIC_RELEASE);
	(void)pthread_cond_broadcast(&v->changed);
	(void)pthread_mutex_unlock(&v->lock);
}

/* The flag before the signal: whichever KVM_RUN sees first ends it.
 *
 * #syscalls:main tgkill:2=SIGRTMIN getpid rt_sigprocmask
 */
static void vcpus_kick(struct vcpus *v)
{
	for (uint32_t i = 0; i < v->count; i++) {
		struct vcpu *c = &v->vcpu[i];

		if (!c->started)
			continue;
		__atomic_store_n(&c->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		(void)pthread_kill(c->thread, vcpu_kick_signal());
	}
}

void vcpus_warm(struct vcpus *v)
{
	vcpus_set_gate(v, VCPU_GATE_WARMING);
	(void)pthread_mutex_lock(&v->lock);
	while (v->warm_count < v->count)
		(void)pthread_cond_wait(&v->changed, &v->lock);
	(void)pthread_mutex_unlock(&v->lock);
	vcpus_set_gate(v, VCPU_GATE_PAUSED);
	vcpus_wait_parked(v, v->count);
}

void vcpus_resume(struct vcpus *v)
{
	vcpus_set_gate(v, VCPU_GATE_RUNNING);
}

void vcpus_pause(struct vcpus *v)
{
	vcpus_set_gate(v, VCPU_GATE_PAUSED);
	vcpus_kick(v);
	vcpus_wait_parked(v, v->count);
}

void vcpus_stop(struct vcpus *v)
{
	vcpus_set_gate(v, VCPU_GATE_STOPPED);
	vcpus_kick(v);
	for (uint32_t i = 0; i < v->count; i++) {
		if (v->vcpu[i].started)
			(void)pthread_join(v->vcpu[i].thread, NULL);
		v->vcpu[i].started = false;
	}
}

void vcpus_fini(struct vcpus *v)
{
	vcpus_stop(v);
	for (uint32_t i = 0; i < v->count; i++) {
		if (v->vcpu[i].run)
			(void)munmap(v->vcpu[i].run, v->vcpu[i].run_size);
		fd_close(&v->vcpu[i].fd);
	}
	(void)pthread_mutex_destroy(&v->lock);
	(void)pthread_cond_destroy(&v->changed);
	memset(v, 0, offsetof(struct vcpus, vcpu) + v->count * sizeof(v->vcpu[0]));
}

void vcpus_counters(const struct vcpus *v, struct vcpu_counters *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (uint32_t i = 0; i < v->count; i++) {
		const struct vcpu_counters *c = &v->vcpu[i].counters;

		ret->exit_io_in += counter_get(&c->exit_io_in);
		ret->exit_io_out += counter_get(&c->exit_io_out);
		ret->exit_mmio_read += counter_get(&c->exit_mmio_read);
		ret->exit_mmio_write += counter_get(&c->exit_mmio_write);
		ret->failures += counter_get(&c->failures);
	}
}
