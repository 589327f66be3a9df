/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM as the doctor sees it: can it be opened, has it what the monitor needs, and how does it
 * really run guest code (kvm_probe).
 */
#include "cli/doctor.h"

#include "cli/kvm_probe.h"
#include "vmm/base/cleanup.h"
#include "vmm/kvm/caps.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

/* Kernel mode in an instruction emulator: what no kernel driver of the host admits. */
static const char page_table_remedy[] =
	"what boots here is a guest that leaves kernel mode after a few hundred instructions "
	"(tests/payload); for stock kernels use a host with VT-x or AMD-V, or the nested testbed "
	"(tests/testbed/run), which needs no KVM";

/* A message of kvm_caps is "what: what to do"; without a remedy all of it is the text. */
static void add_failure(struct doctor_report *r, const char *id, const struct err *e)
{
	const char *colon = strstr(e->msg, ": ");
	int len = colon ? (int)(colon - e->msg) : (int)sizeof(e->msg);
	struct doctor_finding *f = doctor_add(r, "kvm", id, DOCTOR_FAIL, "%.*s", len, e->msg);

	if (colon)
		doctor_remedy(f, "%s", colon + 2);
}

static void check_api(struct doctor_report *r, int kvm_fd)
{
	int version = ioctl(kvm_fd, KVM_GET_API_VERSION, 0);
	struct doctor_finding *f = doctor_add(r, "kvm", "kvm-api",
		version == KVM_API_VERSION ? DOCTOR_OK : DOCTOR_FAIL,
		"API version %d, mayfly "
		"speaks %d",
		version, KVM_API_VERSION);

	doctor_value(f, version);
	if (version != KVM_API_VERSION)
		doctor_remedy(f, "needs Linux 2.6.22 or newer");
}

/* The flags line of the first processor holds the word. */
static bool cpu_has_flag(const char *word)
{
	CLEANUP_FCLOSE FILE *f = fopen("/proc/cpuinfo", "re");
	char line[8192], *save = NULL;

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "flags", 5) != 0)
			continue;
		for (char *w = strtok_r(line, " \t\n", &save); w;
			w = strtok_r(NULL, " \t\n", &save)) {
			if (strcmp(w, word) == 0)
				return true;
		}
		return false;
	}
	return false;
}

static const char *hardware_text(void)
{
	if (cpu_has_flag("vmx"))
		return "VT-x";
	return cpu_has_flag("svm") ? "AMD-V (SVM)" : "hardware virtualization";
}

static void add_kind(struct doctor_report *r, const struct kvm_probe *p)
{
	const double kernel = (double)p->kernel_ips / 1e6, user = (double)p->user_ips / 1e6;
	struct doctor_finding *f;

	switch (p->kind) {
	case KVM_PROBE_HARDWARE:
		r->kvm_kind = "hardware";
		doctor_add(r, "kvm", "kvm-kind", DOCTOR_OK,
			"%s%s; guest code runs natively "
			"(measured: kernel mode %.0f, user mode %.0f M instructions/s)",
			hardware_text(),
			cpu_has_flag("hypervisor") ? ", nested: this host is a "
						     "VM"
						   : "",
			kernel, user);
		return;
	case KVM_PROBE_PAGE_TABLE:
		r->kvm_kind = "page-table";
		f = doctor_add(r, "kvm", "kvm-kind", DOCTOR_WARN,
			"page-table virtualization, "
			"without VT-x or AMD-V: guest code runs natively in user mode only "
			"(measured: kernel mode %.1f, user mode %.0f M instructions/s)",
			kernel, user);
		break;
	case KVM_PROBE_EMULATED:
	default:
		r->kvm_kind = "emulated";
		f = doctor_add(r, "kvm", "kvm-kind", DOCTOR_WARN,
			"all guest code is emulated "
			"(measured: kernel mode %.1f, user mode %.1f M instructions/s)",
			kernel, user);
		break;
	}
	doctor_remedy(f, "use a host with VT-x or AMD-V; in a VM, have its host pass "
			 "virtualization through (nested)");
}

