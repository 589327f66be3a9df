/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the thread roles; apart from install.c because gen.c, which makes its input, needs it. */
#include "seccomp/seccomp.h"

const char *seccomp_role_name(enum seccomp_role role)
{
	static const char *const names[SECCOMP_ROLE_COUNT] = {
		[SECCOMP_ROLE_MAIN] = "main",
		[SECCOMP_ROLE_VCPU] = "vcpu",
		[SECCOMP_ROLE_IO] = "io",
	};

	return names[role];
}

const char *seccomp_role_thread(enum seccomp_role role)
{
	return role == SECCOMP_ROLE_MAIN ? "vmm" : seccomp_role_name(role);
}
