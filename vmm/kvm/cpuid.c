/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID for the guest. Leaves: Intel SDM vol. 2A "CPUID", AMD APM vol. 3 appendix E. See cpuid.h. */
#include "vmm/kvm/cpuid.h"

#include "vmm/base/check.h"

#include <asm/kvm_para.h>
#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define BIT(n)              (1u << (n))
#define CPUID_CLFLUSH_64    0x0800u /* leaf 1 ebx: lines of 8 times 8 bytes */
#define CPUID_HYPERVISOR    0x40000000u
#define CPUID_TIMING        0x40000010u
#define CPUID_APIC_BUS_KHZ  1000000u /* KVM's local APIC timer counts nanoseconds */
#define CPUID_TOPOLOGY_LEAF 0xbu
#define CPUID_TOPOLOGY_V2   0x1fu
#define CPUID_AMD_TOPOLOGY  0x8000001eu
#define CPUID_BRAND_FIRST   0x80000002u
#define CPUID_BRAND_LAST    0x80000004u
#define CPUID_HYGON_EBX     0x6f677948u /* "HygonGenuine": AMD's design under licence */
#define CPUID_HYGON_EDX     0x6e65476eu
#define CPUID_HYGON_ECX     0x656e6975u

_Static_assert(offsetof(struct cpuid_table, entries) == offsetof(struct kvm_cpuid2, entries),
	"struct cpuid_table must be laid out as struct kvm_cpuid2");

int cpuid_get_supported(int kvm_fd, struct cpuid_table *ret, struct err *e)
{
	ret->nent = CPUID_ENTRIES_MAX;
	ret->padding = 0;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, ret) < 0)
		return err_set_os(e, -errno, "KVM_GET_SUPPORTED_CPUID");
	return 0;
}

static struct kvm_cpuid_entry2 *cpuid_find(struct cpuid_table *t, uint32_t leaf, uint32_t subleaf)
{
	for (uint32_t i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *c = &t->entries[i];

		if (c->function == leaf &&
			(c->index == subleaf || !(c->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)))
			return c;
	}
	return NULL;
}

static void cpuid_drop_leaf(struct cpuid_table *t, uint32_t leaf)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < t->nent; i++)
		if (t->entries[i].function != leaf)
			t->entries[kept++] = t->entries[i];
	t->nent = kept;
}

static struct kvm_cpuid_entry2 *cpuid_add(
	struct cpuid_table *t, uint32_t leaf, uint32_t subleaf, uint32_t flags)
{
	struct kvm_cpuid_entry2 *c;

	CHECK(t->nent < CPUID_ENTRIES_MAX);
	c = &t->entries[t->nent++];
	*c = (struct kvm_cpuid_entry2){.function = leaf, .index = subleaf, .flags = flags};
	return c;
}

/* Smallest n with 1 << n >= count. */
static uint32_t cpuid_width(uint32_t count)
{
	uint32_t n = 0;

	while ((1u << n) < count)
		n++;
	return n;
}

static bool cpuid_vendor_is_amd(struct cpuid_table *t)
{
	const struct kvm_cpuid_entry2 *c = cpuid_find(t, 0, 0);

	return c && ((c->ebx == signature_AMD_ebx && c->edx == signature_AMD_edx &&
			     c->ecx == signature_AMD_ecx) ||
			    (c->ebx == CPUID_HYGON_EBX && c->edx == CPUID_HYGON_EDX &&
				    c->ecx == CPUID_HYGON_ECX));
}

