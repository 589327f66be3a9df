/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters as data: a BPF program for each thread role, checked, and the file that holds a set of
 * them. README.md has the layout. The file is hostile input; libseccomp is not needed to read it.
 */
#pragma once

#include "seccomp/seccomp.h"

#include <linux/filter.h>

#define SECCOMP_PROGRAM_MAX   4096    /* instructions, the kernel's limit */
#define SECCOMP_FILE_SIZE_MAX 100000u /* bytes, as Firecracker's */

struct seccomp_program {
	struct sock_filter *code; /* owned, or NULL: none for this role */
	uint16_t len;             /* instructions */
};

/* Zeroed storage is an empty set. */
struct seccomp_set {
	struct seccomp_program role[SECCOMP_ROLE_COUNT];
};

/*
 * Whether the kernel would take the program, and the program does nothing that libseccomp's do not:
 * loads of the call's data, masks, jumps, returns of an action that mayfly-vmm can live with. 0, or
 * -EINVAL with a message that has the instruction's number.
 */
int seccomp_program_check(const struct sock_filter *code, uint32_t len, struct err *e) MUST_USE;

/*
 * Reads a set from the bytes of a file. 0 with programs that seccomp_set_fini frees, at least those of
 * main and vcpu; or -errno with a message.
 */
int seccomp_set_parse(
	struct seccomp_set *ret, const void *bytes, size_t len, struct err *e) MUST_USE;
/* The same from a path. */
int seccomp_set_load(struct seccomp_set *ret, const char *path, struct err *e) MUST_USE;
/* The bytes of a file, which the caller frees; NULL without memory. */
void *seccomp_set_format(const struct seccomp_set *s, size_t *ret_len) MUST_USE;
void seccomp_set_fini(struct seccomp_set *s);

/*
 * From now on seccomp_install uses these programs, and main's for I/O threads where the set has none.
 * Takes them over. Main thread, once, before any other thread starts.
 */
void seccomp_set_use(struct seccomp_set *s);
