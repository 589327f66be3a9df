/* SPDX-License-Identifier: Apache-2.0 */
/* CPU templates: applying them to CPUID, who may use the named ones, capabilities. */
#include "tests/unit/lib/cm.h"
#include "vmm/kvm/caps.h"
#include "vmm/kvm/cpu_template.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SKYLAKE 0x50654u
#define GENOA   0xa10f11u

static struct cpuid_table table;
static struct cpu_template tpl;

static void add_entry(uint32_t leaf, uint32_t sub, uint32_t eax, uint32_t ebx)
{
	table.entries[table.nent++] = (struct kvm_cpuid_entry2){
		.function = leaf, .index = sub, .eax = eax, .ebx = ebx, .ecx = 0x55, .edx = 0xaa};
}

static struct cpu_template_leaf *add_leaf(uint32_t leaf, uint32_t sub)
{
	struct cpu_template_leaf *l = &tpl.leaves[tpl.leaf_count++];

	l->leaf = leaf;
	l->subleaf = sub;
	return l;
}

static void add_modifier(
	struct cpu_template_leaf *l, enum cpuid_reg reg, uint32_t filter, uint32_t value)
{
	l->modifiers[l->modifier_count++] =
		(struct cpuid_modifier){.reg = reg, .bits = {filter, value}};
}

static int make(void **state)
{
	(void)state;
	memset(&table, 0, sizeof(table));
	memset(&tpl, 0, sizeof(tpl));
	add_entry(0, 0, 0x10, 0x756e6547);
	add_entry(7, 0, 1, 0xf0f0f0f0);
	add_entry(7, 1, 2, 0x0f0f0f0f);
	return 0;
}

