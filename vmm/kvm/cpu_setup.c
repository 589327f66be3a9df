/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID and MSRs of new vCPUs. See cpu_setup.h. */
#include "vmm/kvm/cpu_setup.h"

#include "vmm/base/check.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define MSR_IA32_MISC_ENABLE     0x1a0u
#define MISC_ENABLE_FAST_STRINGS 1u
#define MSR_MTRR_DEF_TYPE        0x2ffu
#define MTRR_ENABLED_WRITE_BACK  0x806u

/* Memory types: everything write-back; string moves fast. What firmware would have set. */
static int setup_boot_msrs(int vcpu_fd, struct err *e)
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
	return ioctl(vcpu_fd, KVM_SET_MSRS, &msrs) == 2 ? 0 : err_set_os(e, -errno, "KVM_SET_MSRS");
}

static int setup_cpuid(
	const struct cpu_setup *s, int vcpu_fd, struct cpuid_table *table, struct err *e)
{
	struct cpuid_topology topo = {
		.vcpu_count = s->vcpu_count,
		.smt = s->smt,
		.tsc_deadline = true,
	};
	int rc = 0, khz = ioctl(vcpu_fd, KVM_GET_TSC_KHZ, 0);

	if (s->template)
		rc = cpu_template_apply_cpuid(s->template, table, e);
	if (rc < 0)
		return rc;
	topo.tsc_khz = khz > 0 ? (uint32_t)khz : 0;
	cpuid_normalise(table, &topo);
	return 0;
}

int cpu_setup_apply(
	const struct cpu_setup *s, struct cpuid_table *table, const int *vcpu_fds, struct err *e)
{
	int rc;

	CHECK(s->vcpu_count > 0);
	rc = setup_cpuid(s, vcpu_fds[0], table, e);
	for (uint32_t i = 0; rc == 0 && i < s->vcpu_count; i++) {
		cpuid_set_apic_id(table, i);
		if (ioctl(vcpu_fds[i], KVM_SET_CPUID2, table) < 0)
			return err_set_os(e, -errno, "KVM_SET_CPUID2");
		if (s->template)
			rc = cpu_template_apply_msrs(s->template, vcpu_fds[i], e);
		if (rc == 0)
			rc = setup_boot_msrs(vcpu_fds[i], e);
	}
	return rc;
}
