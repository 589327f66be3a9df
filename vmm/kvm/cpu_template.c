/* SPDX-License-Identifier: Apache-2.0 */
/* Applying CPU templates. See cpu_template.h; the named ones are in cpu_templates.c. */
#include "vmm/kvm/cpu_template.h"

#include "vmm/base/check.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

uint32_t *cpuid_reg(struct kvm_cpuid_entry2 *c, enum cpuid_reg reg)
{
	switch (reg) {
	case CPUID_EAX:
		return &c->eax;
	case CPUID_EBX:
		return &c->ebx;
	case CPUID_ECX:
		return &c->ecx;
	case CPUID_EDX:
		break;
	}
	CHECK(reg == CPUID_EDX);
	return &c->edx;
}

/* Exactly this leaf and subleaf: an entry without subleaves is subleaf 0 and no other. */
static struct kvm_cpuid_entry2 *template_find(
	struct cpuid_table *t, uint32_t leaf, uint32_t subleaf)
{
	for (uint32_t i = 0; i < t->nent; i++)
		if (t->entries[i].function == leaf && t->entries[i].index == subleaf)
			return &t->entries[i];
	return NULL;
}

static int template_apply_leaf(
	const struct cpu_template_leaf *l, struct cpuid_table *table, struct err *e)
{
	struct kvm_cpuid_entry2 *c = template_find(table, l->leaf, l->subleaf);

	if (!c && cpuid_is_made(l->leaf))
		return 0;
	if (!c)
		return err_set(e, -EINVAL,
			"cpu-config.cpuid_modifiers: Template changes a CPUID entry not supported "
			"by KVM: Leaf: %x, Subleaf: %x; 'mayfly cpu dump' lists those of this host",
			l->leaf, l->subleaf);
	CHECK(l->modifier_count <= CPU_TEMPLATE_MODIFIERS_MAX);
	c->flags = l->flags;
	for (uint32_t i = 0; i < l->modifier_count; i++) {
		uint32_t *reg = cpuid_reg(c, l->modifiers[i].reg);

		*reg = cpuid_bits_apply(l->modifiers[i].bits, *reg);
	}
	return 0;
}

int cpu_template_apply_cpuid(const struct cpu_template *t, struct cpuid_table *table, struct err *e)
{
	const struct kvm_cpuid_entry2 *vendor = template_find(table, 0, 0);
	struct kvm_cpuid_entry2 *after, before = {0};
	int rc = 0;

	if (vendor)
		before = *vendor;
	CHECK(t->leaf_count <= CPU_TEMPLATE_LEAVES_MAX);
	for (uint32_t i = 0; rc == 0 && i < t->leaf_count; i++)
		rc = template_apply_leaf(&t->leaves[i], table, e);
	after = template_find(table, 0, 0);
	if (vendor && after) {
		after->ebx = before.ebx;
		after->ecx = before.ecx;
		after->edx = before.edx;
	}
	return rc;
}

union template_msr_buf {
	struct kvm_msrs head;
	unsigned char bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
};

static int template_apply_msr(const struct cpu_template_msr *m, int vcpu_fd, struct err *e)
{
	union template_msr_buf buf;
	struct kvm_msr_entry *entry = buf.head.entries;
	int rc;

	memset(&buf, 0, sizeof(buf));
	buf.head.nmsrs = 1;
	entry->index = m->addr;
	rc = ioctl(vcpu_fd, KVM_GET_MSRS, &buf);
	if (rc < 0)
		return err_set_os(e, -errno, "KVM_GET_MSRS of 0x%x", m->addr);
	if (rc == 0)
		return err_set(e, -EINVAL,
			"cpu-config.msr_modifiers: Template changes an MSR entry not supported by "
			"KVM: Register Address: %x; 'mayfly cpu dump' lists those of this host",
			m->addr);
	entry->data = msr_bits_apply(m->bits, entry->data);
	rc = ioctl(vcpu_fd, KVM_SET_MSRS, &buf);
	if (rc < 0)
		return err_set_os(e, -errno, "KVM_SET_MSRS of 0x%x", m->addr);
	if (rc == 0)
		return err_set(e, -EINVAL,
			"cpu-config.msr_modifiers: KVM refuses MSR 0x%x = 0x%llx on this host",
			m->addr, (unsigned long long)entry->data);
	return 0;
}

int cpu_template_apply_msrs(const struct cpu_template *t, int vcpu_fd, struct err *e)
{
	int rc = 0;

	CHECK(t->msr_count <= CPU_TEMPLATE_MSRS_MAX);
	for (uint32_t i = 0; rc == 0 && i < t->msr_count; i++)
		rc = template_apply_msr(&t->msrs[i], vcpu_fd, e);
	return rc;
}

int cpu_template_check_caps(const struct cpu_template *t, int kvm_fd, struct err *e)
{
	CHECK(t->caps.count <= CPU_TEMPLATE_CAPS_MAX);
	for (uint32_t i = 0; i < t->caps.count; i++) {
		const struct cpu_template_cap *c = &t->caps.cap[i];

		if (!c->drop && ioctl(kvm_fd, KVM_CHECK_EXTENSION, (unsigned long)c->cap) <= 0)
			return err_set(e, -ENOTSUP,
				"cpu-config.kvm_capabilities: Missing KVM capabilities: 0x%x: this "
				"host's KVM has no capability %u",
				c->cap, c->cap);
	}
	return 0;
}

bool cpu_template_drops_cap(const struct cpu_template *t, int cap)
{
	for (uint32_t i = 0; t && i < t->caps.count; i++)
		if (t->caps.cap[i].drop && t->caps.cap[i].cap == (uint32_t)cap)
			return true;
	return false;
}
