/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing CPUs. See cpu_check.h. */
#include "snapshot/cpu_check.h"

#include "vmm/kvm/cpu_template.h"

#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/platform/x86.h>
#include <sys/utsname.h>

#define LEAF_BASIC    0u
#define LEAF_FEATURES 1u
#define LEAF_EXTENDED 7u
#define LEAF_XSAVE    0xdu
#define LEAF_AMD_MAX  0x80000000u
#define LEAF_AMD      0x80000001u
#define LEAF_AMD_EXT  0x80000008u
#define LEAF_AMD_EXT2 0x80000021u
#define LEAF_BRAND    0x80000002u
#define LEAF_KVM      0x40000001u

/* Registers that are sets of features: each bit that the guest has must be there on the host. */
static const struct {
	uint32_t leaf, subleaf;
	enum cpuid_reg reg;
	uint32_t ours; /* bits that the monitor sets by itself, or that follow the guest's state */
} feature_words[] = {
	/* TSC deadline, OSXSAVE, hypervisor, x2APIC; HTT */
	{LEAF_FEATURES, 0, CPUID_ECX, 1u << 24 | 1u << 27 | 1u << 31 | 1u << 21},
	{LEAF_FEATURES, 0, CPUID_EDX, 1u << 28},
	{LEAF_EXTENDED, 0, CPUID_EBX, 0},
	{LEAF_EXTENDED, 0, CPUID_ECX, 1u << 4}, /* OSPKE */
	{LEAF_EXTENDED, 0, CPUID_EDX, 0},
	{LEAF_EXTENDED, 1, CPUID_EAX, 0},
	{LEAF_EXTENDED, 1, CPUID_EDX, 0},
	{LEAF_EXTENDED, 2, CPUID_EDX, 0},
	{LEAF_XSAVE, 0, CPUID_EAX, 0},
	{LEAF_XSAVE, 0, CPUID_EDX, 0},
	{LEAF_XSAVE, 1, CPUID_EAX, 0},
	{LEAF_AMD, 0, CPUID_ECX, 1u << 22 | 1u << 1}, /* topology extensions, CMP legacy */
	{LEAF_AMD, 0, CPUID_EDX, 0},
	{LEAF_AMD_EXT, 0, CPUID_EBX, 0},
	{LEAF_AMD_EXT2, 0, CPUID_EAX, 0},
	{LEAF_KVM, 0, CPUID_EAX, 0},
};

static uint32_t word_get(
	const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf, enum cpuid_reg reg)
{
	for (uint32_t i = 0; i < MIN(t->nent, (uint32_t)CPUID_ENTRIES_MAX); i++) {
		struct kvm_cpuid_entry2 c = t->entries[i];

		if (c.function == leaf &&
			(c.index == subleaf || !(c.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)))
			return *cpuid_reg(&c, reg);
	}
	return 0;
}

struct missing {
	char text[512];
	unsigned more; /* that text has no room for */
};

static void name_add(struct missing *m, const char *name)
{
	size_t used = strlen(m->text);

	if (m->more || used + strlen(name) + 2 > sizeof(m->text))
		m->more++;
	else
		(void)snprintf(m->text + used, sizeof(m->text) - used, " %s", name);
}

static void name_bits(struct missing *m, size_t word, uint32_t missing)
{
	static const char regs[] = "abcd";
	uint32_t leaf = feature_words[word].leaf, subleaf = feature_words[word].subleaf;
	const char *const *names = cpu_names_of(leaf, subleaf, feature_words[word].reg);

	for (unsigned bit = 0; missing != 0; bit++, missing >>= 1) {
		char place[32];

		if (!(missing & 1))
			continue;
		(void)snprintf(place, sizeof(place), "0x%x/%u:e%cx[%u]", leaf, subleaf,
			regs[feature_words[word].reg], bit);
		name_add(m, names && names[bit] ? names[bit] : place);
	}
}

