/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU templates as JSON: what is taken, what is refused and with which words, the way there and
 * back; and the named templates against the kept copies in tests/golden/. Runs in the top folder
 * of the sources.
 */
#include "api/cpu_config.h"

#include "api/config_file.h"
#include "tests/unit/lib/cm.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAF(rest)                                                                                 \
	"{\"cpuid_modifiers\":[{\"leaf\":\"0x7\",\"subleaf\":\"0x0\",\"flags\":1," rest "}]}"
#define REG(rest) LEAF("\"modifiers\":[{\"register\":\"ebx\",\"bitmap\":" rest "}]")
#define MSR(rest) "{\"msr_modifiers\":[{\"addr\":\"0x10a\",\"bitmap\":" rest "}]}"
#define X28       "xxxx_xxxx_xxxx_xxxx_xxxx_xxxx_xxxx_"

static struct cpu_template tpl;
static struct err e;

static int parse(const char *text)
{
	json_t *root = NULL;
	int rc = schema_load_text(text, strlen(text), &root, &e);

	if (rc == 0)
		rc = cpu_config_parse(root, &tpl, &e);
	json_decref(root);
	return rc;
}

static void assert_refused(const char *text, const char *words)
{
	assert_int_equal(parse(text), -EINVAL);
	if (!strstr(e.msg, words))
		fail_msg("\"%s\" lacks \"%s\"", e.msg, words);
}

static void bitmaps_give_filter_and_value(void **state)
{
	(void)state;
	assert_int_equal(parse(REG("\"0b" X28 "x01_1\"")), 0);
	assert_int_equal(tpl.leaves[0].modifiers[0].bits.filter, 7);
	assert_int_equal(tpl.leaves[0].modifiers[0].bits.value, 3);
	assert_int_equal(tpl.leaves[0].modifiers[0].reg, CPUID_EBX);
	assert_int_equal(tpl.leaves[0].leaf, 7);
	assert_int_equal(tpl.leaves[0].flags, 1);
	assert_int_equal(parse(MSR("\"0b0" X28 "xxx0_" X28 "xxx\"")), 0);
	assert_true(tpl.msrs[0].bits.filter == (1ull << 63 | 1ull << 31));
	assert_true(tpl.msrs[0].bits.value == 0);
}

static void short_bitmaps_leave_the_rest_alone(void **state)
{
	(void)state;
	assert_int_equal(parse(REG("\"0b10\"")), 0);
	assert_int_equal(tpl.leaves[0].modifiers[0].bits.filter, 3);
	assert_int_equal(parse(REG("\"1\"")), 0); /* Firecracker wants no prefix either */
	assert_int_equal(tpl.leaves[0].modifiers[0].bits.value, 1);
	assert_int_equal(parse(REG("\"0b\"")), 0);
	assert_int_equal(tpl.leaves[0].modifiers[0].bits.filter, 0);
	assert_int_equal(parse(REG("\"0b0000_0000_0000_0000_0000_0000_0000_0000\"")), 0);
	assert_int_equal(tpl.leaves[0].modifiers[0].bits.filter, UINT32_MAX);
}

static void bad_bitmaps_are_refused(void **state)
{
	(void)state;
	assert_refused(REG("\"0b12\""),
		"cpuid_modifiers[0].modifiers[0].bitmap: Failed to parse string [0b12] as a bitmap "
		"- unknown character");
	assert_refused(REG("\"0bX\""), "unknown character");
	assert_refused(REG("\"0b0" X28 "0000\""), "string is too long; the register has 32 bits");
	assert_refused(MSR("\"0b0" X28 "xxxx_" X28 "xxxx\""), "the register has 64 bits");
	assert_refused(REG("7"), "bitmap: invalid type, expected a string");
}

static void numbers_need_a_prefix(void **state)
{
	static const struct {
		const char *text;
		uint32_t value;
		const char *refusal; /* NULL: accepted */
	} rows[] = {
		{"0x10a", 0x10a, NULL},
		{"0xFFFFFFFF", UINT32_MAX, NULL},
		{"0b101", 5, NULL},
		{"266", 0, "No supported number system prefix found in value [266]"},
		{"", 0, "No supported number system prefix"},
		{"0x", 0, "Failed to parse string [0x] as a number"},
		{"0b2", 0, "Failed to parse string"},
		{"0x1g", 0, "Failed to parse string"},
		{"0x100000000", 0, "fit 32 bits"},
		{"0x-1", 0, "Failed to parse string"},
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < NELEM(rows); i++) {
		(void)snprintf(text, sizeof(text),
			"{\"msr_modifiers\":[{\"addr\":\"%s\",\"bitmap\":\"0b1\"}]}", rows[i].text);
		if (rows[i].refusal) {
			assert_refused(text, rows[i].refusal);
			assert_non_null(strstr(e.msg, "msr_modifiers[0].addr: "));
			continue;
		}
		assert_int_equal(parse(text), 0);
		assert_int_equal(tpl.msrs[0].addr, rows[i].value);
	}
}

