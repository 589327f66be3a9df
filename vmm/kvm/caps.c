/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of KVM capabilities. A capability is required only where the monitor has no other
 * way; everything that merely makes a feature better is optional and says which feature. Remedies
 * name the kernel that brought the capability, because that is what a user can change.
 */
#include "vmm/kvm/caps.h"

#include "vmm/base/layout.h"
#include "vmm/base/passed_fd.h"
#include "vmm/kvm/cpu_template.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#define KVM_PATH   "/dev/kvm"
#define KVM_PASSED "fd:kvm"

/* Debian 12's headers are of Linux 6.1; this number came with 6.11. */
#ifndef KVM_CAP_PRE_FAULT_MEMORY
#define KVM_CAP_PRE_FAULT_MEMORY 236
#endif

/* Each macro names the capability itself: one macro further down it would be a number. */
#define CAP(cap_, name_, min_, required_, purpose_, remedy_)                                       \
	{                                                                                          \
		.cap = (cap_), .name = (name_), .min = (min_), .required = (required_),            \
		.purpose = (purpose_), .remedy = (remedy_),                                        \
	}
#define NEED(cap_, purpose_, remedy_)       CAP(cap_, #cap_, 1, true, purpose_, remedy_)
#define WANT(cap_, min_, purpose_, remedy_) CAP(cap_, #cap_, min_, false, purpose_, remedy_)

/* clang-format off */
const struct kvm_cap kvm_caps[] = {
	NEED(KVM_CAP_USER_MEMORY, "guest memory", "needs Linux 2.6.25 or newer"),
	NEED(KVM_CAP_SYNC_MMU, "guest memory that is remapped or given back while the VM runs",
		"needs Linux 2.6.27 or newer"),
	NEED(KVM_CAP_SPLIT_IRQCHIP, "local APICs in the kernel, I/O APIC in the monitor",
		"needs Linux 4.4 or newer"),
	NEED(KVM_CAP_IRQ_ROUTING, "interrupt pins that become messages",
		"needs Linux 2.6.30 or newer"),
	NEED(KVM_CAP_IRQFD, "device interrupts without a system call on the vCPU",
		"needs Linux 2.6.32 or newer with CONFIG_HAVE_KVM_IRQFD (CONFIG_HAVE_KVM_IRQCHIP)"),
	NEED(KVM_CAP_SIGNAL_MSI, "interrupts raised by the monitor itself",
		"needs Linux 3.5 or newer"),
	NEED(KVM_CAP_IOEVENTFD, "queue notifications without an exit to the monitor",
		"needs Linux 2.6.32 or newer"),
	NEED(KVM_CAP_SET_TSS_ADDR, "real mode on Intel processors", "needs Linux 2.6.25 or newer"),
	NEED(KVM_CAP_SET_IDENTITY_MAP_ADDR, "real mode on Intel processors",
		"needs Linux 2.6.32 or newer"),
	NEED(KVM_CAP_EXT_CPUID, "the guest's CPUID", "needs Linux 2.6.26 or newer"),
	NEED(KVM_CAP_MP_STATE, "starting secondary vCPUs", "needs Linux 2.6.26 or newer"),
	NEED(KVM_CAP_VCPU_EVENTS, "vCPU state", "needs Linux 2.6.33 or newer"),
	NEED(KVM_CAP_DEBUGREGS, "vCPU state", "needs Linux 2.6.35 or newer"),
	NEED(KVM_CAP_XSAVE, "vCPU state", "needs Linux 2.6.36 or newer"),
	NEED(KVM_CAP_ADJUST_CLOCK, "kvm-clock across pause and restore",
		"needs Linux 2.6.33 or newer"),
	NEED(KVM_CAP_TSC_DEADLINE_TIMER, "the guest's only timer (there is no PIT)",
		"needs Linux 3.3 or newer"),
	NEED(KVM_CAP_IMMEDIATE_EXIT, "pausing vCPUs without a race", "needs Linux 4.11 or newer"),

	WANT(KVM_CAP_CLOCKSOURCE, 1, "kvm-clock in the guest", "needs Linux 2.6.26 or newer"),
	WANT(KVM_CAP_MAX_VCPUS, (int)LAYOUT_VCPUS_MAX, "VMs with 32 vCPUs",
		"use no more vCPUs than this value"),
	WANT(KVM_CAP_NR_MEMSLOTS, 32, "memory in several pieces (memory hot-plug, pmem)",
		"needs Linux 3.7 or newer"),
	WANT(KVM_CAP_X2APIC_API, 1, "interrupt messages without the xAPIC quirks",
		"needs Linux 4.8 or newer"),
	WANT(KVM_CAP_GET_TSC_KHZ, 1, "recording the TSC frequency in snapshots",
		"needs Linux 3.0 or newer"),
	WANT(KVM_CAP_TSC_CONTROL, 1, "restoring on a host with another TSC frequency",
		"needs a processor with TSC scaling; restore on hosts of the same frequency"),
	WANT(KVM_CAP_KVMCLOCK_CTRL, 1, "telling the guest's watchdog that it was paused",
		"needs Linux 3.5 or newer"),
	WANT(KVM_CAP_XCRS, 1, "extended CPU state (AVX) in guests and snapshots",
		"needs Linux 2.6.36 or newer and a processor with XSAVE"),
	WANT(KVM_CAP_XSAVE2, 1, "vCPU state with AMX", "needs Linux 5.17 or newer"),
	WANT(KVM_CAP_SYNC_REGS, 1, "registers without an extra system call",
		"needs Linux 4.17 or newer"),
	WANT(KVM_CAP_GET_MSR_FEATURES, 1, "CPU feature MSRs in snapshots",
		"needs Linux 4.17 or newer"),
	WANT(KVM_CAP_X86_USER_SPACE_MSR, 1, "seeing which MSRs a guest asked for in vain",
		"needs Linux 5.10 or newer"),
	WANT(KVM_CAP_READONLY_MEM, 1, "read-only memory slots", "needs Linux 3.7 or newer"),
	WANT(KVM_CAP_IOEVENTFD_ANY_LENGTH, 1, "queue notifications of any width",
		"needs Linux 4.4 or newer"),
	WANT(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 1, "differential snapshots with a short pause",
		"needs Linux 5.2 or newer"),
	WANT(KVM_CAP_DIRTY_LOG_RING, 1, "differential snapshots without a bitmap walk",
		"needs Linux 5.11 or newer"),
	WANT(KVM_CAP_PRE_FAULT_MEMORY, 1, "mapping a clone's working set before it runs",
		"needs Linux 6.11 or newer and a processor with EPT or NPT"),
};
/* clang-format on */
const uint32_t kvm_caps_count = NELEM(kvm_caps);

