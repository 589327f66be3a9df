/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters made of Firecracker's JSON: the built-in rules come back as the built-in code, every
 * operator decides as C does, on the width that the JSON says, and every mistake is named.
 */
#include "cli/seccomp_json.h"

#include "seccomp_filters.h"
#include "tests/unit/lib/bpf.h"

#include <errno.h>
#include <linux/audit.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

/* A whole file whose vmm filter is given. */
static char *file_with(const char *vmm)
{
	char *text;

	if (asprintf(&text,
		    "{\"vmm\": %s, \"vcpu\": {\"default_action\": \"trap\", "
		    "\"filter_action\": \"allow\", \"filter\": []}}",
		    vmm) < 0)
		abort();
	return text;
}

static struct seccomp_set compile(const char *text)
{
	struct seccomp_set s = {0};
	struct err e = {0};
	bool has_api;

	if (seccomp_json_compile(&s, &has_api, text, strlen(text), &e) < 0)
		fail_msg("%s: %s", text, e.msg);
	return s;
}

static void expect_error(const char *text, const char *why)
{
	struct seccomp_set s = {0};
	struct err e = {0};
	bool has_api;

	assert_true(seccomp_json_compile(&s, &has_api, text, strlen(text), &e) < 0);
	if (!strstr(e.msg, why))
		fail_msg("%s: '%s' lacks '%s'", text, e.msg, why);
	assert_null(s.role[SECCOMP_ROLE_MAIN].code);
}

static void expect_vmm_error(const char *vmm, const char *why)
{
	char *text = file_with(vmm);

	expect_error(text, why);
	free(text);
}

/* A vmm filter with one rule. */
static void expect_rule_error(const char *rule, const char *why)
{
	char *vmm;

	if (asprintf(&vmm,
		    "{\"default_action\": \"trap\", \"filter_action\": \"allow\", \"filter\": "
		    "[%s]}",
		    rule) < 0)
		abort();
	expect_vmm_error(vmm, why);
	free(vmm);
}

static void list_and_compile_give_the_built_in_filters(void **state)
{
	static const struct {
		const struct sock_filter *code;
		size_t len;
	} built_in[SECCOMP_ROLE_COUNT] = {
		[SECCOMP_ROLE_MAIN] = {seccomp_code_main, NELEM(seccomp_code_main)},
		[SECCOMP_ROLE_VCPU] = {seccomp_code_vcpu, NELEM(seccomp_code_vcpu)},
		[SECCOMP_ROLE_IO] = {seccomp_code_io, NELEM(seccomp_code_io)},
	};
	json_t *all = seccomp_json_print(NULL);
	char *text = json_dumps(all, 0);
	struct seccomp_set s = compile(text);

	(void)state;
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++) {
		assert_int_equal(s.role[role].len, built_in[role].len);
		assert_memory_equal(s.role[role].code, built_in[role].code,
			built_in[role].len * sizeof(struct sock_filter));
	}
	seccomp_set_fini(&s);
	free(text);
	json_decref(all);
}

static void list_of_used_rules_has_only_these(void **state)
{
	uint8_t used[NELEM(seccomp_rules)] = {0};
	json_t *all, *filter;

	(void)state;
	used[0] = 1;
	all = seccomp_json_print(used);
	filter = json_object_get(
		json_object_get(all, seccomp_role_thread(seccomp_rules[0].role)), "filter");
	assert_int_equal(json_array_size(filter), 1);
	json_decref(all);
}

static bool holds(const char *op, uint64_t a, uint64_t v)
{
	return strcmp(op, "eq") == 0   ? a == v
	       : strcmp(op, "ne") == 0 ? a != v
	       : strcmp(op, "ge") == 0 ? a >= v
	       : strcmp(op, "gt") == 0 ? a > v
	       : strcmp(op, "le") == 0 ? a <= v
				       : a < v;
}

static uint32_t run_read(const struct seccomp_set *s, uint64_t a)
{
	const struct seccomp_data data = {
		.nr = SYS_read, .arch = AUDIT_ARCH_X86_64, .args = {[2] = a}};

	return bpf_eval(s->role[SECCOMP_ROLE_MAIN].code, s->role[SECCOMP_ROLE_MAIN].len, &data);
}

static void expect_operator(const char *op, bool dword, uint64_t v)
{
	static const uint64_t bases[] = {0, 1, 5, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
		0x100000000, 0x500000005, 0x7fffffffffffffff, 0xffffffffffffffff};
	char *vmm, *text;
	struct seccomp_set s;

	if (asprintf(&vmm,
		    "{\"default_action\": {\"errno\": 7}, \"filter_action\": \"allow\", "
		    "\"filter\": [{\"syscall\": \"read\", \"args\": [{\"index\": 2, \"type\": "
		    "\"%s\", \"op\": \"%s\", \"val\": %llu}]}]}",
		    dword ? "dword" : "qword", op, (unsigned long long)v) < 0)
		abort();
	text = file_with(vmm);
	s = compile(text);
	for (size_t i = 0; i < 3 * NELEM(bases); i++) {
		uint64_t a = bases[i / 3] + (i % 3 == 1 ? v : i % 3 == 2 ? v - 1 : 0);
		bool want = holds(op, dword ? (uint32_t)a : a, v);
		uint32_t got = run_read(&s, a);

		if (got != (want ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | 7))
			fail_msg("%s %s %llx: 0x%x for %llx", dword ? "dword" : "qword", op,
				(unsigned long long)v, got, (unsigned long long)a);
	}
	seccomp_set_fini(&s);
	free(text);
	free(vmm);
}

