/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Build-time tool: turns the collected rules (collect, rules.inc) into one BPF program per thread
 * role with libseccomp, and prints them as C for install.c. Names of calls and constants are
 * resolved here, by the compiler, so no number is ever typed by hand.
 *
 *	gen header	the generated header
 *	gen list	one line per rule, numbers resolved, for people and scripts:
 *			ROLE ITEM NAME [INDEX MASK VALUE]...
 *	gen pfc ROLE	libseccomp's pseudo code of one filter, for people
 */
#include "seccomp/seccomp.h"
#include "seccomp/chain.h"
#include "vmm/base/compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <linux/vhost.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#ifndef __x86_64__
#error "only x86-64 is supported: the filters kill on every other architecture"
#endif

#define EQUAL(i, v)                                                                                \
	{                                                                                          \
		(i), UINT64_MAX, (uint64_t)(v)                                                     \
	}
#define MASKED(i, m, v)                                                                            \
	{                                                                                          \
		(i), (uint64_t)(m), (uint64_t)(v)                                                  \
	}
#define NONE(i, m)                                                                                 \
	{                                                                                          \
		(i), (uint64_t)(m), 0                                                              \
	}
#define RULE(role_, name_, item_, origin_, count_, ...)                                            \
	{.role = SECCOMP_ROLE_##role_,                                                             \
		.nr = SCMP_SYS(name_),                                                             \
		.item = item_,                                                                     \
		.origin = origin_,                                                                 \
		.term_count = (count_),                                                            \
		.terms = {__VA_ARGS__}},

static struct seccomp_rule *gen_rules;
static size_t gen_rules_count;

/*
 * Arguments that the kernel takes as 32 bits: it ignores the upper half of the register, whose
 * content the ABI leaves open, so the filter must ignore it too. All others compare in full.
 */
static const struct {
	int nr;
	unsigned index;
} gen_args_32bit[] = {
	{SCMP_SYS(ioctl), 1},
	{SCMP_SYS(fcntl), 1},
	{SCMP_SYS(futex), 1},
	{SCMP_SYS(madvise), 2},
	{SCMP_SYS(socket), 0},
	{SCMP_SYS(socket), 1},
	{SCMP_SYS(socket), 2},
	{SCMP_SYS(accept4), 3},
	{SCMP_SYS(recvfrom), 3},
	{SCMP_SYS(sendto), 3},
	{SCMP_SYS(sendmsg), 2},
	{SCMP_SYS(shutdown), 1},
	{SCMP_SYS(getsockopt), 1},
	{SCMP_SYS(getsockopt), 2},
	{SCMP_SYS(openat), 0},
	{SCMP_SYS(openat), 2},
	{SCMP_SYS(epoll_ctl), 1},
	{SCMP_SYS(eventfd2), 1},
	{SCMP_SYS(fallocate), 1},
	{SCMP_SYS(tgkill), 2},
	{SCMP_SYS(prctl), 0},
	{SCMP_SYS(rt_sigaction), 0},
	{SCMP_SYS(timerfd_create), 0},
	{SCMP_SYS(timerfd_create), 1},
	{SCMP_SYS(memfd_create), 1},
	{SCMP_SYS(io_uring_enter), 3},
	{SCMP_SYS(io_uring_register), 1},
};

static void gen_check(int rc, const char *what, const char *item)
{
	if (rc == 0)
		return;
	(void)fprintf(stderr, "seccomp/gen: %s %s: %s\n", what, item, strerror(-rc));
	exit(1);
}

static bool gen_arg_is_32bit(int nr, unsigned index)
{
	for (size_t i = 0; i < NELEM(gen_args_32bit); i++)
		if (gen_args_32bit[i].nr == nr && gen_args_32bit[i].index == index)
			return true;
	return false;
}

/* Makes every term of a 32-bit argument look at 32 bits only. */
static void gen_narrow(struct seccomp_rule *r)
{
	for (unsigned t = 0; t < r->term_count; t++) {
		if (gen_arg_is_32bit(r->nr, r->terms[t].index))
			r->terms[t].mask &= UINT32_MAX;
		r->terms[t].value &= r->terms[t].mask;
	}
}

/* At run time, for values such as SIGRTMIN that C calls not constant. */
static void gen_load(void)
{
	const struct seccomp_rule rules[] = {
#include "rules.inc"
	};

	gen_rules = malloc(sizeof(rules));
	gen_check(gen_rules ? 0 : -ENOMEM, "malloc", "rules");
	memcpy(gen_rules, rules, sizeof(rules));
	gen_rules_count = NELEM(rules);
	for (size_t i = 0; i < gen_rules_count; i++) {
		struct seccomp_rule *r = &gen_rules[i];

		/* C lets a string fill its array without a NUL. */
		gen_check(memchr(r->item, 0, sizeof(r->item)) ? 0 : -ENAMETOOLONG, "rule", "");
		gen_check(memchr(r->origin, 0, sizeof(r->origin)) ? 0 : -ENAMETOOLONG, "rule",
			r->item);
		gen_narrow(r);
	}
}

