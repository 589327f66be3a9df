/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts a compiled filter on the calling thread. See seccomp.h. Two calls, no allocation and no
 * library: libseccomp did its work at build time, what is left costs some ten microseconds.
 */
#include "seccomp/seccomp.h"

#include "seccomp_filters.h"
#include "vmm/base/check.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	const struct sock_filter *code;
	unsigned short len;
} seccomp_programs[SECCOMP_ROLE_COUNT] = {
	[SECCOMP_ROLE_MAIN] = {seccomp_code_main, NELEM(seccomp_code_main)},
	[SECCOMP_ROLE_VCPU] = {seccomp_code_vcpu, NELEM(seccomp_code_vcpu)},
	[SECCOMP_ROLE_IO] = {seccomp_code_io, NELEM(seccomp_code_io)},
	[SECCOMP_ROLE_API] = {seccomp_code_api, NELEM(seccomp_code_api)},
};

int seccomp_install(enum seccomp_role role, struct err *e)
{
	struct sock_fprog prog;

	CHECK(role < SECCOMP_ROLE_COUNT);
	/* The kernel only reads the program; its interface lacks the const. */
	prog.filter = (struct sock_filter *)(uintptr_t)seccomp_programs[role].code;
	prog.len = seccomp_programs[role].len;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set_os(e, -errno, "seccomp: cannot set no_new_privs");
	/* No TSYNC: every thread has the filter of its own role. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) != 0)
		return err_set_os(e, -errno,
			"seccomp: cannot install the %s filter (%u instructions)",
			seccomp_role_name(role), prog.len);
	return 0;
}

void seccomp_describe(FILE *out)
{
	for (size_t i = 0; i < NELEM(seccomp_rules); i++)
		(void)fprintf(out, "%-4s %-48s %s\n", seccomp_role_name(seccomp_rules[i].role),
			seccomp_rules[i].item, seccomp_rules[i].origin);
}