static void operators_decide_as_in_c(void **state)
{
	static const char *const ops[] = {"eq", "ne", "ge", "gt", "le", "lt"};
	static const uint64_t values[] = {
		1, 2, 5, 0x7fffffff, 0x80000000, 0xfffffffe, 0x100000001, 0x7ffffffffffffffe};

	(void)state;
	for (size_t o = 0; o < NELEM(ops); o++)
		for (size_t v = 0; v < NELEM(values); v++) {
			expect_operator(ops[o], false, values[v]);
			if (values[v] < UINT32_MAX)
				expect_operator(ops[o], true, values[v]);
		}
}

static void masks_and_several_conditions_must_all_hold(void **state)
{
	char *text = file_with(
		"{\"default_action\": \"kill_process\", \"filter_action\": \"log\", \"filter\": ["
		"{\"syscall\": \"read\", \"comment\": \"x\", \"args\": ["
		"{\"index\": 2, \"type\": \"dword\", \"op\": {\"masked_eq\": 12}, \"val\": 4},"
		"{\"index\": 0, \"type\": \"dword\", \"op\": \"ne\", \"val\": 0}]}]}");
	struct seccomp_set s = compile(text);
	const struct seccomp_program *p = &s.role[SECCOMP_ROLE_MAIN];

	(void)state;
	for (uint64_t a = 0; a < 64; a++)
		for (uint64_t b = 0; b < 4; b++) {
			struct seccomp_data data = {.nr = SYS_read,
				.arch = AUDIT_ARCH_X86_64,
				.args = {b | 1ULL << 32, 0, a | 1ULL << 63}};

			assert_int_equal(bpf_eval(p->code, p->len, &data),
				(a & 12) == 4 && b != 0 ? SECCOMP_RET_LOG
							: SECCOMP_RET_KILL_PROCESS);
		}
	seccomp_set_fini(&s);
	free(text);
}

static void each_action_is_the_kernels(void **state)
{
	static const struct {
		const char *json;
		uint32_t want;
	} actions[] = {
		{"\"trap\"", SECCOMP_RET_TRAP},
		{"\"log\"", SECCOMP_RET_LOG},
		{"\"kill_thread\"", SECCOMP_RET_KILL_THREAD},
		{"\"kill_process\"", SECCOMP_RET_KILL_PROCESS},
		{"{\"errno\": 4094}", SECCOMP_RET_ERRNO | 4094},
		{"{\"errno\": 0}", SECCOMP_RET_ERRNO},
		{"{\"trace\": 65535}", SECCOMP_RET_TRACE | 65535},
	};

	(void)state;
	for (size_t i = 0; i < NELEM(actions); i++) {
		char *vmm, *text;
		struct seccomp_set s;

		if (asprintf(&vmm,
			    "{\"default_action\": %s, \"filter_action\": \"allow\", \"filter\": "
			    "[]}",
			    actions[i].json) < 0)
			abort();
		text = file_with(vmm);
		s = compile(text);
		assert_int_equal(run_read(&s, 0), actions[i].want);
		seccomp_set_fini(&s);
		free(text);
		free(vmm);
	}
}

static void the_filter_of_api_is_checked_and_left_out(void **state)
{
	struct seccomp_set s = {0};
	struct err e = {0};
	bool has_api = false;
	const char *text = "{\"vmm\": {\"default_action\": \"trap\", \"filter_action\": \"allow\", "
			   "\"filter\": []}, \"vcpu\": {\"default_action\": \"trap\", "
			   "\"filter_action\": \"allow\", \"filter\": []}, \"api\": "
			   "{\"default_action\": \"trap\", \"filter_action\": \"allow\", "
			   "\"filter\": [{\"syscall\": \"fly\"}]}}";
	char *good = strdup(text);

	(void)state;
	expect_error(text, "api.filter[0].syscall: 'fly' is no system call");
	memcpy(strstr(good, "fly"), (const char[]){'d', 'u', 'p'}, 3);
	assert_int_equal(seccomp_json_compile(&s, &has_api, good, strlen(good), &e), 0);
	assert_true(has_api);
	assert_null(s.role[SECCOMP_ROLE_IO].code);
	seccomp_set_fini(&s);
	free(good);
}