static void cpuid_features(struct cpuid_table *t, const struct cpuid_topology *topo)
{
	struct kvm_cpuid_entry2 *c = cpuid_find(t, 1, 0);

	if (c) {
		c->ecx &= ~(BIT(15) /* PDCM */ | BIT(3) /* MONITOR */);
		c->ecx |= BIT(31); /* hypervisor present */
		if (topo->tsc_deadline)
			c->ecx |= BIT(24);
		c->edx &= ~BIT(28);
		if (topo->vcpu_count > 1)
			c->edx |= BIT(28); /* HTT: the count in ebx is valid */
		c->ebx = CPUID_CLFLUSH_64 | (1u << (16 + cpuid_width(topo->vcpu_count)));
	}
	c = cpuid_find(t, 6, 0);
	if (c) {
		c->eax = BIT(2); /* ARAT: the APIC timer never stops; no turbo, no sensors */
		c->ebx = c->ecx = c->edx = 0;
	}
	c = cpuid_find(t, 7, 0);
	if (c) {
		c->ebx &= ~BIT(2);             /* SGX */
		c->ecx &= ~(BIT(5) | BIT(30)); /* WAITPKG, SGX_LC */
		if (cpuid_vendor_is_amd(t))
			c->edx &= ~BIT(29); /* ARCH_CAPABILITIES is Intel's */
		else
			c->ebx |= BIT(6) | BIT(13); /* FDP_EXCPTN_ONLY, ZERO_FCS_FDS */
	}
	c = cpuid_find(t, 0xa, 0);
	if (c) /* no PMU */
		c->eax = c->ebx = c->ecx = c->edx = 0;
	cpuid_drop_leaf(t, 0x12); /* SGX */
	c = cpuid_find(t, 0x80000001u, 0);
	if (c && cpuid_vendor_is_amd(t))
		c->ecx &= ~(BIT(23) | BIT(24) | BIT(28)); /* PERFCTR_CORE, _NB, _LLC */
	/*
	 * Invariant TSC: a Linux that sees it keeps time by the TSC, not by kvm-clock, and the TSC is not put forward
	 * after a pause or a load, nor is it the same on another host.
	 */
	c = cpuid_find(t, 0x80000007u, 0);
	if (c)
		c->edx &= ~BIT(8);
	c = cpuid_find(t, 0x80000022u, 0);
	if (c) /* AMD PerfMonV2 */
		c->eax = c->ebx = c->ecx = c->edx = 0;
}

/* Leaves 0xb and 0x1f: levels thread and core, then the terminator. */
static void cpuid_extended_topology(
	struct cpuid_table *t, uint32_t leaf, const struct cpuid_topology *topo)
{
	uint32_t threads = topo->smt ? 2 : 1;
	struct kvm_cpuid_entry2 *c;