static void capabilities_are_demanded_or_dropped(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"kvm_capabilities\":[\"171\",\"!56\"]}"), 0);
	assert_int_equal(tpl.caps.count, 2);
	assert_int_equal(tpl.caps.cap[0].cap, 171);
	assert_false(tpl.caps.cap[0].drop);
	assert_int_equal(tpl.caps.cap[1].cap, 56);
	assert_true(tpl.caps.cap[1].drop);
	assert_refused("{\"kvm_capabilities\":[\"1\",\"!\"]}", "kvm_capabilities[1]: Failed to "
							       "parse string [!] as a kvm "
							       "capability - can not convert to "
							       "numeric");
	assert_refused("{\"kvm_capabilities\":[\"0x10\"]}", "can not convert to numeric");
	assert_refused("{\"kvm_capabilities\":[56]}", "kvm_capabilities[0]: invalid type");
	assert_refused("{\"kvm_capabilities\":\"56\"}", "expected an array");
}

static void keys_are_checked_as_firecracker_does(void **state)
{
	(void)state;
	assert_int_equal(parse("{}"), 0);
	assert_int_equal(tpl.leaf_count + tpl.msr_count + tpl.caps.count, 0);
	assert_refused("{\"reg_modifiers\":[]}", "unknown field `reg_modifiers`");
	assert_refused("{\"vcpu_features\":[]}", "unknown field `vcpu_features`");
	assert_refused("{\"cpuid_modifiers\":null}", "cpuid_modifiers: invalid type: null");
	assert_refused("[]", "cpu-config: invalid type: array");
	assert_refused(LEAF("\"register\":\"eax\""), "missing field `modifiers`");
	assert_refused("{\"cpuid_modifiers\":[{\"leaf\":\"0x1\",\"flags\":0,\"modifiers\":[]}]}",
		"missing field `subleaf`");
	assert_refused(LEAF("\"modifiers\":[{\"register\":\"ekx\",\"bitmap\":\"0b1\"}]"),
		"cpuid_modifiers[0].modifiers[0].register: unknown variant `ekx`");
	assert_int_equal(parse(LEAF("\"modifiers\":[],\"comment\":\"why\"")), 0);
	assert_int_equal(tpl.leaf_count, 1);
}

static void lists_are_bounded(void **state)
{
	char text[CPU_TEMPLATE_MSRS_MAX * 48];
	size_t used = (size_t)snprintf(text, sizeof(text), "{\"msr_modifiers\":[");

	(void)state;
	for (uint32_t i = 0; i <= CPU_TEMPLATE_MSRS_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			"%s{\"addr\":\"0x%x\",\"bitmap\":\"0b1\"}", i ? "," : "", i);
	(void)snprintf(text + used, sizeof(text) - used, "]}");
	assert_refused(text, "msr_modifiers: 257 is too many; the most is 256");
	assert_refused(LEAF("\"modifiers\":[1,2,3,4,5,6,7,8,9]"), "9 is too many; the most is 8");
}

/* The text of a template as `mayfly cpu show` prints it. */
static char *print(const struct cpu_template *t)
{
	json_t *j = cpu_config_print(t);
	char *text = json_dumps(j, JSON_INDENT(2));

	json_decref(j);
	assert_non_null(text);
	return text;
}

static void named_templates_are_as_kept(void **state)
{
	static struct cpu_template named, kept;
	char path[64], *a, *b;

	(void)state;
	for (enum cpu_template_name n = CPU_TEMPLATE_C3; n < CPU_TEMPLATE_V1N1; n++) {
		(void)snprintf(path, sizeof(path), "tests/golden/cpu-template-%s.json",
			cpu_template_name_text(n));
		assert_int_equal(cpu_template_get_named(n, &named, &e), 0);
		if (cpu_config_load(path, &kept, &e) != 0)
			fail_msg("%s", e.msg);
		a = print(&named);
		b = print(&kept);
		assert_string_equal(a, b);
		free(a);
		free(b);
	}
}

