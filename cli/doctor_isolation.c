/* SPDX-License-Identifier: Apache-2.0 */
/* What lets VMs of different owners learn from each other: shared cores, shared pages, swap, the processor's flaws. */
#include "cli/doctor.h"

#include "vmm/base/cleanup.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define FLAWS_DIR "/sys/devices/system/cpu/vulnerabilities"

static void check_smt(struct doctor_report *r)
{
	struct doctor_finding *f;
	int64_t active = 0;

	if (!doctor_read_number("/sys/devices/system/cpu/smt/active", &active)) {
		doctor_add(r, "isolation", "smt", DOCTOR_OK,
			"the kernel knows of no threads of cores");
		return;
	}
	f = doctor_add(r, "isolation", "smt", active ? DOCTOR_WARN : DOCTOR_OK,
		active ? "on: two guests on the threads of one core share its caches" : "off");
	if (active)
		doctor_remedy(f, "if guests have different owners: echo off > "
				 "/sys/devices/system/cpu/smt/control, or boot with "
				 "mitigations=auto,nosmt, or use core scheduling");
}

static void check_ksm(struct doctor_report *r)
{
	struct doctor_finding *f;
	int64_t run = 0;

	if (!doctor_read_number("/sys/kernel/mm/ksm/run", &run)) {
		doctor_add(r, "isolation", "ksm", DOCTOR_OK, "not in this kernel");
		return;
	}
	f = doctor_add(r, "isolation", "ksm", run == 1 ? DOCTOR_WARN : DOCTOR_OK,
		run == 1 ? "on: a guest can find out by timing what pages others have" : "off");
	if (run == 1)
		doctor_remedy(f, "echo 2 > /sys/kernel/mm/ksm/run (stops, and takes pages apart)");
}

/* Compressed memory is no disk. */
static void check_swap(struct doctor_report *r)
{
	CLEANUP_FCLOSE FILE *file = fopen("/proc/swaps", "re");
	char line[512], first[128] = "";
	struct doctor_finding *f;
	unsigned count = 0;

	while (file && fgets(line, sizeof(line), file)) {
		if (line[0] != '/' || strncmp(line, "/dev/zram", 9) == 0)
			continue;
		if (count++ == 0)
			(void)snprintf(
				first, sizeof(first), "%.*s", (int)strcspn(line, " \t\n"), line);
	}
	f = doctor_add(r, "isolation", "swap", count ? DOCTOR_WARN : DOCTOR_OK, "%s%s%s",
		count ? "on " : "no disk has any", first, count > 1 ? " and others" : "");
	if (count)
		doctor_remedy(f, "memory of guests ends up on a disk: swapoff -a, or encrypt it; "
				 "it also makes the times of a VM depend on others");
}

/*
 * Lines such as "Vulnerable: Clear CPU buffers attempted, no microcode", "KVM: Vulnerable", "Mitigation: PTE Inversion;
 * VMX: vulnerable", "Unknown: No mitigations". "SMT vulnerable" is what check_smt tells.
 */
static bool flaw_is_open(const char *name)
{
	char path[sizeof(FLAWS_DIR) + NAME_MAX + 1], line[512] = "", *at = line;
	CLEANUP_FCLOSE FILE *file = NULL;

	(void)snprintf(path, sizeof(path), FLAWS_DIR "/%s", name);
	file = fopen(path, "re");
	if (!file || !fgets(line, sizeof(line), file))
		return false;
	if (strncmp(line, "Unknown", 7) == 0)
		return true;
	while ((at = strcasestr(at, "vulnerable"))) {
		if (at - line < 4 || strncmp(at - 4, "SMT ", 4) != 0)
			return true;
		at++;
	}
	return false;
}

static void check_flaws(struct doctor_report *r)
{
	DIR *dir = opendir(FLAWS_DIR);
	char open[160] = "";
	struct doctor_finding *f;
	struct dirent *entry;

	if (!dir) {
		doctor_add(r, "isolation", "cpu-flaws", DOCTOR_OK, "the kernel does not tell");
		return;
	}
	while ((entry = readdir(dir))) {
		size_t used = strlen(open);

		if (entry->d_name[0] != '.' && flaw_is_open(entry->d_name))
			(void)snprintf(open + used, sizeof(open) - used, "%s%.40s",
				used ? ", " : "", entry->d_name);
	}
	(void)closedir(dir);
	f = doctor_add(r, "isolation", "cpu-flaws", open[0] ? DOCTOR_WARN : DOCTOR_OK, "%s%s",
		open[0] ? "not mitigated: " : "mitigated, or not there", open);
	if (open[0])
		doctor_remedy(f, "update microcode and kernel, boot without mitigations=off; "
				 "inside a VM it is the host's to mend (" FLAWS_DIR " says more)");
}

void doctor_check_isolation(struct doctor_report *r)
{
	check_smt(r);
	check_ksm(r);
	check_swap(r);
	check_flaws(r);
}