	cpuid_drop_leaf(t, leaf);
	c = cpuid_add(t, leaf, 0, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	c->eax = cpuid_width(threads);
	c->ebx = threads;
	c->ecx = 0 | 1u << 8; /* level type: thread */
	c = cpuid_add(t, leaf, 1, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	c->eax = cpuid_width(topo->vcpu_count);
	c->ebx = topo->vcpu_count;
	c->ecx = 1 | 2u << 8; /* level type: core */
	c = cpuid_add(t, leaf, 2, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	c->ecx = 2; /* level type: invalid */
}

/* Who shares each cache: threads of a core up to level 2, the whole package from level 3 on. */
static void cpuid_caches(struct cpuid_table *t, uint32_t leaf, const struct cpuid_topology *topo)
{
	for (uint32_t i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *c = &t->entries[i];
		uint32_t level = (c->eax >> 5) & 7;
		uint32_t sharing =
			level >= 3 ? 1u << cpuid_width(topo->vcpu_count) : (topo->smt ? 2u : 1u);

		if (c->function != leaf || (c->eax & 0x1f) == 0)
			continue;
		c->eax = (c->eax & ~(0xfffu << 14)) | (sharing - 1) << 14;
		if (leaf == 4) {
			uint32_t core_ids = 1u << (cpuid_width(topo->vcpu_count) -
						    (topo->smt && topo->vcpu_count > 1 ? 1u : 0u));

			c->eax = (c->eax & ~(0x3fu << 26)) | (core_ids - 1) << 26;
		}
	}
}

static void cpuid_amd_topology(struct cpuid_table *t, const struct cpuid_topology *topo)
{
	struct kvm_cpuid_entry2 *c = cpuid_find(t, 0x80000008u, 0);

	if (c) {
		c->ecx &= ~0xf0ffu;
		c->ecx |= cpuid_width(topo->vcpu_count) << 12 | (topo->vcpu_count - 1);
	}
	c = cpuid_find(t, 0x80000001u, 0);
	if (c && topo->vcpu_count > 1)
		c->ecx |= BIT(1); /* CmpLegacy: more than one core */
	c = cpuid_find(t, CPUID_AMD_TOPOLOGY, 0);
	if (c) {
		c->ebx = (topo->smt ? 1u : 0u) << 8; /* threads per core - 1; core id is per vCPU */
		c->ecx = 0;                          /* one node */
		c->edx = 0;
		if ((c = cpuid_find(t, 0x80000001u, 0)))
			c->ecx |= BIT(22); /* TOPOEXT: this leaf and 0x8000001d are there */
	}
	cpuid_caches(t, 0x8000001du, topo);
}

/* The host's brand string: KVM leaves it out, guests print it. */
static void cpuid_brand_string(struct cpuid_table *t)
{
	const struct kvm_cpuid_entry2 *top = cpuid_find(t, 0x80000000u, 0);

	/* Each CPUID instruction here may trap and take microseconds: as few as possible. */
	if ((top ? top->eax : (unsigned)__get_cpuid_max(0x80000000u, NULL)) < 0x80000004u)
		return;
	for (uint32_t leaf = 0x80000002u; leaf <= 0x80000004u; leaf++) {
		struct kvm_cpuid_entry2 *c = cpuid_find(t, leaf, 0);

		if (!c)
			c = cpuid_add(t, leaf, 0, 0);
		__cpuid(leaf, c->eax, c->ebx, c->ecx, c->edx);
	}
}

/* Hypervisor leaves: KVM's own, and the frequencies that guests need not measure then. */
static void cpuid_hypervisor(struct cpuid_table *t, const struct cpuid_topology *topo)
{
	struct kvm_cpuid_entry2 *c = cpuid_find(t, CPUID_HYPERVISOR, 0);

	if (!c || topo->tsc_khz == 0)
		return;
	c->eax = CPUID_TIMING;
	c = cpuid_find(t, CPUID_TIMING, 0);
	if (!c)
		c = cpuid_add(t, CPUID_TIMING, 0, 0);
	c->eax = topo->tsc_khz;
	c->ebx = CPUID_APIC_BUS_KHZ;
	c->ecx = c->edx = 0;
}

void cpuid_normalise(struct cpuid_table *t, const struct cpuid_topology *topo)
{
	cpuid_features(t, topo);
	cpuid_brand_string(t);
	if (cpuid_find(t, 0, 0) && cpuid_find(t, 0, 0)->eax >= CPUID_TOPOLOGY_LEAF)
		cpuid_extended_topology(t, CPUID_TOPOLOGY_LEAF, topo);
	if (cpuid_find(t, CPUID_TOPOLOGY_V2, 0))
		cpuid_extended_topology(t, CPUID_TOPOLOGY_V2, topo);
	cpuid_caches(t, 4, topo);
	if (cpuid_vendor_is_amd(t))
		cpuid_amd_topology(t, topo);
	cpuid_hypervisor(t, topo);
	cpuid_set_apic_id(t, 0);
}

bool cpuid_is_made(uint32_t leaf)
{
	return leaf == CPUID_TOPOLOGY_LEAF || leaf == CPUID_TIMING ||
	       (leaf >= CPUID_BRAND_FIRST && leaf <= CPUID_BRAND_LAST);
}

void cpuid_set_apic_id(struct cpuid_table *t, uint32_t apic_id)
{
	for (uint32_t i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *c = &t->entries[i];

		switch (c->function) {
		case 1:
			c->ebx = (c->ebx & 0x00ffffffu) | apic_id << 24;
			break;
		case CPUID_TOPOLOGY_LEAF:
		case CPUID_TOPOLOGY_V2:
			c->edx = apic_id;
			break;
		case CPUID_AMD_TOPOLOGY:
			c->eax = apic_id;
			c->ebx = (c->ebx & ~0xffu) | (apic_id >> ((c->ebx >> 8) & 1));
			break;
		default:
			break;
		}
	}
}
