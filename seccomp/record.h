/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rules were used, and which calls had none: a file that the monitors of a whole test run, or of
 * a day, share by mapping it. It belongs to one build: it holds a checksum of the rules.
 */
#pragma once

#include "seccomp/seccomp.h"

#define SECCOMP_RECORD_CALLS 512 /* numbers from 0; x86-64 has fewer */
#define SECCOMP_RECORD_RULES 1024

struct seccomp_record {
	char magic[8];
	uint64_t checksum;                  /* of the rules */
	uint8_t used[SECCOMP_RECORD_RULES]; /* 1: by the index of seccomp_rules_get */
	uint8_t undeclared[SECCOMP_ROLE_COUNT][SECCOMP_RECORD_CALLS]; /* 1: made, without a rule */
};

/*
 * Maps the file, which is made or filled if it is empty and may_make. 0 with a mapping for the rest of the
 * process, or -errno with a message.
 */
int seccomp_record_open(
	struct seccomp_record **ret, const char *path, bool may_make, struct err *e) MUST_USE;

/* Notes a call; whether there is a rule for it. Any thread; async-signal-safe. */
bool seccomp_record_call(
	struct seccomp_record *r, enum seccomp_role role, int nr, const uint64_t args[6]);
