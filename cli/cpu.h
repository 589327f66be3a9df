/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mayfly cpu`: CPU templates made, checked and compared. cpu.c has the command line, cpu_guest.c
 * reads what a guest sees, cpu_host.c says what else of the host matters, cpu_compare.c finds
 * differences and cpu_report.c prints them.
 */
#pragma once

#include "vmm/kvm/cpu_template.h"

#include <jansson.h>

/*
 * Makes a VM of one vCPU with the template (or NULL) as a machine would, and reads back all of
 * its CPUID and the MSRs that describe a CPU: a template in which every bit is given. -errno: *e.
 */
int cpu_guest_read(const struct cpu_template *t, struct cpu_template *ret, struct err *e) MUST_USE;

/* An object of strings: versions of mayfly, kernel, microcode and firmware. NULL: no memory. */
json_t *cpu_host_describe(void);

/* Differences, printed as they are found (text) or collected (JSON). */
struct cpu_report {
	bool as_json;
	uint32_t count;
	const char *sides[2]; /* what is on the left and on the right: "template", "guest" */
	json_t *list;         /* owned; with as_json */
};

/* A field that has two values; NULL: it is not on that side. */
void cpu_report_field(struct cpu_report *r, const char *field, const char *left, const char *right);

/*
 * Bits of a register: those in mask differ. width is 32 or 64; names[n] is what bit n is called,
 * or NULL; names may be NULL.
 */
void cpu_report_bits(struct cpu_report *r, const char *reg, unsigned width, uint64_t mask,
	struct msr_bits left, struct msr_bits right, const char *const *names);

/* Ends the output: prints the JSON, if it is to be that. */
void cpu_report_finish(struct cpu_report *r);

/* Everything in which two templates differ. */
void cpu_compare(
	struct cpu_report *r, const struct cpu_template *left, const struct cpu_template *right);

/* The bits that the template gives and the guest has otherwise. */
void cpu_verify(
	struct cpu_report *r, const struct cpu_template *t, const struct cpu_template *guest);
