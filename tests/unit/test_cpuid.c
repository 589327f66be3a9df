/* SPDX-License-Identifier: Apache-2.0 */
/* What CPUID tells the guest, on made-up hosts of both vendors. */
#include "tests/unit/lib/cm.h"
#include "vmm/kvm/cpuid.h"

#include <string.h>

#define INDEXED KVM_CPUID_FLAG_SIGNIFCANT_INDEX

static struct cpuid_table table;

static void add(
	uint32_t leaf, uint32_t sub, uint32_t flags, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	table.entries[table.nent++] = (struct kvm_cpuid_entry2){.function = leaf,
		.index = sub,
		.flags = flags,
		.eax = a,
		.ebx = b,
		.ecx = c,
		.edx = d};
}

/* A host on whose CPU 0x2a this test runs, with everything set that must not get through. */
static void make_host(bool amd)
{
	memset(&table, 0, sizeof(table));
	if (amd)
		add(0, 0, 0, 0x10, 0x68747541, 0x444d4163, 0x69746e65);
	else
		add(0, 0, 0, 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69);
	add(1, 0, 0, 0x806f8, 0x2a100800, 0xffffffff & ~(1u << 31), 0xffffffff & ~(1u << 28));
	add(4, 0, INDEXED, 0xfc004121, 0, 0, 0); /* L1 data */
	add(4, 1, INDEXED, 0xfc01c163, 0, 0, 0); /* L3 */
	add(6, 0, 0, 0xffffffff, 2, 0xb, 3);
	add(7, 0, INDEXED, 2, 0xffffffff, 0xffffffff, 0xffffffff);
	add(0xa, 0, 0, 0x08300805, 0, 0xf, 0x8604);
	add(0xb, 0, INDEXED, 1, 2, 0x100, 0x2a);
	add(0xb, 1, INDEXED, 7, 0x40, 0x201, 0x2a);
	add(0x12, 0, INDEXED, 1, 1, 1, 1);
	if (!amd)
		add(0x1f, 0, INDEXED, 1, 2, 0x100, 0x2a);
	add(0x40000000, 0, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d);
	add(0x80000001, 0, 0, 0, 0, 0xffffffff & ~2u, 0);
	add(0x80000007, 0, 0, 0, 0, 0, 1u << 8);
	add(0x80000008, 0, 0, 0x3030, 0, 0x7f7f, 0);
	if (amd) {
		add(0x8000001d, 0, INDEXED, 0x4121, 0, 0, 0);
		add(0x8000001d, 3, INDEXED, 0xffff163, 0, 0, 0);
		add(0x8000001e, 0, 0, 0x2a, 0x115, 0x303, 0x55);
	}
}

static bool has_leaf(uint32_t function, uint32_t index, uint32_t *ret_at)
{
	for (*ret_at = 0; *ret_at < table.nent; ++*ret_at)
		if (table.entries[*ret_at].function == function &&
			table.entries[*ret_at].index == index)
			return true;
	return false;
}

static const struct kvm_cpuid_entry2 *leaf(uint32_t function, uint32_t index)
{
	uint32_t at;

	assert_true(has_leaf(function, index, &at));
	return &table.entries[at];
}

static void normalise(bool amd, uint32_t vcpus, bool smt)
{
	struct cpuid_topology t = {
		.vcpu_count = vcpus, .smt = smt, .tsc_deadline = true, .tsc_khz = 2400000};

	make_host(amd);
	cpuid_normalise(&table, &t);
}

static void host_apic_ids_do_not_leak(void **state)
{
	(void)state;
	for (int amd = 0; amd < 2; amd++) {
		normalise(amd, 4, false);
		cpuid_set_apic_id(&table, 3);
		assert_int_equal(leaf(1, 0)->ebx >> 24, 3);
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(leaf(0xb, i)->edx, 3);
		if (amd) {
			assert_int_equal(leaf(0x8000001e, 0)->eax, 3);
			assert_int_equal(leaf(0x8000001e, 0)->ebx, 3);
			assert_int_equal(leaf(0x8000001e, 0)->ecx, 0);
		} else {
			assert_int_equal(leaf(0x1f, 0)->edx, 3);
		}
	}
}

