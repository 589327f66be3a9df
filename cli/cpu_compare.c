/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where two templates differ, and where a guest is not as its template says. A register may be
 * changed by several modifiers; what counts is their sum.
 */
#include "cli/cpu.h"

#include <stdio.h>
#include <string.h>

static const char reg_names[][4] = {"eax", "ebx", "ecx", "edx"};

/* Is the leaf there at all, and what do all its modifiers make of the register? */
static bool sum_cpuid(const struct cpu_template *t, const struct cpu_template_leaf *of,
	enum cpuid_reg reg, struct msr_bits *ret)
{
	bool found = false;

	*ret = (struct msr_bits){0, 0};
	for (uint32_t i = 0; i < t->leaf_count; i++) {
		const struct cpu_template_leaf *l = &t->leaves[i];

		if (l->leaf != of->leaf || l->subleaf != of->subleaf)
			continue;
		found = true;
		for (uint32_t k = 0; k < l->modifier_count; k++) {
			if (l->modifiers[k].reg != reg)
				continue;
			ret->filter |= l->modifiers[k].bits.filter;
			ret->value = cpuid_bits_apply(l->modifiers[k].bits, (uint32_t)ret->value);
		}
	}
	return found;
}

static bool sum_msr(const struct cpu_template *t, uint32_t addr, struct msr_bits *ret)
{
	bool found = false;

	*ret = (struct msr_bits){0, 0};
	for (uint32_t i = 0; i < t->msr_count; i++) {
		if (t->msrs[i].addr != addr)
			continue;
		found = true;
		ret->filter |= t->msrs[i].bits.filter;
		ret->value = msr_bits_apply(t->msrs[i].bits, ret->value);
	}
	return found;
}

/* Entry i is the first of its leaf: later ones were summed with it. */
static bool leaf_is_first(const struct cpu_template *t, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (t->leaves[k].leaf == t->leaves[i].leaf &&
			t->leaves[k].subleaf == t->leaves[i].subleaf)
			return false;
	return true;
}

static bool msr_is_first(const struct cpu_template *t, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (t->msrs[k].addr == t->msrs[i].addr)
			return false;
	return true;
}

static const struct cpu_template_leaf *leaf_of(
	const struct cpu_template *t, const struct cpu_template_leaf *of)
{
	for (uint32_t i = 0; i < t->leaf_count; i++)
		if (t->leaves[i].leaf == of->leaf && t->leaves[i].subleaf == of->subleaf)
			return &t->leaves[i];
	return NULL;
}

static void compare_flags(struct cpu_report *r, const char *name,
	const struct cpu_template_leaf *left, const struct cpu_template_leaf *right)
{
	char field[80], a[16], b[16];

	if (!right || left->flags == right->flags)
		return;
	(void)snprintf(field, sizeof(field), "%s flags", name);
	(void)snprintf(a, sizeof(a), "%u", left->flags);
	(void)snprintf(b, sizeof(b), "%u", right->flags);
	cpu_report_field(r, field, a, b);
}

/* One leaf that the left side has. all: also bits that only one side gives. */
static void compare_leaf(struct cpu_report *r, const struct cpu_template *left,
	const struct cpu_template_leaf *l, const struct cpu_template *right, bool all)
{
	struct msr_bits a, b;
	char name[64];

	(void)snprintf(name, sizeof(name), "cpuid 0x%x 0x%x", l->leaf, l->subleaf);
	if (!sum_cpuid(right, l, CPUID_EAX, &b)) {
		cpu_report_field(r, name, "present", NULL);
		return;
	}
	if (all)
		compare_flags(r, name, l, leaf_of(right, l));
	for (enum cpuid_reg reg = CPUID_EAX; reg <= CPUID_EDX; reg++) {
		uint64_t mask;

		(void)sum_cpuid(left, l, reg, &a);
		(void)sum_cpuid(right, l, reg, &b);
		mask = (a.value ^ b.value) & a.filter & b.filter;
		if (all)
			mask |= a.filter ^ b.filter;
		(void)snprintf(name, sizeof(name), "cpuid 0x%x 0x%x %s", l->leaf, l->subleaf,
			reg_names[reg]);
		if (mask)
			cpu_report_bits(
				r, name, 32, mask, a, b, cpu_names_of(l->leaf, l->subleaf, reg));
	}
}

