/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts a compiled filter on the calling thread. See seccomp.h. Two calls, no allocation and no
 * library: libseccomp did its work at build time, what is left costs some ten microseconds.
 */
#include "seccomp/install.h"

#include "seccomp_filters.h"
#include "vmm/base/check.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the kernel only reads lacks the const there. */
#define BUILT_IN(code)                                                                             \
	{                                                                                          \
		(struct sock_filter *)(uintptr_t)(code), NELEM(code)                               \
	}

/* Set before threads start, then constant. */
static struct seccomp_set seccomp_programs = {{
	[SECCOMP_ROLE_MAIN] = BUILT_IN(seccomp_code_main),
	[SECCOMP_ROLE_VCPU] = BUILT_IN(seccomp_code_vcpu),
	[SECCOMP_ROLE_IO] = BUILT_IN(seccomp_code_io),
}};

static _Thread_local enum seccomp_role seccomp_thread_role;

void seccomp_set_use(struct seccomp_set *s)
{
	CHECK(s->role[SECCOMP_ROLE_MAIN].code && s->role[SECCOMP_ROLE_VCPU].code);
	seccomp_programs = *s;
	*s = (struct seccomp_set){0};
	if (!seccomp_programs.role[SECCOMP_ROLE_IO].code)
		seccomp_programs.role[SECCOMP_ROLE_IO] = seccomp_programs.role[SECCOMP_ROLE_MAIN];
}

const struct seccomp_set *seccomp_set_get(void)
{
	return &seccomp_programs;
}

enum seccomp_role seccomp_role_get(void)
{
	return seccomp_thread_role;
}

int seccomp_install(enum seccomp_role role, struct err *e)
{
	struct sock_fprog prog;

	CHECK(role < SECCOMP_ROLE_COUNT);
	seccomp_thread_role = role;
	prog.filter = seccomp_programs.role[role].code;
	prog.len = seccomp_programs.role[role].len;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set_os(e, -errno, "seccomp: cannot set no_new_privs");
	/* No TSYNC: every thread has the filter of its own role. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) != 0)
		return err_set_os(e, -errno,
			"seccomp: cannot install the %s filter (%u instructions)",
			seccomp_role_name(role), prog.len);
	return 0;
}

const struct seccomp_rule *seccomp_rules_get(size_t *ret_count)
{
	*ret_count = NELEM(seccomp_rules);
	return seccomp_rules;
}

void seccomp_describe(FILE *out)
{
	for (size_t i = 0; i < NELEM(seccomp_rules); i++)
		(void)fprintf(out, "%-4s %-48s %s\n", seccomp_role_name(seccomp_rules[i].role),
			seccomp_rules[i].item, seccomp_rules[i].origin);
}