int cpu_check_bits(const struct cpuid_table *guest, const struct cpuid_table *host, struct err *e)
{
	struct missing all = {0};
	char more[32] = "";

	for (size_t i = 0; i < NELEM(feature_words); i++) {
		uint32_t leaf = feature_words[i].leaf, subleaf = feature_words[i].subleaf;
		uint32_t want = word_get(guest, leaf, subleaf, feature_words[i].reg);
		uint32_t have = word_get(host, leaf, subleaf, feature_words[i].reg);
		uint32_t missing = want & ~have & ~feature_words[i].ours;

		if (missing)
			name_bits(&all, i, missing);
	}
	if (!all.text[0])
		return 0;
	if (all.more)
		(void)snprintf(more, sizeof(more), " and %u more", all.more);
	return err_set(e, -ENOTSUP, "the guest uses CPU features that are missing here:%s%s",
		all.text, more);
}

/* One instruction if the leaf is there, which max, of leaf 0 or 0x80000000, says; each may trap. */
static void identify_leaf(uint32_t max, uint32_t leaf, uint32_t ret[4])
{
	uint32_t a, b, c, d;

	if (leaf > max)
		return;
	__cpuid_count(leaf, 0, a, b, c, d);
	ret[0] = a;
	ret[1] = b;
	ret[2] = c;
	ret[3] = d;
}

/*
 * All that a mark is made of, but no brand. Most of it the C library has from when the process began: where the
 * host is a VM, each CPUID instruction costs as much as many system calls.
 *
 * #syscalls:main uname
 */
static void identify_mark(struct snapshot_info *ret)
{
	const uint32_t *features = __x86_get_cpuid_feature_leaf(CPUID_INDEX_1)->cpuid_array,
		       *extended = __x86_get_cpuid_feature_leaf(CPUID_INDEX_7)->cpuid_array,
		       *amd = __x86_get_cpuid_feature_leaf(CPUID_INDEX_80000001)->cpuid_array;
	uint32_t basic[4] = {0}, words[8];
	struct utsname u = {0};

	identify_leaf(LEAF_BASIC, LEAF_BASIC, basic);
	memcpy(ret->cpu_vendor, &basic[1], 4);
	memcpy(ret->cpu_vendor + 4, &basic[3], 4);
	memcpy(ret->cpu_vendor + 8, &basic[2], 4);
	words[0] = features[0];
	words[1] = features[2] & ~(1u << 27);
	words[2] = features[3];
	memcpy(&words[3], &extended[1], 3 * sizeof(words[0]));
	memcpy(&words[6], &amd[2], 2 * sizeof(words[0]));
	ret->cpu_signature = words[0];
	(void)uname(&u);
	ret->host_mark = snapshot_crc(0, words, sizeof(words));
	ret->host_mark = snapshot_crc(ret->host_mark, ret->cpu_vendor, sizeof(ret->cpu_vendor));
	ret->host_mark = snapshot_crc(ret->host_mark, u.release, strlen(u.release));
	ret->host_mark = snapshot_crc(ret->host_mark, u.version, strlen(u.version));
}

void cpu_check_identify(struct snapshot_info *ret)
{
	uint32_t max = (uint32_t)__get_cpuid_max(LEAF_AMD_MAX, NULL);

	identify_mark(ret);
	for (unsigned i = 0; i < 3; i++) {
		uint32_t regs[4] = {0};

		identify_leaf(max, LEAF_BRAND + i, regs);
		memcpy(ret->cpu_brand + (size_t)i * sizeof(regs), regs, sizeof(regs));
	}
}

int cpu_check(const struct snapshot_info *info, const struct cpuid_table *guest, int kvm_fd,
	struct err *e)
{
	static struct snapshot_info here;
	static struct cpuid_table host;
	int rc;

	identify_mark(&here);
	if (here.host_mark == info->host_mark)
		return 0;
	if (memcmp(here.cpu_vendor, info->cpu_vendor, sizeof(here.cpu_vendor)) != 0)
		return err_set(e, -ENOTSUP,
			"the snapshot was made on a CPU of %.12s, this is one of %.12s",
			(const char *)info->cpu_vendor, (const char *)here.cpu_vendor);
	rc = cpuid_get_supported(kvm_fd, &host, e);
	return rc < 0 ? rc : cpu_check_bits(guest, &host, e);
}
