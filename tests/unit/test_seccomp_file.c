/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of --seccomp-filter: what is written is read again, and nothing that is broken is. What
 * passes our check of a program passes the kernel's, which is asked.
 */
#include "seccomp/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HEADER_SIZE  24
#define PROGRAM_SIZE 16

static const struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

/* Each role's program: role + 2 loads, and the return. */
static struct seccomp_set set_make(int roles)
{
	struct seccomp_set s = {0};

	for (int role = 0; role < roles; role++) {
		struct seccomp_program *p = &s.role[role];

		p->len = (uint16_t)(role + 3);
		p->code = calloc(p->len, sizeof(*p->code));
		assert_non_null(p->code);
		for (int i = 0; i + 1 < p->len; i++)
			p->code[i] = (struct sock_filter)BPF_STMT(
				BPF_LD | BPF_W | BPF_ABS, (uint32_t)(4 * i));
		p->code[p->len - 1] = allow;
	}
	return s;
}

static unsigned char *file_make(int roles, size_t *ret_len)
{
	struct seccomp_set s = set_make(roles);
	unsigned char *bytes = seccomp_set_format(&s, ret_len);

	assert_non_null(bytes);
	seccomp_set_fini(&s);
	return bytes;
}

/* FNV-1a, once more: a file is changed and stays whole. */
static void file_seal(unsigned char *bytes, size_t len)
{
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t i = HEADER_SIZE; i < len; i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3;
	memcpy(bytes + 16, &sum, sizeof(sum));
}

static void expect_refused(const unsigned char *bytes, size_t len, const char *why)
{
	/* A copy of the exact size: reading past it is seen by sanitizers. */
	unsigned char *copy = malloc(len ? len : 1);
	struct seccomp_set s = {0};
	struct err e = {0};

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	assert_true(seccomp_set_parse(&s, copy, len, &e) < 0);
	if (!strstr(e.msg, why))
		fail_msg("'%s' lacks '%s'", e.msg, why);
	assert_null(s.role[SECCOMP_ROLE_MAIN].code);
	free(copy);
}

static void a_set_is_read_as_it_was_written(void **state)
{
	(void)state;
	for (int roles = SECCOMP_ROLE_VCPU + 1; roles <= SECCOMP_ROLE_COUNT; roles++) {
		struct seccomp_set want = set_make(roles), got = {0};
		struct err e = {0};
		size_t len;
		unsigned char *bytes = seccomp_set_format(&want, &len);

		assert_int_equal(seccomp_set_parse(&got, bytes, len, &e), 0);
		for (int role = 0; role < SECCOMP_ROLE_COUNT; role++) {
			assert_int_equal(got.role[role].len, want.role[role].len);
			assert_int_equal(!got.role[role].code, role >= roles);
			if (role < roles)
				assert_memory_equal(got.role[role].code, want.role[role].code,
					got.role[role].len * sizeof(allow));
		}
		free(bytes);
		seccomp_set_fini(&want);
		seccomp_set_fini(&got);
	}
}

static void a_file_cut_anywhere_is_refused(void **state)
{
	size_t len;
	unsigned char *bytes = file_make(SECCOMP_ROLE_COUNT, &len);

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		unsigned char copy[512];

		assert_true(len <= sizeof(copy));
		memcpy(copy, bytes, cut);
		expect_refused(copy, cut, cut < HEADER_SIZE ? "no filter of mayfly" : "checksum");
		if (cut < HEADER_SIZE)
			continue;
		file_seal(copy, cut);
		expect_refused(copy, cut, "");
	}
	free(bytes);
}

