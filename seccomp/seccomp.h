/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system-call filters: one per thread role, compiled at build time from the rules written
 * beside the calls (README.md), installed by each thread on itself once the VM is built and
 * before the first guest instruction.
 */
#pragma once

#include "vmm/base/err.h"

#include <stdio.h>

enum seccomp_role {
	SECCOMP_ROLE_MAIN, /* event loop: devices and API */
	SECCOMP_ROLE_VCPU, /* runs guest code */
	SECCOMP_ROLE_IO,   /* a device's own thread */
	SECCOMP_ROLE_COUNT,
};

/* SYS_SECCOMP of <asm-generic/siginfo.h>, which cannot be included beside glibc's <signal.h>. */
#define SECCOMP_SI_CODE 1

#define SECCOMP_TERMS_MAX 6 /* a system call has six arguments */

/* The argument's bits under mask must equal value. */
struct seccomp_term {
	uint8_t index;
	uint64_t mask, value;
};

/* A call that the role may make when all terms hold. */
struct seccomp_rule {
	enum seccomp_role role;
	int nr;
	/* Not pointers: a start would have to relocate them, and each process its own copy. */
	char item[80];   /* as written: "ioctl:1=KVM_RUN" */
	char origin[48]; /* the file that declares it */
	unsigned term_count;
	struct seccomp_term terms[SECCOMP_TERMS_MAX];
};

/* "main", "vcpu", "io": as in the rules. */
const char *seccomp_role_name(enum seccomp_role role);

/* "vmm", "vcpu", "io": as in filters made of JSON, whose names are Firecracker's. */
const char *seccomp_role_thread(enum seccomp_role role);

/* All rules there are, in the order of their collection. */
const struct seccomp_rule *seccomp_rules_get(size_t *ret_count);

/*
 * Puts the role's filter on the calling thread, for good. Threads started later by this thread
 * inherit it beneath their own, so start them first. 0, or -errno with a message.
 */
int seccomp_install(enum seccomp_role role, struct err *e) MUST_USE;

/* Prints every rule, one per line: role, item, file. */
void seccomp_describe(FILE *out);

/*
 * Installs the SIGSYS handler that ends the process on a denied call: one log line with the
 * number of the call, on_exit (may be NULL), _exit with VMM_STATUS_BAD_SYSCALL. on_exit runs once,
 * on the offending thread and under its filter, and may do only what a signal handler may: no
 * lock, no heap, no stdio. Main thread, before any other thread starts.
 */
int seccomp_violation_init(void (*on_exit)(void), struct err *e) MUST_USE;

/* The end of a process that made a denied call, on the thread that did: what the handler does. */
_Noreturn void seccomp_violation_end(int nr);

/* One more denied call, for the metric. Any thread; async-signal-safe. */
void seccomp_violation_note(void);

/*
 * For debugging: from now on a denied call is logged and then made. With record_path (or NULL), a
 * file that is made if need be, all rules that were used and all calls without a rule are noted
 * there; several processes may share it. After seccomp_violation_init and seccomp_set_use, main
 * thread, before any other thread starts. 0, or -errno with a message.
 */
int seccomp_debug_init(const char *record_path, struct err *e) MUST_USE;

/* Denied calls so far, for the metric seccomp.num_faults. Any thread; async-signal-safe. */
uint64_t seccomp_violation_count(void);
