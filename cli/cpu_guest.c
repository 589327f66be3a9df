/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest sees of the CPU, read back from a VM that never runs. See cpu.h. */
#include "cli/cpu.h"

#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/layout.h"
#include "vmm/kvm/cpu_setup.h"
#include "vmm/kvm/vm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define MSR_INDICES_MAX 1024
#define NO_LEAF         UINT32_MAX

/* What counts time or events, belongs to a virtual machine monitor, or to another hypervisor. */
static const struct {
	uint32_t first, last;
} no_cpu_msrs[] = {
	{0x10, 0x10},             /* TSC */
	{0xc1, 0xd2},             /* performance counters */
	{0x17a, 0x17b},           /* machine check: status, control */
	{0x186, 0x197},           /* performance event selectors */
	{0x309, 0x30b},           /* fixed counters */
	{0x38d, 0x390},           /* counter control and status */
	{0x480, 0x491},           /* VMX capabilities */
	{0x4d0, 0x4d0},           /* machine check: extended control */
	{0x40000000, 0x40000118}, /* Hyper-V */
	{0xc0010000, 0xc0010007}, /* AMD's performance counters */
	{0xc0010200, 0xc001020c},
};

static bool msr_is_of_cpu(uint32_t index)
{
	for (size_t i = 0; i < NELEM(no_cpu_msrs); i++)
		if (index >= no_cpu_msrs[i].first && index <= no_cpu_msrs[i].last)
			return false;
	return true;
}

/* Older kernels leave the count as it was, so the end is where nothing was written. */
static int guest_read_cpuid(int vcpu_fd, struct cpu_template *ret, struct err *e)
{
	static struct cpuid_table table;

	table.nent = CPUID_ENTRIES_MAX;
	for (uint32_t i = 0; i < CPUID_ENTRIES_MAX; i++)
		table.entries[i].function = NO_LEAF;
	if (ioctl(vcpu_fd, KVM_GET_CPUID2, &table) < 0)
		return err_set_os(e, -errno, "KVM_GET_CPUID2");
	CHECK(table.nent <= CPU_TEMPLATE_LEAVES_MAX);
	for (uint32_t i = 0; i < table.nent && table.entries[i].function != NO_LEAF; i++) {
		struct kvm_cpuid_entry2 *c = &table.entries[i];
		struct cpu_template_leaf *l = &ret->leaves[ret->leaf_count++];

		*l = (struct cpu_template_leaf){
			.leaf = c->function, .subleaf = c->index, .flags = c->flags};
		for (enum cpuid_reg reg = CPUID_EAX; reg <= CPUID_EDX; reg++)
			l->modifiers[l->modifier_count++] = (struct cpuid_modifier){
				.reg = reg, .bits = {UINT32_MAX, *cpuid_reg(c, reg)}};
	}
	return 0;
}

static bool guest_has_msr(const struct cpu_template *t, uint32_t index)
{
	for (uint32_t i = 0; i < t->msr_count; i++)
		if (t->msrs[i].addr == index)
			return true;
	return false;
}

/* One that KVM lists but does not give for this vCPU is left out. */
static int guest_read_msr(int vcpu_fd, uint32_t index, struct cpu_template *ret, struct err *e)
{
	union {
		struct kvm_msrs head;
		unsigned char bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} buf;
	int rc;

	if (guest_has_msr(ret, index))
		return 0;
	memset(&buf, 0, sizeof(buf));
	buf.head.nmsrs = 1;
	buf.head.entries[0].index = index;
	rc = ioctl(vcpu_fd, KVM_GET_MSRS, &buf);
	if (rc < 0)
		return err_set_os(e, -errno, "KVM_GET_MSRS of 0x%x", index);
	if (rc == 0)
		return 0;
	if (ret->msr_count == CPU_TEMPLATE_MSRS_MAX)
		return err_set(e, -E2BIG, "this KVM has more than %u MSRs", CPU_TEMPLATE_MSRS_MAX);
	ret->msrs[ret->msr_count++] = (struct cpu_template_msr){
		.addr = index, .bits = {UINT64_MAX, buf.head.entries[0].data}};
	return 0;
}

static int guest_read_msrs(int kvm_fd, int vcpu_fd, const struct cpu_template *t,
	struct cpu_template *ret, struct err *e)
{
	static union {
		struct kvm_msr_list head;
		unsigned char
			bytes[sizeof(struct kvm_msr_list) + MSR_INDICES_MAX * sizeof(uint32_t)];
	} list;
	int rc = 0;

	list.head.nmsrs = MSR_INDICES_MAX;
	if (ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, &list) < 0)
		return err_set_os(e, -errno, "KVM_GET_MSR_INDEX_LIST");
	for (uint32_t i = 0; rc == 0 && i < list.head.nmsrs; i++)
		if (msr_is_of_cpu(list.head.indices[i]))
			rc = guest_read_msr(vcpu_fd, list.head.indices[i], ret, e);
	for (uint32_t i = 0; rc == 0 && t && i < t->msr_count; i++)
		rc = guest_read_msr(vcpu_fd, t->msrs[i].addr, ret, e);
	return rc;
}

int cpu_guest_read(const struct cpu_template *t, struct cpu_template *ret, struct err *e)
{
	static struct cpuid_table table; /* 10 KiB; one thread */
	const struct cpu_setup setup = {.template = t, .vcpu_count = 1};
	struct kvm_vm vm;
	CLEANUP_FD
	int vcpu_fd = -1;
	int rc = kvm_vm_init(&vm, t, e);

	if (rc < 0)
		return rc;
	memset(ret, 0, sizeof(*ret));
	rc = kvm_vm_split_irqchip(&vm, LAYOUT_GSI_COUNT, e);
	if (rc == 0)
		rc = vcpu_fd = kvm_vm_create_vcpu(&vm, 0, e);
	if (rc >= 0)
		rc = cpuid_get_supported(vm.kvm_fd, &table, e);
	if (rc == 0)
		rc = cpu_setup_apply(&setup, &table, &vcpu_fd, e);
	if (rc == 0)
		rc = guest_read_cpuid(vcpu_fd, ret, e);
	if (rc == 0)
		rc = guest_read_msrs(vm.kvm_fd, vcpu_fd, t, ret, e);
	kvm_vm_fini(&vm);
	return rc;
}
