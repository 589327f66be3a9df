/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain_make against libseccomp: filters of random rules must answer every call as before, and
 * programs of another form must be left alone.
 */
#include "seccomp/chain.h"

#include "tests/unit/lib/bpf.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/compiler.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FILTERS 60
#define NUMBERS 480

static uint64_t seed = 1;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 33) % below);
}

/* Values that rules and calls share, so that they meet. */
static uint64_t draw_value(void)
{
	static const uint64_t some[] = {0, 1, 2, 3, 0x80, 0xae80, 0x4020aea0, UINT32_MAX,
		UINT64_C(1) << 32, UINT64_C(0x100000001), UINT64_MAX};

	return some[draw(NELEM(some))];
}

static void add_rule(scmp_filter_ctx ctx)
{
	struct scmp_arg_cmp args[3];
	unsigned count = draw(4);

	for (unsigned i = 0; i < count; i++) {
		uint64_t value = draw_value();

		args[i] = draw(2) ? (struct scmp_arg_cmp){.arg = i,
					    .op = SCMP_CMP_EQ,
					    .datum_a = value}
				  : (struct scmp_arg_cmp){.arg = i,
					    .op = SCMP_CMP_MASKED_EQ,
					    .datum_a = UINT32_MAX,
					    .datum_b = value & UINT32_MAX};
	}
	/* It may be there already, or be covered by one without conditions. */
	(void)seccomp_rule_add_exact_array(
		ctx, draw(8) ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(1), (int)draw(440), count, args);
}

static scmp_filter_ctx filter_begin(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);

	assert_non_null(ctx);
	assert_int_equal(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), 0);
	assert_int_equal(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 1 + draw(2)), 0);
	return ctx;
}

static size_t filter_end(scmp_filter_ctx ctx, struct sock_filter code[CHAIN_LEN_MAX])
{
	FILE *f = tmpfile();
	size_t len;

	assert_non_null(f);
	assert_int_equal(seccomp_export_bpf(ctx, fileno(f)), 0);
	seccomp_release(ctx);
	rewind(f);
	len = fread(code, sizeof(*code), CHAIN_LEN_MAX, f);
	(void)fclose(f);
	return len;
}

static size_t filter_draw(struct sock_filter code[CHAIN_LEN_MAX])
{
	scmp_filter_ctx ctx = filter_begin();

	for (uint32_t rules = 1 + draw(50); rules > 0; rules--)
		add_rule(ctx);
	return filter_end(ctx, code);
}

static void expect_same(const struct sock_filter *a, size_t a_len, const struct sock_filter *b,
	size_t b_len, const struct seccomp_data *d)
{
	assert_int_equal(bpf_eval(a, a_len, d), bpf_eval(b, b_len, d));
}

static void answers_are_the_same(void **state)
{
	static struct sock_filter given[CHAIN_LEN_MAX], made[CHAIN_LEN_MAX];
	size_t made_count = 0, longer = 0;

	(void)state;
	for (int i = 0; i < FILTERS; i++) {
		size_t given_len = filter_draw(given), len;
		struct seccomp_data d = {0};

		if (!chain_make(given, given_len, made, &len))
			continue;
		made_count++;
		longer += len > given_len;
		for (int n = -2; n < NUMBERS; n++)
			for (int tries = 0; tries < 40; tries++) {
				d.nr = n;
				d.arch = AUDIT_ARCH_X86_64;
				for (size_t arg = 0; arg < NELEM(d.args); arg++)
					d.args[arg] = draw_value();
				expect_same(given, given_len, made, len, &d);
			}
		for (int n = 0; n < NUMBERS; n++) {
			d = (struct seccomp_data){.nr = n, .arch = AUDIT_ARCH_I386};
			expect_same(given, given_len, made, len, &d);
			d = (struct seccomp_data){.nr = n | 0x40000000, .arch = AUDIT_ARCH_X86_64};
			expect_same(given, given_len, made, len, &d);
		}
	}
	/* Only very long filters are out of reach of their own jumps. */
	assert_true(made_count >= FILTERS * 9 / 10);
	assert_true(longer * 4 <= made_count);
}