static void mistakes_in_a_file_are_named(void **state)
{
	(void)state;
	expect_error("", "line 1");
	expect_error("{\"vmm\": 1, \"vmm\": 1}", "duplicate");
	expect_error("[]", "the file: must be an object of vmm");
	expect_error("{}", "there is no filter for vmm");
	expect_error("{\"cpu\": {}}", "unknown field 'cpu'");
	expect_vmm_error("[]", "vmm: must be an object");
	expect_vmm_error("{}", "vmm.default_action: must be");
	expect_vmm_error("{\"default_action\": \"trap\"}", "vmm.filter_action: must be");
	expect_vmm_error("{\"default_action\": \"Trap\"}", "vmm.default_action: must be");
	expect_vmm_error("{\"default_action\": {\"errno\": 4095}}", "a number from 0 to 4094");
	expect_vmm_error("{\"default_action\": {\"errno\": -1}}", "a number from 0 to 4094");
	expect_vmm_error("{\"default_action\": {\"trace\": 65536}}", "a number from 0 to 65535");
	expect_vmm_error("{\"default_action\": {\"fly\": 1}}", "unknown field 'fly'");
	expect_vmm_error("{\"default_action\": \"trap\", \"filter_action\": \"trap\"}",
		"vmm.filter_action: the same as default_action");
	expect_vmm_error("{\"default_action\": \"trap\", \"filter_action\": \"allow\"}",
		"vmm.filter: must be a list");
	expect_vmm_error("{\"fly\": 1}", "unknown field 'fly'");
}

static void mistakes_in_a_rule_are_named(void **state)
{
	static const char arg[] = "{\"syscall\": \"read\", \"args\": [%s]}";
	static const struct {
		const char *arg, *why;
	} bad[] = {
		{"1", "vmm.filter[0].args[0]: must be an object"},
		{"{\"index\": 6, \"type\": \"dword\", \"op\": \"eq\", \"val\": 1}",
			"args[0].index: must be a number from 0 to 5"},
		{"{\"index\": 0, \"type\": \"word\", \"op\": \"eq\", \"val\": 1}", "args[0].type"},
		{"{\"index\": 0, \"type\": \"dword\", \"op\": \"is\", \"val\": 1}", "args[0].op"},
		{"{\"index\": 0, \"type\": \"dword\", \"op\": {\"masked_eq\": -1}, \"val\": 1}",
			"op.masked_eq"},
		{"{\"index\": 0, \"type\": \"dword\", \"op\": \"eq\", \"val\": 4294967296}",
			"val: must be a number from 0 to 4294967295"},
		{"{\"index\": 0, \"type\": \"dword\", \"op\": \"eq\"}", "args[0].val"},
		{"{\"index\": 0, \"type\": \"dword\", \"op\": \"gt\", \"val\": 4294967295}",
			"no value of 32 bits"},
		{"{\"index\": 0, \"type\": \"dword\", \"op\": \"lt\", \"val\": 0}",
			"no value of 32 bits"},
		{"{\"index\": 0, \"type\": \"qword\", \"op\": \"eq\", \"val\": 1, \"x\": 1}",
			"unknown field 'x'"},
		{"{\"index\": 0, \"type\": \"qword\", \"op\": \"ge\", \"val\": 1}, {\"index\": 0, "
		 "\"type\": \"qword\", \"op\": \"le\", \"val\": 3}",
			"args[1].index: 0 is there already"},
	};

	(void)state;
	expect_rule_error("1", "vmm.filter[0]: must be an object");
	expect_rule_error("{}", "vmm.filter[0].syscall: ''");
	expect_rule_error("{\"syscall\": \"socketcall\"}", "'socketcall' is no system call");
	expect_rule_error("{\"syscall\": \"read\", \"args\": {}}", "args: must be a list");
	for (size_t i = 0; i < NELEM(bad); i++) {
		char rule[512];

		(void)snprintf(rule, sizeof(rule), arg, bad[i].arg);
		expect_rule_error(rule, bad[i].why);
	}
}

/* 32 to the power of 3. */
static void too_many_comparisons_are_refused(void **state)
{
	(void)state;
	expect_rule_error("{\"syscall\": \"read\", \"args\": ["
			  "{\"index\": 0, \"type\": \"dword\", \"op\": \"ne\", \"val\": 5},"
			  "{\"index\": 1, \"type\": \"dword\", \"op\": \"ne\", \"val\": 5},"
			  "{\"index\": 2, \"type\": \"dword\", \"op\": \"ne\", \"val\": 5}]}",
		"comparisons in a filter");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_and_compile_give_the_built_in_filters),
		cmocka_unit_test(list_of_used_rules_has_only_these),
		cmocka_unit_test(operators_decide_as_in_c),
		cmocka_unit_test(masks_and_several_conditions_must_all_hold),
		cmocka_unit_test(each_action_is_the_kernels),
		cmocka_unit_test(the_filter_of_api_is_checked_and_left_out),
		cmocka_unit_test(mistakes_in_a_file_are_named),
		cmocka_unit_test(mistakes_in_a_rule_are_named),
		cmocka_unit_test(too_many_comparisons_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