int kvm_caps_open(struct err *e)
{
	int fd = passed_fd_has(KVM_PASSED) ? passed_fd_open(KVM_PASSED, e)
					   : open(KVM_PATH, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	switch (errno) {
	case ENOENT:
		return err_set(e, -ENOENT,
			KVM_PATH " does not exist: load kvm_intel or kvm_amd (modprobe), switch "
				 "virtualization on in the firmware; inside a VM, switch nested "
				 "virtualization on in its host; in a container, pass the device "
				 "in");
	case ENXIO:
	case ENODEV:
		return err_set(e, -errno,
			KVM_PATH " has no driver behind it: load kvm_intel or kvm_amd (modprobe); "
				 "dmesg says why if that fails (often: virtualization is off in "
				 "the firmware)");
	case EACCES:
	case EPERM:
		return err_set(e, -errno,
			"no permission to open " KVM_PATH ": join its group (usermod -aG kvm USER, "
			"then log in again), or have a launcher pass it in; in a container, the "
			"device cgroup must allow 10:232");
	default:
		return err_set_os(e, -errno, "cannot open " KVM_PATH);
	}
}

int kvm_caps_check(int kvm_fd, const struct cpu_template *t, struct err *e)
{
	int version = ioctl(kvm_fd, KVM_GET_API_VERSION, 0);

	if (version < 0)
		return err_set_os(e, -errno, "KVM_GET_API_VERSION");
	if (version != KVM_API_VERSION)
		return err_set(e, -ENOTSUP,
			"KVM has API version %d, mayfly needs %d (Linux 2.6.22 or newer)", version,
			KVM_API_VERSION);
	for (uint32_t i = 0; i < kvm_caps_count; i++) {
		const struct kvm_cap *c = &kvm_caps[i];

		if (c->required && !cpu_template_drops_cap(t, c->cap) &&
			ioctl(kvm_fd, KVM_CHECK_EXTENSION, c->cap) < c->min)
			return err_set(e, -ENOTSUP, "this host's KVM lacks %s (%s): %s", c->name,
				c->purpose, c->remedy);
	}
	return t ? cpu_template_check_caps(t, kvm_fd, e) : 0;
}