static void a_flipped_bit_is_refused(void **state)
{
	size_t len;
	unsigned char *bytes = file_make(SECCOMP_ROLE_COUNT, &len);

	(void)state;
	for (size_t bit = 0; bit < len * 8; bit++) {
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		expect_refused(bytes, len, "");
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	free(bytes);
}

/* A whole file with one word replaced. */
static void expect_refused_with(size_t at, uint32_t value, const char *why)
{
	size_t len;
	unsigned char *bytes = file_make(SECCOMP_ROLE_COUNT, &len);

	memcpy(bytes + at, &value, sizeof(value));
	file_seal(bytes, len);
	expect_refused(bytes, len, why);
	free(bytes);
}

static void fields_have_bounds(void **state)
{
	const size_t first = HEADER_SIZE, code = HEADER_SIZE + PROGRAM_SIZE;
	const size_t second = code + 3 * sizeof(allow);

	(void)state;
	expect_refused_with(8, 0, "version 0");
	expect_refused_with(8, 2, "version 2");
	expect_refused_with(12, 4, "4 programs");
	expect_refused_with(12, UINT32_MAX, "4294967295 programs");
	expect_refused_with(12, 2, "bytes follow the last program");
	expect_refused_with(12, 0, "bytes follow the last program");
	expect_refused_with(first, 0x41414141, "a thread that is not");
	expect_refused_with(first + 4, 1, "a thread that is not");
	expect_refused_with(first + 12, 1, "a thread that is not");
	expect_refused_with(second, 0, "a thread that is not");
	expect_refused_with(first + 8, 0, "vmm: 0 instructions");
	expect_refused_with(first + 8, 4097, "vmm: 4097 instructions");
	expect_refused_with(first + 8, 0x20000003, "instructions are more than");
	expect_refused_with(first + 8, UINT32_MAX, "instructions are more than");
	expect_refused_with(code, BPF_RET | BPF_A, "vmm: instruction 0");
}

static void a_thread_has_one_program(void **state)
{
	size_t len;
	unsigned char *bytes = file_make(2, &len);

	(void)state;
	memcpy(bytes + HEADER_SIZE + PROGRAM_SIZE + 3 * sizeof(allow), "vmm\0\0\0\0", 8);
	file_seal(bytes, len);
	expect_refused(bytes, len, "two programs for vmm");
	free(bytes);
}

static void vmm_and_vcpu_must_have_programs(void **state)
{
	size_t len;
	unsigned char *bytes = file_make(1, &len);

	(void)state;
	expect_refused(bytes, len, "programs for vmm and vcpu");
	free(bytes);
}

static void a_file_too_large_is_refused(void **state)
{
	unsigned char *bytes = calloc(1, SECCOMP_FILE_SIZE_MAX + 1);

	(void)state;
	assert_non_null(bytes);
	expect_refused(bytes, SECCOMP_FILE_SIZE_MAX + 1, "the most is 100000");
	expect_refused(bytes, SECCOMP_FILE_SIZE_MAX, "no filter of mayfly");
	free(bytes);
}

static void the_largest_programs_fit_a_file(void **state)
{
	struct seccomp_set s = {0}, got = {0};
	struct err e = {0};
	unsigned char *bytes;
	size_t len;

	(void)state;
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++) {
		s.role[role].code = calloc(SECCOMP_PROGRAM_MAX, sizeof(allow));
		s.role[role].len = SECCOMP_PROGRAM_MAX;
		for (int i = 0; i < SECCOMP_PROGRAM_MAX; i++)
			s.role[role].code[i] = allow;
	}
	bytes = seccomp_set_format(&s, &len);
	assert_true(len <= SECCOMP_FILE_SIZE_MAX);
	assert_int_equal(seccomp_set_parse(&got, bytes, len, &e), 0);
	free(bytes);
	seccomp_set_fini(&s);
	seccomp_set_fini(&got);
}