/* Further than a jump reaches: every other number is allowed, three with a condition, so that none lies in a range. */
static void a_long_chain_has_relays(void **state)
{
	static struct sock_filter given[CHAIN_LEN_MAX], made[CHAIN_LEN_MAX];
	const struct scmp_arg_cmp is_7 = {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = 7};
	scmp_filter_ctx ctx = filter_begin();
	size_t given_len, len;

	(void)state;
	for (int nr = 0; nr < 700; nr += 2)
		assert_int_equal(seccomp_rule_add_exact_array(
					 ctx, SCMP_ACT_ALLOW, nr, nr % 300 == 40, &is_7),
			0);
	given_len = filter_end(ctx, given);
	assert_true(chain_make(given, given_len, made, &len));
	assert_true(len > 350 + 64);
	for (int nr = -1; nr < 710; nr++)
		for (uint64_t arg = 6; arg < 9; arg++) {
			struct seccomp_data d = {
				.nr = nr, .arch = AUDIT_ARCH_X86_64, .args = {arg}};

			expect_same(given, given_len, made, len, &d);
		}
}

/* The kernel gives up its trial run of a filter where that looks at an argument: here, at once. */
static void it_begins_with_an_argument(void **state)
{
	static struct sock_filter given[CHAIN_LEN_MAX], made[CHAIN_LEN_MAX];
	scmp_filter_ctx ctx = filter_begin();
	size_t len;

	(void)state;
	assert_int_equal(seccomp_rule_add_exact(ctx, SCMP_ACT_ALLOW, SCMP_SYS(read), 0), 0);
	assert_true(chain_make(given, filter_end(ctx, given), made, &len));
	assert_int_equal(made[0].code, BPF_LD | BPF_W | BPF_ABS);
	assert_int_equal(made[0].k, offsetof(struct seccomp_data, args));
}

/* Whatever the program: it is refused, or what comes out answers as it does and jumps only forward. */
static void any_program_is_refused_or_kept(void **state)
{
	static const uint16_t codes[] = {BPF_LD | BPF_W | BPF_ABS, BPF_ALU | BPF_AND | BPF_K,
		BPF_JMP | BPF_JA, BPF_JMP | BPF_JEQ | BPF_K, BPF_JMP | BPF_JGE | BPF_K,
		BPF_JMP | BPF_JGT | BPF_K, BPF_JMP | BPF_JSET | BPF_K, BPF_RET | BPF_K,
		BPF_MISC | BPF_TAX};
	static struct sock_filter given[64], made[CHAIN_LEN_MAX];
	size_t made_count = 0, len;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		size_t n = 4 + draw(i % 2 ? 8 : NELEM(given) - 4);

		for (size_t p = 0; p < n; p++) {
			uint8_t room = (uint8_t)(n - p);

			given[p] = (struct sock_filter){.code = codes[draw(NELEM(codes))],
				.jt = (uint8_t)draw(room),
				.jf = (uint8_t)draw(room),
				.k = draw(4)};
			if (given[p].code == (BPF_LD | BPF_W | BPF_ABS))
				given[p].k = draw(3) * 4;
		}
		if (draw(4)) {
			given[0].code = BPF_LD | BPF_W | BPF_ABS;
			given[0].k = offsetof(struct seccomp_data, arch);
			given[1].code = BPF_JMP | BPF_JEQ | BPF_K;
			given[1].jt = 0;
			given[1].k = AUDIT_ARCH_X86_64;
			given[2].code = BPF_LD | BPF_W | BPF_ABS;
			given[2].k = 0;
		}
		given[n - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
		if (!chain_make(given, n, made, &len))
			continue;
		made_count++;
		for (int nr = 0; nr < 16; nr++) {
			struct seccomp_data d = {
				.nr = nr % 8, .arch = nr & 8 ? AUDIT_ARCH_X86_64 : draw(8)};

			expect_same(given, n, made, len, &d);
		}
	}
	assert_true(made_count > 100);
}

static void other_forms_are_refused(void **state)
{
	static struct sock_filter made[CHAIN_LEN_MAX], many[CHAIN_LEN_MAX];
	const struct sock_filter outside[] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 9), BPF_STMT(BPF_RET | BPF_K, 0)};
	const struct sock_filter falls[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)};
	const struct sock_filter other[] = {
		BPF_STMT(BPF_LDX | BPF_IMM, 0), BPF_STMT(BPF_RET | BPF_K, 0)};
	const struct sock_filter one[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	size_t len;

	(void)state;
	for (size_t i = 0; i < NELEM(many); i++)
		many[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	assert_false(chain_make(one, 0, made, &len));
	assert_false(chain_make(one, 1, made, &len)); /* nothing to gain */
	assert_false(chain_make(outside, NELEM(outside), made, &len));
	assert_false(chain_make(falls, NELEM(falls), made, &len));
	assert_false(chain_make(other, NELEM(other), made, &len));
	assert_false(chain_make(many, NELEM(many), made, &len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_the_same),
		cmocka_unit_test(a_long_chain_has_relays),
		cmocka_unit_test(it_begins_with_an_argument),
		cmocka_unit_test(any_program_is_refused_or_kept),
		cmocka_unit_test(other_forms_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