static void add_stock_kernel(struct doctor_report *r, const struct kvm_probe *p)
{
	struct doctor_finding *f;

	if (kvm_probe_boots_stock_kernels(p)) {
		doctor_add(r, "kvm", "stock-kernel", DOCTOR_OK,
			"stock Linux kernels boot in VMs here");
		return;
	}
	if (p->missing)
		f = doctor_add(r, "kvm", "stock-kernel", DOCTOR_WARN,
			"stock Linux kernels do not "
			"boot here: this KVM cannot execute %s in kernel mode",
			p->missing);
	else
		f = doctor_add(r, "kvm", "stock-kernel", DOCTOR_WARN,
			"stock Linux kernels would "
			"take minutes to boot here: this KVM emulates kernel mode at %.1f M "
			"instructions/s",
			(double)p->kernel_ips / 1e6);
	doctor_remedy(f, "%s", page_table_remedy);
}

static void check_running(struct doctor_report *r, int kvm_fd)
{
	struct kvm_probe p;
	struct err e;

	if (kvm_probe_run(kvm_fd, &p, &e) < 0) {
		struct doctor_finding *f =
			doctor_add(r, "kvm", "kvm-kind", DOCTOR_FAIL, "%s", e.msg);

		doctor_remedy(f, "dmesg may say why; is another hypervisor running?");
		doctor_add(r, "kvm", "stock-kernel", DOCTOR_FAIL, "no VM runs here: %s", e.msg);
		return;
	}
	add_kind(r, &p);
	add_stock_kernel(r, &p);
}

/* Its recovery thread delays the start of VMs by tens of milliseconds on newer kernels. */
static void check_nx_huge_pages(struct doctor_report *r)
{
	struct doctor_finding *f;
	char word[16];

	if (!doctor_read_word("/sys/module/kvm/parameters/nx_huge_pages", word, sizeof(word))) {
		doctor_add(r, "kvm", "nx-huge-pages", DOCTOR_OK, "this KVM has no such parameter");
		return;
	}
	if (*word == 'N' || *word == 'n' || *word == '0') {
		doctor_add(r, "kvm", "nx-huge-pages", DOCTOR_OK, "kvm.nx_huge_pages is %s", word);
		return;
	}
	f = doctor_add(r, "kvm", "nx-huge-pages", DOCTOR_WARN,
		"kvm.nx_huge_pages is %s: huge "
		"pages of guests are split, and starting a VM may wait for the recovery thread",
		word);
	doctor_remedy(f,
		"it guards against iTLB multihit (see /sys/devices/system/cpu/"
		"vulnerabilities/itlb_multihit); on processors without that fault boot with "
		"kvm.nx_huge_pages=never");
}

static void check_capabilities(struct doctor_report *r, int kvm_fd)
{
	for (uint32_t i = 0; i < kvm_caps_count; i++) {
		const struct kvm_cap *c = &kvm_caps[i];
		int value = ioctl(kvm_fd, KVM_CHECK_EXTENSION, c->cap);
		bool good = value >= c->min;
		enum doctor_verdict bad = c->required ? DOCTOR_FAIL : DOCTOR_WARN;
		struct doctor_finding *f = doctor_add(r, "capability", c->name,
			good ? DOCTOR_OK : bad, "%s%s (%s)", good ? "" : "missing, ", c->purpose,
			c->required ? "required" : "optional");

		doctor_value(f, value);
		if (!good)
			doctor_remedy(f, "%s", c->remedy);
	}
}

void doctor_check_kvm(struct doctor_report *r)
{
	struct err e;
	CLEANUP_FD
	int kvm_fd = kvm_caps_open(&e);

	if (kvm_fd < 0) {
		add_failure(r, "kvm", &e);
		doctor_add(r, "kvm", "stock-kernel", DOCTOR_FAIL,
			"no VM runs here: /dev/kvm "
			"cannot be opened");
		return;
	}
	doctor_add(r, "kvm", "kvm", DOCTOR_OK, "/dev/kvm can be opened");
	check_api(r, kvm_fd);
	check_running(r, kvm_fd);
	check_nx_huge_pages(r);
	check_capabilities(r, kvm_fd);
}