static void compare_msr(struct cpu_report *r, const struct cpu_template *left, uint32_t addr,
	const struct cpu_template *right, bool all)
{
	struct msr_bits a, b;
	char name[32];
	uint64_t mask;

	(void)snprintf(name, sizeof(name), "msr 0x%x", addr);
	(void)sum_msr(left, addr, &a);
	if (!sum_msr(right, addr, &b)) {
		cpu_report_field(r, name, "present", NULL);
		return;
	}
	mask = (a.value ^ b.value) & a.filter & b.filter;
	if (all)
		mask |= a.filter ^ b.filter;
	if (mask)
		cpu_report_bits(r, name, 64, mask, a, b, NULL);
}

static void compare_from(struct cpu_report *r, const struct cpu_template *left,
	const struct cpu_template *right, bool all)
{
	for (uint32_t i = 0; i < left->leaf_count; i++)
		if (leaf_is_first(left, i))
			compare_leaf(r, left, &left->leaves[i], right, all);
	for (uint32_t i = 0; i < left->msr_count; i++)
		if (msr_is_first(left, i))
			compare_msr(r, left, left->msrs[i].addr, right, all);
}

/* What only the right side has. */
static void compare_rest(
	struct cpu_report *r, const struct cpu_template *left, const struct cpu_template *right)
{
	struct msr_bits b;
	char name[64];

	for (uint32_t i = 0; i < right->leaf_count; i++) {
		const struct cpu_template_leaf *l = &right->leaves[i];

		(void)snprintf(name, sizeof(name), "cpuid 0x%x 0x%x", l->leaf, l->subleaf);
		if (leaf_is_first(right, i) && !sum_cpuid(left, l, CPUID_EAX, &b))
			cpu_report_field(r, name, NULL, "present");
	}
	for (uint32_t i = 0; i < right->msr_count; i++) {
		(void)snprintf(name, sizeof(name), "msr 0x%x", right->msrs[i].addr);
		if (msr_is_first(right, i) && !sum_msr(left, right->msrs[i].addr, &b))
			cpu_report_field(r, name, NULL, "present");
	}
}

static const char *cap_text(const struct cpu_template *t, uint32_t cap)
{
	const char *text = NULL;

	for (uint32_t i = 0; i < t->caps.count; i++)
		if (t->caps.cap[i].cap == cap)
			text = t->caps.cap[i].drop ? "dropped" : "demanded";
	return text;
}

/* Capabilities of a; those that b has too only once, from the left. */
static void compare_caps(struct cpu_report *r, const struct cpu_template *of,
	const struct cpu_template *left, const struct cpu_template *right)
{
	char name[48];

	for (uint32_t i = 0; i < of->caps.count; i++) {
		uint32_t cap = of->caps.cap[i].cap;
		const char *a = cap_text(left, cap), *b = cap_text(right, cap);

		(void)snprintf(name, sizeof(name), "kvm_capability %u", cap);
		if ((a ? !b || strcmp(a, b) != 0 : b != NULL) && (of == left || !a))
			cpu_report_field(r, name, a, b);
	}
}

void cpu_compare(
	struct cpu_report *r, const struct cpu_template *left, const struct cpu_template *right)
{
	compare_caps(r, left, left, right);
	compare_caps(r, right, left, right);
	compare_from(r, left, right, true);
	compare_rest(r, left, right);
}

void cpu_verify(
	struct cpu_report *r, const struct cpu_template *t, const struct cpu_template *guest)
{
	compare_from(r, t, guest, false);
}