static void apply_sets_clears_and_leaves_bits(void **state)
{
	struct cpu_template_leaf *l = add_leaf(7, 0);
	struct err e;

	(void)state;
	add_modifier(l, CPUID_EBX, 0xff0000ff, 0x0f00000f);
	add_modifier(l, CPUID_EAX, UINT32_MAX, 0x1234);
	l->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	assert_int_equal(cpu_template_apply_cpuid(&tpl, &table, &e), 0);
	assert_int_equal(table.entries[1].ebx, 0x0ff0f00f);
	assert_int_equal(table.entries[1].eax, 0x1234);
	assert_int_equal(table.entries[1].ecx, 0x55);
	assert_int_equal(table.entries[1].flags, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	assert_int_equal(table.entries[2].ebx, 0x0f0f0f0f); /* the other subleaf */
}

static void modifiers_of_one_register_apply_in_order(void **state)
{
	struct cpu_template_leaf *l = add_leaf(7, 1);
	struct err e;

	(void)state;
	add_modifier(l, CPUID_EBX, 0xff, 0xff);
	add_modifier(l, CPUID_EBX, 0x0f, 0x01);
	assert_int_equal(cpu_template_apply_cpuid(&tpl, &table, &e), 0);
	assert_int_equal(table.entries[2].ebx, 0x0f0f0ff1);
}

static void a_leaf_that_kvm_has_not_is_refused_by_name(void **state)
{
	struct err e;

	(void)state;
	add_leaf(7, 0x2a);
	assert_int_equal(cpu_template_apply_cpuid(&tpl, &table, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "Template changes a CPUID entry not supported by KVM: "
				      "Leaf: 7, Subleaf: 2a"));
}

static void the_vendor_stays_the_hosts(void **state)
{
	struct cpu_template_leaf *l = add_leaf(0, 0);
	struct err e;

	(void)state;
	add_modifier(l, CPUID_EAX, UINT32_MAX, 0xd);
	add_modifier(l, CPUID_EBX, UINT32_MAX, 0);
	add_modifier(l, CPUID_EDX, UINT32_MAX, 0);
	assert_int_equal(cpu_template_apply_cpuid(&tpl, &table, &e), 0);
	assert_int_equal(table.entries[0].eax, 0xd);
	assert_int_equal(table.entries[0].ebx, 0x756e6547);
	assert_int_equal(table.entries[0].edx, 0xaa);
}

/* What every guest gets wins over the template: count of CPUs, line size, hypervisor bit, deadline timer. */
static void normalisation_wins_over_the_template(void **state)
{
	const struct cpuid_topology topo = {.vcpu_count = 4, .tsc_deadline = true};
	struct cpu_template_leaf *l = add_leaf(1, 0);
	const struct kvm_cpuid_entry2 *c = &table.entries[3];
	struct err e;

	(void)state;
	add_entry(1, 0, SKYLAKE, 0x01040800);
	for (enum cpuid_reg reg = CPUID_EBX; reg <= CPUID_EDX; reg++)
		add_modifier(l, reg, UINT32_MAX, 0);
	add_modifier(add_leaf(7, 0), CPUID_EBX, UINT32_MAX, 0);
	assert_int_equal(cpu_template_apply_cpuid(&tpl, &table, &e), 0);
	cpuid_normalise(&table, &topo);
	assert_int_equal(c->ebx, 0x00040800);
	assert_int_equal(c->ecx, 1u << 31 | 1u << 24);
	assert_int_equal(c->edx, 1u << 28);
	assert_int_equal(table.entries[1].ebx, 1u << 13 | 1u << 6); /* an Intel's FPU */
}

static struct kvm_cpuid_entry2 vendor(const char *name)
{
	struct kvm_cpuid_entry2 c = {0};

	memcpy(&c.ebx, name, 4);
	memcpy(&c.edx, name + 4, 4);
	memcpy(&c.ecx, name + 8, 4);
	return c;
}

static void named_templates_are_for_their_vendor_and_models(void **state)
{
	struct kvm_cpuid_entry2 intel = vendor("GenuineIntel"), amd = vendor("AuthenticAMD");
	struct err e;

	(void)state;
	assert_int_equal(cpu_template_check_cpu(CPU_TEMPLATE_T2, &intel, SKYLAKE, &e), 0);
	assert_int_equal(cpu_template_check_cpu(CPU_TEMPLATE_T2A, &amd, 0xa00f11, &e), 0);
	assert_int_equal(cpu_template_check_cpu(CPU_TEMPLATE_T2, &amd, SKYLAKE, &e), -ENOTSUP);
	assert_non_null(
		strstr(e.msg, "CPU vendor mismatched between actual CPU and CPU template."));
	assert_non_null(strstr(e.msg, "AuthenticAMD"));
	assert_int_equal(cpu_template_check_cpu(CPU_TEMPLATE_T2CL, &intel, SKYLAKE, &e), -ENOTSUP);
	assert_non_null(
		strstr(e.msg, "The current CPU model is not permitted to apply the CPU template."));
	assert_int_equal(cpu_template_check_cpu(CPU_TEMPLATE_T2A, &amd, GENOA, &e), -ENOTSUP);
	assert_int_equal(cpu_template_check_cpu(CPU_TEMPLATE_V1N1, &intel, SKYLAKE, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "V1N1"));
}

static void a_dropped_capability_is_not_demanded(void **state)
{
	(void)state;
	tpl.caps.cap[0] = (struct cpu_template_cap){.cap = KVM_CAP_XCRS, .drop = true};
	tpl.caps.cap[1] = (struct cpu_template_cap){.cap = KVM_CAP_IRQFD};
	tpl.caps.count = 2;
	assert_true(cpu_template_drops_cap(&tpl, KVM_CAP_XCRS));
	assert_false(cpu_template_drops_cap(&tpl, KVM_CAP_IRQFD));
	assert_false(cpu_template_drops_cap(NULL, KVM_CAP_XCRS));
}

static void a_demanded_capability_that_is_missing_is_named(void **state)
{
	int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct err e;

	(void)state;
	if (kvm_fd < 0)
		skip();
	tpl.caps.cap[0].cap = KVM_CAP_USER_MEMORY;
	tpl.caps.count = 1;
	assert_int_equal(kvm_caps_check(kvm_fd, &tpl, &e), 0);
	tpl.caps.cap[1].cap = 54321;
	tpl.caps.count = 2;
	assert_int_equal(kvm_caps_check(kvm_fd, &tpl, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "Missing KVM capabilities: 0xd431"));
	close(kvm_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(apply_sets_clears_and_leaves_bits, make),
		cmocka_unit_test_setup(modifiers_of_one_register_apply_in_order, make),
		cmocka_unit_test_setup(a_leaf_that_kvm_has_not_is_refused_by_name, make),
		cmocka_unit_test_setup(the_vendor_stays_the_hosts, make),
		cmocka_unit_test_setup(normalisation_wins_over_the_template, make),
		cmocka_unit_test_setup(named_templates_are_for_their_vendor_and_models, make),
		cmocka_unit_test_setup(a_dropped_capability_is_not_demanded, make),
		cmocka_unit_test_setup(a_demanded_capability_that_is_missing_is_named, make),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
