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
	SECCOMP_ROLE_API,  /* the API, where it has a thread of its own */
	SECCOMP_ROLE_COUNT,
};

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
	const char *item;   /* as written: "ioctl:1=KVM_RUN" */
	const char *origin; /* the file that declares it */
	unsigned term_count;
	struct seccomp_term terms[SECCOMP_TERMS_MAX];
};

/* "main", "vcpu", "io", "api": as in the rules. */
const char *seccomp_role_name(enum seccomp_role role);

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

/* Denied calls so far, for the metric seccomp.num_faults. Any thread; async-signal-safe. */
uint64_t seccomp_violation_count(void);
