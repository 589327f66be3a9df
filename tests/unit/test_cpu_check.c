/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's CPU features against a host's. */
#include "snapshot/cpu_check.h"
#include "tests/unit/lib/cm.h"
#include "vmm/kvm/cpu_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct cpuid_table guest, host;

static void leaf(struct cpuid_table *t, uint32_t function, uint32_t index, uint32_t ebx,
	uint32_t ecx, uint32_t edx)
{
	t->entries[t->nent++] = (struct kvm_cpuid_entry2){.function = function,
		.index = index,
		.flags = function == 7 ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
		.ebx = ebx,
		.ecx = ecx,
		.edx = edx};
}

static int set_up(void **state)
{
	(void)state;
	memset(&guest, 0, sizeof(guest));
	memset(&host, 0, sizeof(host));
	return 0;
}

static void host_with_more_is_fine(void **state)
{
	(void)state;
	leaf(&guest, 1, 0, 0, 1u << 0, 1u << 25);
	leaf(&host, 1, 0, 0, 1u << 0 | 1u << 12, 1u << 25 | 1u << 26);
	leaf(&host, 7, 0, 1u << 5, 0, 0);
	assert_int_equal(cpu_check_bits(&guest, &host, NULL), 0);
}

static void missing_features_are_named(void **state)
{
	struct err e;

	(void)state;
	leaf(&guest, 1, 0, 0, 1u << 12, 0);
	leaf(&guest, 7, 0, 1u << 5 | 1u << 16, 0, 0);
	leaf(&host, 1, 0, 0, 0, 0);
	leaf(&host, 7, 0, 1u << 16, 0, 0);
	assert_int_equal(cpu_check_bits(&guest, &host, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, " fma"));
	assert_non_null(strstr(e.msg, " avx2"));
	assert_null(strstr(e.msg, "avx512f"));
}

static void feature_without_a_name_is_told_by_its_place(void **state)
{
	struct err e;

	(void)state;
	leaf(&guest, 0x80000008, 0, 1u << 30, 0, 0);
	assert_int_equal(cpu_check_bits(&guest, &host, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "0x80000008/0:ebx[30]"));
}

static void names_without_room_are_counted(void **state)
{
	struct err e;
	const char *more;
	int count = 0;

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		leaf(&guest, i == 0 ? 7 : 0x80000007 + i, 0, UINT32_MAX, 0, 0);
	leaf(&guest, 1, 0, 0, 0, ~(1u << 28));
	assert_int_equal(cpu_check_bits(&guest, &host, &e), -ENOTSUP);
	more = strstr(e.msg, " and ");
	assert_non_null(more);
	for (const char *p = strchr(e.msg, ':') + 1; p < more; p++)
		count += *p == ' ';
	count += (int)strtol(more + strlen(" and "), NULL, 10);
	assert_int_equal(count, 32 + 32 + 31);
}

static void bits_that_the_monitor_sets_need_no_host(void **state)
{
	(void)state;
	/* TSC deadline, OSXSAVE, hypervisor; HTT */
	leaf(&guest, 1, 0, 0, 1u << 24 | 1u << 27 | 1u << 31, 1u << 28);
	assert_int_equal(cpu_check_bits(&guest, &host, NULL), 0);
}

static void full_table_is_no_overrun(void **state)
{
	(void)state;
	guest.nent = UINT32_MAX;
	host.nent = UINT32_MAX;
	assert_int_equal(cpu_check_bits(&guest, &host, NULL), 0);
}

/* What this host's guests get must load on this host, by the slow way too. */
static void guests_of_this_host_load_here(void **state)
{
	static struct snapshot_info info;
	const struct cpuid_topology topo = {.vcpu_count = 4, .smt = true, .tsc_deadline = true};
	struct err e = {0};
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	(void)state;
	if (kvm < 0)
		skip();
	assert_int_equal(cpuid_get_supported(kvm, &guest, NULL), 0);
	cpuid_normalise(&guest, &topo);
	cpuid_set_apic_id(&guest, 0);
	cpu_check_identify(&info);
	assert_int_equal(cpu_check(&info, &guest, kvm, &e), 0);
	info.host_mark++;
	if (cpu_check(&info, &guest, kvm, &e) != 0)
		fail_msg("%s", e.msg);
	info.cpu_vendor[0]++;
	assert_int_equal(cpu_check(&info, &guest, kvm, &e), -ENOTSUP);
	(void)close(kvm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(host_with_more_is_fine, set_up),
		cmocka_unit_test_setup(missing_features_are_named, set_up),
		cmocka_unit_test_setup(feature_without_a_name_is_told_by_its_place, set_up),
		cmocka_unit_test_setup(names_without_room_are_counted, set_up),
		cmocka_unit_test_setup(bits_that_the_monitor_sets_need_no_host, set_up),
		cmocka_unit_test_setup(full_table_is_no_overrun, set_up),
		cmocka_unit_test_setup(guests_of_this_host_load_here, set_up),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("cpu_check", tests, NULL, NULL);
}
