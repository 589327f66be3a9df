/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mayfly doctor`: a list of findings about this host, each with a verdict and, where something is
 * missing, a remedy. The checks only look: they change nothing on the host and leave nothing.
 */
#pragma once

#include "vmm/base/err.h"

#define DOCTOR_FINDINGS_MAX 96

enum doctor_verdict {
	DOCTOR_OK,
	DOCTOR_WARN, /* VMs run, but a feature is missing or slow */
	DOCTOR_FAIL, /* no VM can run */
};

struct doctor_finding {
	const char *id;    /* stable; the key in JSON and the argument of --check */
	const char *group; /* "kvm", "capability", "host" or "isolation" */
	enum doctor_verdict verdict;
	char text[256];
	char remedy[512]; /* "" if there is nothing to do */
	bool has_value;
	int64_t value;
};

struct doctor_report {
	uint32_t count;
	const char *kvm_kind; /* "hardware", "page-table", "emulated", or "none": no VM runs */
	struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
};

/* Appends a finding; its text is set, the rest is the caller's to set. Valid while *r is. */
struct doctor_finding *doctor_add(struct doctor_report *r, const char *group, const char *id,
	enum doctor_verdict verdict, const char *fmt, ...) PRINTF_LIKE(5, 6);
void doctor_remedy(struct doctor_finding *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
void doctor_value(struct doctor_finding *f, int64_t value);

/* The first word or number of a small file, such as one in /proc/sys. False if there is none. */
bool doctor_read_word(const char *path, char *buf, size_t size);
bool doctor_read_number(const char *path, int64_t *ret);

/* The checks, in the order in which they are printed. */
void doctor_check_kvm(struct doctor_report *r);       /* KVM and its capabilities */
void doctor_check_kernel(struct doctor_report *r);    /* interfaces of the host's kernel */
void doctor_check_limits(struct doctor_report *r);    /* cgroups, memory, limits */
void doctor_check_isolation(struct doctor_report *r); /* what VMs may learn from each other */