static void features_that_a_microvm_lacks_are_gone(void **state)
{
	uint32_t at;

	(void)state;
	normalise(false, 2, false);
	assert_int_equal(leaf(1, 0)->ecx & (1u << 15 | 1u << 3), 0);
	assert_int_equal(leaf(6, 0)->eax, 4);
	assert_int_equal(leaf(7, 0)->ebx & 4, 0);
	assert_int_equal(leaf(7, 0)->ecx & (1u << 5 | 1u << 30), 0);
	assert_int_equal(leaf(0xa, 0)->eax, 0);
	assert_int_equal(leaf(0x80000007, 0)->edx, 0); /* invariant TSC */
	assert_false(has_leaf(0x12, 0, &at));
	assert_true(leaf(7, 0)->edx & 1u << 29); /* Intel's ARCH_CAPABILITIES stays there, */
	normalise(true, 2, false);
	assert_false(leaf(7, 0)->edx & 1u << 29); /* and only there */
}

static void hypervisor_and_deadline_timer_are_announced(void **state)
{
	(void)state;
	normalise(false, 1, false);
	assert_true(leaf(1, 0)->ecx & 1u << 31);
	assert_true(leaf(1, 0)->ecx & 1u << 24);
	assert_int_equal(leaf(0x40000000, 0)->eax, 0x40000010);
	assert_int_equal(leaf(0x40000010, 0)->eax, 2400000);
	assert_int_equal(leaf(0x40000010, 0)->ebx, 1000000);
}

static void one_vcpu_has_no_siblings(void **state)
{
	(void)state;
	normalise(false, 1, false);
	assert_false(leaf(1, 0)->edx & 1u << 28);
	assert_int_equal(leaf(1, 0)->ebx >> 16 & 0xff, 1);
	assert_int_equal(leaf(0xb, 1)->ebx, 1);
	assert_int_equal(leaf(0xb, 1)->eax, 0);
}

/* Every leaf that tells a count tells the same, from 1 to 32 vCPUs, with threads and without. */
static void topology_leaves_agree(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 32; n++) {
		for (int smt = 0; smt < 2; smt++) {
			if (smt && n > 1 && n % 2)
				continue;
			normalise(true, n, smt);
			uint32_t width = leaf(0xb, 1)->eax;

			assert_true(1u << width >= n && (width == 0 || 1u << (width - 1) < n));
			assert_int_equal(leaf(0xb, 0)->ebx, smt ? 2 : 1);
			assert_int_equal(leaf(0xb, 0)->eax, smt);
			assert_int_equal(leaf(0xb, 1)->ebx, n);
			assert_int_equal(leaf(0xb, 2)->ecx >> 8, 0);
			assert_int_equal(leaf(1, 0)->ebx >> 16 & 0xff, 1u << width);
			assert_int_equal(leaf(0x80000008, 0)->ecx & 0xff, n - 1);
			assert_int_equal(leaf(0x80000008, 0)->ecx >> 12 & 0xf, width);
			assert_int_equal(leaf(0x8000001e, 0)->ebx >> 8 & 0xff, smt);
			assert_int_equal((leaf(4, 1)->eax >> 14 & 0xfff) + 1, 1u << width);
			assert_int_equal((leaf(4, 0)->eax >> 14 & 0xfff) + 1, smt ? 2 : 1);
		}
	}
}

static void core_ids_pair_up_threads(void **state)
{
	(void)state;
	normalise(true, 4, true);
	for (uint32_t id = 0; id < 4; id++) {
		cpuid_set_apic_id(&table, id);
		assert_int_equal(leaf(0x8000001e, 0)->ebx & 0xff, id / 2);
	}
}

static void normalising_a_bare_table_adds_nothing_wrong(void **state)
{
	struct cpuid_topology t = {.vcpu_count = 1};

	(void)state;
	memset(&table, 0, sizeof(table));
	cpuid_normalise(&table, &t);
	assert_int_equal(table.nent, 3); /* the brand string */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_apic_ids_do_not_leak),
		cmocka_unit_test(features_that_a_microvm_lacks_are_gone),
		cmocka_unit_test(hypervisor_and_deadline_timer_are_announced),
		cmocka_unit_test(one_vcpu_has_no_siblings),
		cmocka_unit_test(topology_leaves_agree),
		cmocka_unit_test(core_ids_pair_up_threads),
		cmocka_unit_test(normalising_a_bare_table_adds_nothing_wrong),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