static void member_takes_object_or_path(void **state)
{
	char path[] = "/tmp/mayfly-cpu-XXXXXX";
	int fd = mkstemp(path);
	struct cpu_template *member = NULL;
	json_t *v = json_string(path), *bad = json_string("/nonexistent");

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "{\"kvm_capabilities\":[\"7\"]}", 26), 26);
	close(fd);
	assert_int_equal(cpu_config_custom.parse(v, "cpu-config", &member, &e), 0);
	assert_int_equal(member->caps.cap[0].cap, 7);
	assert_int_equal(cpu_config_custom.parse(bad, "cpu-config", &member, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "cpu-config: "));
	assert_int_equal(member->caps.count, 1); /* what was there stays */
	json_decref(v);
	v = json_object();
	assert_int_equal(cpu_config_custom.parse(v, "cpu-config", &member, &e), 0);
	assert_int_equal(member->caps.count, 0);
	cpu_config_custom.release(&member);
	assert_null(member);
	json_decref(v);
	json_decref(bad);
	unlink(path);
}

static int parse_file(const char *machine, const char *custom, struct vm_config *ret)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		"{\"boot-source\":{\"kernel_image_path\":\"k\"},\"drives\":[],"
		"\"machine-config\":{\"vcpu_count\":1,\"mem_size_mib\":8,\"cpu_template\":%s},"
		"\"cpu-config\":%s}",
		machine, custom);
	vm_config_init(ret);
	return config_file_parse(text, strlen(text), ret, &e);
}

static void custom_template_in_a_file_takes_the_place_of_a_named_one(void **state)
{
	struct vm_config c;

	(void)state;
	assert_int_equal(parse_file("\"T2S\"", "null", &c), 0);
	assert_int_equal(c.cpu_template, CPU_TEMPLATE_T2S);
	assert_null(c.cpu_config);
	vm_config_fini(&c);
	assert_int_equal(parse_file("\"T2S\"", "{\"kvm_capabilities\":[\"7\"]}", &c), 0);
	assert_int_equal(c.cpu_template, CPU_TEMPLATE_NONE);
	assert_int_equal(c.cpu_config->caps.count, 1);
	vm_config_fini(&c);
	assert_int_equal(parse_file("\"None\"", "null", &c), 0);
	assert_int_equal(c.cpu_template, CPU_TEMPLATE_NONE);
	vm_config_fini(&c);
	assert_int_equal(parse_file("null", "{\"kvm_capabilities\":[\"x\"]}", &c), -EINVAL);
	assert_non_null(strstr(e.msg, "cpu-config: kvm_capabilities[0]: "));
	vm_config_fini(&c);
}

static void what_a_request_says_of_cpu_template_is_taken(void **state)
{
	struct vm_config c;

	(void)state;
	vm_config_init(&c);
	c.cpu_config = calloc(1, sizeof(*c.cpu_config));
	vm_config_take_cpu_template(&c, CPU_TEMPLATE_NONE);
	assert_non_null(c.cpu_config);
	vm_config_take_cpu_template(&c, CPU_TEMPLATE_C3);
	assert_null(c.cpu_config);
	assert_int_equal(c.cpu_template, CPU_TEMPLATE_C3);
	vm_config_take_cpu_template(&c, CPU_TEMPLATE_NONE);
	assert_int_equal(c.cpu_template, CPU_TEMPLATE_C3);
	vm_config_take_cpu_template(&c, CPU_TEMPLATE_CLEAR);
	assert_int_equal(c.cpu_template, CPU_TEMPLATE_NONE);
	vm_config_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bitmaps_give_filter_and_value),
		cmocka_unit_test(short_bitmaps_leave_the_rest_alone),
		cmocka_unit_test(bad_bitmaps_are_refused),
		cmocka_unit_test(numbers_need_a_prefix),
		cmocka_unit_test(capabilities_are_demanded_or_dropped),
		cmocka_unit_test(keys_are_checked_as_firecracker_does),
		cmocka_unit_test(lists_are_bounded),
		cmocka_unit_test(named_templates_are_as_kept),
		cmocka_unit_test(member_takes_object_or_path),
		cmocka_unit_test(custom_template_in_a_file_takes_the_place_of_a_named_one),
		cmocka_unit_test(what_a_request_says_of_cpu_template_is_taken),
	};
	static const struct log_config quiet = {.id = "test", .fd = -1, .level = LOG_OFF};

	log_configure(&quiet);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