static void gen_add(scmp_filter_ctx ctx, const struct seccomp_rule *r)
{
	struct scmp_arg_cmp args[SECCOMP_TERMS_MAX];
	int rc;

	/* libseccomp gives calls of other architectures negative numbers. */
	gen_check(r->nr >= 0 ? 0 : -ENOSYS, r->origin, r->item);
	for (unsigned i = 0; i < r->term_count; i++) {
		const struct seccomp_term *t = &r->terms[i];

		if (t->mask == UINT64_MAX)
			args[i] = SCMP_CMP(t->index, SCMP_CMP_EQ, t->value);
		else
			args[i] = SCMP_CMP(t->index, SCMP_CMP_MASKED_EQ, t->mask, t->value);
	}
	rc = seccomp_rule_add_exact_array(ctx, SCMP_ACT_ALLOW, r->nr, r->term_count, args);
	/* Two spellings of one condition are one rule. */
	gen_check(rc == -EEXIST ? 0 : rc, r->origin, r->item);
}

/* The libseccomp filter of a role; the caller releases it. */
static scmp_filter_ctx gen_filter(enum seccomp_role role)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);

	gen_check(ctx ? 0 : -ENOMEM, "seccomp_init", "");
	gen_check(seccomp_arch_exist(ctx, SCMP_ARCH_X86_64), "seccomp_arch_exist", "x86_64");
	/* int 0x80 and x32 numbers: no code of ours can make them, so there is nothing to report. */
	gen_check(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
		"seccomp_attr_set", "ACT_BADARCH");
	/* As cli/seccomp_json.c has it: what `mayfly seccomp list` prints is compiled to the same programs. */
	gen_check(
		seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2), "seccomp_attr_set", "OPTIMIZE");
	for (size_t i = 0; i < gen_rules_count; i++)
		if (gen_rules[i].role == role)
			gen_add(ctx, &gen_rules[i]);
	return ctx;
}

static void gen_print_code(enum seccomp_role role)
{
	scmp_filter_ctx ctx = gen_filter(role);
	FILE *f = tmpfile();
	struct sock_filter given[CHAIN_LEN_MAX], made[CHAIN_LEN_MAX];
	size_t given_len, len;

	gen_check(f ? 0 : -errno, "tmpfile", "");
	gen_check(seccomp_export_bpf(ctx, fileno(f)), "seccomp_export_bpf", "");
	seccomp_release(ctx);
	rewind(f);
	given_len = fread(given, sizeof(*given), NELEM(given), f);
	gen_check(feof(f) ? 0 : -E2BIG, "seccomp_export_bpf", "");
	(void)fclose(f);
	gen_check(chain_make(given, given_len, made, &len) ? 0 : -E2BIG, "chain_make",
		seccomp_role_name(role));
	(void)printf(
		"static const struct sock_filter seccomp_code_%s[] = {\n", seccomp_role_name(role));
	for (size_t i = 0; i < len; i++)
		(void)printf("\t{0x%02x, %u, %u, 0x%08x},\n", made[i].code, made[i].jt, made[i].jf,
			made[i].k);
	(void)printf("};\n\n");
}

static void gen_print_header(void)
{
	(void)printf("/* Generated by seccomp/gen.c. */\n#pragma once\n\n"
		     "#include <linux/filter.h>\n\n");
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++)
		gen_print_code((enum seccomp_role)role);
	(void)printf("static const struct seccomp_rule seccomp_rules[] = {\n");
	for (size_t i = 0; i < gen_rules_count; i++) {
		const struct seccomp_rule *r = &gen_rules[i];

		(void)printf("\t{%d, %d, \"%s\", \"%s\", %u, {", (int)r->role, r->nr, r->item,
			r->origin, r->term_count);
		for (unsigned t = 0; t < r->term_count; t++)
			(void)printf("%s{%u, 0x%llx, 0x%llx}", t ? ", " : "", r->terms[t].index,
				(unsigned long long)r->terms[t].mask,
				(unsigned long long)r->terms[t].value);
		(void)printf("%s}},\n", r->term_count ? "" : "{0}");
	}
	(void)printf("};\n");
}

static void gen_print_list(void)
{
	for (size_t i = 0; i < gen_rules_count; i++) {
		const struct seccomp_rule *r = &gen_rules[i];

		(void)printf("%s %s %.*s", seccomp_role_name(r->role), r->item,
			(int)strcspn(r->item, ":"), r->item);
		for (unsigned t = 0; t < r->term_count; t++)
			(void)printf(" %u 0x%llx 0x%llx", r->terms[t].index,
				(unsigned long long)r->terms[t].mask,
				(unsigned long long)r->terms[t].value);
		(void)printf("\n");
	}
}

static int gen_print_pfc(const char *name)
{
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++) {
		scmp_filter_ctx ctx;

		if (strcmp(seccomp_role_name((enum seccomp_role)role), name) != 0)
			continue;
		ctx = gen_filter((enum seccomp_role)role);
		gen_check(seccomp_export_pfc(ctx, STDOUT_FILENO), "seccomp_export_pfc", name);
		seccomp_release(ctx);
		return 0;
	}
	(void)fprintf(stderr, "seccomp/gen: no such role: %s\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	const char *what = argc >= 2 ? argv[1] : "";

	gen_load();
	if (strcmp(what, "header") == 0 && argc == 2) {
		gen_print_header();
	} else if (strcmp(what, "list") == 0 && argc == 2) {
		gen_print_list();
	} else if (strcmp(what, "pfc") == 0 && argc == 3) {
		return gen_print_pfc(argv[2]);
	} else {
		(void)fprintf(stderr, "usage: gen header | list | pfc ROLE\n");
		return 2;
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		(void)fprintf(stderr, "seccomp/gen: cannot write: %s\n", strerror(errno));
		return 1;
	}
	return 0;
}