static void a_bad_instruction_is_named(void **state)
{
	static const struct {
		struct sock_filter insn;
		const char *why;
	} bad[] = {
		{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), "instruction 0 (code 0x20): it loads"},
		{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), "it loads from outside"},
		{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0xfffff004), "it loads from outside"},
		{BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), "it jumps past the end"},
		{BPF_JUMP(BPF_JMP | BPF_JA, UINT32_MAX, 0, 0), "it jumps past the end"},
		{BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), "it jumps past the end"},
		{BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0, 0, 255), "it jumps past the end"},
		{BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF), "unknown action"},
		{BPF_STMT(BPF_RET | BPF_K, 0x00010000), "unknown action"},
		{BPF_STMT(BPF_LD | BPF_MEM, 0), "it is none of those"},
		{BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), "it is none of those"},
		{BPF_STMT(0xffff, 0), "it is none of those"},
	};

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		const struct sock_filter code[] = {bad[i].insn, allow};
		struct err e = {0};

		assert_true(seccomp_program_check(code, NELEM(code), &e) < 0);
		if (!strstr(e.msg, bad[i].why))
			fail_msg("%zu: '%s' lacks '%s'", i, e.msg, bad[i].why);
	}
}

static void the_last_instruction_returns(void **state)
{
	static const struct sock_filter load = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
	struct err e = {0};

	(void)state;
	assert_true(seccomp_program_check(&load, 1, &e) < 0);
	assert_non_null(strstr(e.msg, "the last one must return"));
	assert_int_equal(seccomp_program_check(&allow, 1, &e), 0);
}

/* Whether the kernel takes it; asked by a child, which it then binds. */
static bool kernel_takes(struct sock_filter *code, uint16_t len)
{
	const struct sock_fprog prog = {.filter = code, .len = len};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0)
			(void)raise(SIGKILL); /* or the filter's own end, on any call */
		__builtin_trap();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* A refusal ends by the trap; anything else came from under the filter. */
	return !(WIFSIGNALED(status) && WTERMSIG(status) == SIGILL);
}

static uint64_t random_next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* Random programs, mostly of right opcodes with operands near their bounds, that kill whoever runs them. */
static void what_passes_here_passes_the_kernel(void **state)
{
	static const uint16_t codes[] = {BPF_LD | BPF_W | BPF_ABS, BPF_ALU | BPF_AND | BPF_K,
		BPF_JMP | BPF_JA, BPF_JMP | BPF_JEQ | BPF_K, BPF_JMP | BPF_JGT | BPF_K,
		BPF_JMP | BPF_JGE | BPF_K, BPF_JMP | BPF_JSET | BPF_K, BPF_RET | BPF_K,
		BPF_LD | BPF_MEM, BPF_ST, BPF_MISC | BPF_TAX};
	uint64_t seed = 0x9e3779b97f4a7c15;
	unsigned passed = 0;

	(void)state;
	for (int round = 0; round < 4000; round++) {
		uint16_t len = (uint16_t)(1 + random_next(&seed) % 5);
		struct sock_filter code[5];
		struct err e;

		for (uint16_t i = 0; i < len; i++) {
			uint64_t r = random_next(&seed);

			code[i] = (struct sock_filter){
				.code = codes[r % (r & 1 << 20 ? 8 : NELEM(codes))],
				.jt = r >> 32 & 3,
				.jf = r >> 40 & 3,
				.k = r & 1 << 21 ? (uint32_t)(r >> 48 & 0x43) : 0,
			};
		}
		if (random_next(&seed) % 4)
			code[len - 1] = (struct sock_filter)BPF_STMT(
				BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
		if (seccomp_program_check(code, len, &e) < 0)
			continue;
		passed++;
		assert_true(kernel_takes(code, len));
	}
	assert_true(passed > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_is_read_as_it_was_written),
		cmocka_unit_test(a_file_cut_anywhere_is_refused),
		cmocka_unit_test(a_flipped_bit_is_refused),
		cmocka_unit_test(fields_have_bounds),
		cmocka_unit_test(a_thread_has_one_program),
		cmocka_unit_test(vmm_and_vcpu_must_have_programs),
		cmocka_unit_test(a_file_too_large_is_refused),
		cmocka_unit_test(the_largest_programs_fit_a_file),
		cmocka_unit_test(a_bad_instruction_is_named),
		cmocka_unit_test(the_last_instruction_returns),
		cmocka_unit_test(what_passes_here_passes_the_kernel),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
