/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly doctor`: collects the findings and prints them as text, as JSON, or one of them. */
#include "cli/doctor.h"

#include "cli/cli.h"
#include "vmm/base/check.h"
#include "vmm/base/io.h"

#include <getopt.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_SCHEMA 1 /* raised when a key changes its meaning or goes */

static const char *const verdict_names[] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_WARN] = "warn",
	[DOCTOR_FAIL] = "fail",
};

static const struct {
	const char *group;
	const char *title;
} groups[] = {
	{"kvm", "KVM"},
	{"capability", "KVM capabilities"},
	{"host", "Host"},
	{"isolation", "Isolation between VMs"},
};

struct doctor_finding *doctor_add(struct doctor_report *r, const char *group, const char *id,
	enum doctor_verdict verdict, const char *fmt, ...)
{
	struct doctor_finding *f;
	va_list ap;

	CHECK(r->count < DOCTOR_FINDINGS_MAX);
	f = &r->findings[r->count++];
	*f = (struct doctor_finding){.id = id, .group = group, .verdict = verdict};
	va_start(ap, fmt);
	(void)vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return f;
}

void doctor_remedy(struct doctor_finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(f->remedy, sizeof(f->remedy), fmt, ap);
	va_end(ap);
}

void doctor_value(struct doctor_finding *f, int64_t value)
{
	f->has_value = true;
	f->value = value;
}

bool doctor_read_word(const char *path, char *buf, size_t size)
{
	char *text = NULL;
	size_t len;
	bool found;

	if (io_read_file(path, 65536, &text, &len, NULL) < 0)
		return false;
	len = strcspn(text, " \t\n");
	found = len > 0 && len < size;
	if (found) {
		memcpy(buf, text, len);
		buf[len] = '\0';
	}
	free(text);
	return found;
}

bool doctor_read_number(const char *path, int64_t *ret)
{
	char word[32], *end;
	long long n;

	if (!doctor_read_word(path, word, sizeof(word)))
		return false;
	n = strtoll(word, &end, 10);
	if (end == word || *end != '\0')
		return false;
	*ret = n;
	return true;
}

static const struct doctor_finding *finding_find(const struct doctor_report *r, const char *id)
{
	for (uint32_t i = 0; i < r->count; i++) {
		if (strcmp(r->findings[i].id, id) == 0)
			return &r->findings[i];
	}
	return NULL;
}

static bool can_run_vms(const struct doctor_report *r)
{
	for (uint32_t i = 0; i < r->count; i++) {
		if (r->findings[i].verdict == DOCTOR_FAIL)
			return false;
	}
	return true;
}

static bool can_run_stock_kernels(const struct doctor_report *r)
{
	const struct doctor_finding *f = finding_find(r, "stock-kernel");

	return f && f->verdict == DOCTOR_OK && can_run_vms(r);
}

static void text_print(const struct doctor_report *r)
{
	unsigned counts[NELEM(verdict_names)] = {0};

	for (size_t g = 0; g < NELEM(groups); g++) {
		printf("%s%s\n", g ? "\n" : "", groups[g].title);
		for (uint32_t i = 0; i < r->count; i++) {
			const struct doctor_finding *f = &r->findings[i];

			if (strcmp(f->group, groups[g].group) != 0)
				continue;
			counts[f->verdict]++;
			printf("  %-4s  %s: %s\n", verdict_names[f->verdict], f->id, f->text);
			if (f->remedy[0])
				printf("          -> %s\n", f->remedy);
		}
	}
	printf("\n%u ok, %u warn, %u fail. VMs %s run here; stock Linux kernels %s boot in them.\n",
		counts[DOCTOR_OK], counts[DOCTOR_WARN], counts[DOCTOR_FAIL],
		can_run_vms(r) ? "can" : "cannot", can_run_stock_kernels(r) ? "can" : "cannot");
}

static json_t *finding_json(const struct doctor_finding *f)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:o}", "id", f->id, "group", f->group,
		"verdict", verdict_names[f->verdict], "text", f->text, "remedy",
		f->remedy[0] ? f->remedy : NULL, "value",
		f->has_value ? json_integer(f->value) : json_null());
}

static int json_print(const struct doctor_report *r)
{
	json_t *checks = json_array();
	json_t *all;
	int failed;

	for (uint32_t i = 0; i < r->count; i++)
		(void)json_array_append_new(checks, finding_json(&r->findings[i]));
	all = json_pack("{s:i, s:s, s:b, s:b, s:s, s:o}", "schema", JSON_SCHEMA, "version",
		MAYFLY_VERSION, "can_run_vms", can_run_vms(r), "can_run_stock_kernels",
		can_run_stock_kernels(r), "kvm_kind", r->kvm_kind, "checks", checks);
	failed = !all || json_dumpf(all, stdout, JSON_INDENT(2)) < 0;
	json_decref(all);
	(void)putchar('\n');
	if (failed)
		cli_say("doctor", "cannot write JSON");
	return failed ? CLI_FAILED : CLI_OK;
}

/* One line, for scripts: the status says whether the verdict is ok. */
static int one_print(const struct doctor_report *r, const char *id)
{
	const struct doctor_finding *f = finding_find(r, id);

	if (!f) {
		return cli_usage("doctor",
			"--check %s: there is no such check here; 'mayfly doctor' lists them", id);
	}
	printf("%s: %s\n", verdict_names[f->verdict], f->text);
	return f->verdict == DOCTOR_OK ? CLI_OK : CLI_FAILED;
}

static int report_print(bool json, const char *check)
{
	struct doctor_report r = {.kvm_kind = "none"};
	int status = CLI_OK;

	doctor_check_kvm(&r);
	doctor_check_kernel(&r);
	doctor_check_limits(&r);
	doctor_check_isolation(&r);
	if (check)
		status = one_print(&r, check);
	else if (json)
		status = json_print(&r);
	else
		text_print(&r);
	if (status == CLI_OK && (fflush(stdout) != 0 || ferror(stdout))) {
		cli_say("doctor", "cannot write to standard output");
		status = CLI_FAILED;
	}
	if (status == CLI_OK && !check && !can_run_vms(&r))
		status = CLI_FAILED;
	return status;
}

static const struct cli_option doctor_options[] = {
	{'o', "output", "FORMAT", "text json", "text (the default) or json"},
	{'c', "check", "NAME", NULL, "print only the check of this name, for scripts"},
	CLI_OPTION_HELP,
};

static int doctor_main(int argc, char **argv)
{
	const char *check = NULL;
	bool json = false;
	int opt, status = CLI_OK;

	while (status == CLI_OK && (opt = cli_option_next(&cli_doctor_command, argc, argv)) != -1) {
		if (opt == 'h')
			return cli_help(&cli_doctor_command);
		if (opt == '?')
			return CLI_USAGE;
		if (opt == 'o')
			status = cli_format_parse("doctor", optarg, &json);
		else
			check = optarg;
	}
	if (status != CLI_OK)
		return status;
	if (optind < argc)
		return cli_usage("doctor", "'%s': there are no arguments", argv[optind]);
	return report_print(json, check);
}

const struct cli_command cli_doctor_command = {
	.name = "doctor",
	.summary = "Say what this host can do, and what to do about the rest",
	.arguments = "[-o text|json] [--check NAME]",
	.description = "Looks at this host and prints a verdict, and where something is missing a "
		       "remedy, per line: ok; warn, VMs run but a feature is missing or slow; "
		       "fail, no VM can run.",
	.options = doctor_options,
	.option_count = NELEM(doctor_options),
	.notes = "Exit status: 0 if VMs can run, otherwise 1; with --check, 0 if that verdict is "
		 "ok, otherwise 1; 2 usage. 'mayfly doctor --check stock-kernel' says whether an "
		 "ordinary Linux kernel boots in a VM here.",
	.main = doctor_main,
};
