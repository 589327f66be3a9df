/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly cpu`: its command line and its four actions. See cpu.h. */
#include "cli/cpu.h"

#include "api/cpu_config.h"
#include "cli/cli.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FINGERPRINT_SIZE_MAX ((size_t)1024 * 1024)
#define GUEST_KEY            "guest_cpu_config"

struct cpu_options {
	const char *template; /* name or path; or NULL */
	const char *format;   /* "text" or "json"; NULL: the action's own */
	bool fingerprint;
};

static void cleanup_json(json_t *const *j)
{
	json_decref(*j);
}

#define CLEANUP_JSON __attribute__((cleanup(cleanup_json)))

static bool options_want_json(const struct cpu_options *o, bool otherwise)
{
	return o->format ? strcmp(o->format, "json") == 0 : otherwise;
}

/* A named template, or the file of one. Returns the exit status. */
static int template_load(const char *what, struct cpu_template *ret)
{
	struct err e;

	for (enum cpu_template_name n = CPU_TEMPLATE_NONE; n < CPU_TEMPLATE_NAME_COUNT; n++) {
		if (strcmp(what, cpu_template_name_text(n)) != 0)
			continue;
		if (cpu_template_get_named(n, ret, &e) == 0)
			return CLI_OK;
		cli_say("cpu", "%s", e.msg);
		return CLI_USAGE;
	}
	if (cpu_config_load(what, ret, &e) == 0)
		return CLI_OK;
	cli_say("cpu", "%s", e.msg);
	return CLI_USAGE;
}

static int json_print(const json_t *j)
{
	bool good = j && json_dumpf(j, stdout, JSON_INDENT(2)) == 0;

	putchar('\n');
	if (!good)
		cli_say("cpu", "cannot write JSON");
	return cli_finish("cpu", good ? CLI_OK : CLI_FAILED);
}

static int template_print_text(const struct cpu_template *t)
{
	for (uint32_t i = 0; i < t->leaf_count; i++) {
		const struct cpu_template_leaf *l = &t->leaves[i];

		printf("cpuid 0x%08x 0x%02x:", l->leaf, l->subleaf);
		for (uint32_t k = 0; k < l->modifier_count; k++)
			printf(" %08x", l->modifiers[k].bits.value);
		putchar('\n');
	}
	for (uint32_t i = 0; i < t->msr_count; i++)
		printf("msr 0x%08x: %016llx\n", t->msrs[i].addr,
			(unsigned long long)t->msrs[i].bits.value);
	return cli_finish("cpu", CLI_OK);
}

/* Fills *template, if one is named, and *guest with what a guest gets with it. */
static int guest_read(
	const struct cpu_options *o, struct cpu_template *template, struct cpu_template *guest)
{
	struct err e;
	int status = o->template ? template_load(o->template, template) : CLI_OK;

	if (status != CLI_OK)
		return status;
	if (cpu_guest_read(o->template ? template : NULL, guest, &e) == 0)
		return CLI_OK;
	cli_say("cpu", "%s", e.msg);
	return CLI_FAILED;
}

static int dump_main(const struct cpu_options *o, char **args)
{
	static struct cpu_template template, guest;
	int status = guest_read(o, &template, &guest);
	CLEANUP_JSON json_t *out = NULL;

	(void)args;
	if (status != CLI_OK)
		return status;
	if (!o->fingerprint && !options_want_json(o, true))
		return template_print_text(&guest);
	out = cpu_config_print(&guest);
	if (o->fingerprint) {
		json_t *all = cpu_host_describe();

		(void)json_object_set(all, GUEST_KEY, out);
		json_decref(out);
		out = all;
	}
	return json_print(out);
}

static int show_main(const struct cpu_options *o, char **args)
{
	static struct cpu_template template;
	int status = template_load(args[0], &template);
	CLEANUP_JSON json_t *out = NULL;

	(void)o;
	if (status != CLI_OK)
		return status;
	out = cpu_config_print(&template);
	return json_print(out);
}

static int report_end(struct cpu_report *r, const char *when_equal)
{
	if (!r->as_json && r->count == 0)
		printf("%s\n", when_equal);
	cpu_report_finish(r);
	return cli_finish("cpu", r->count == 0 ? CLI_OK : CLI_FAILED);
}

static int verify_main(const struct cpu_options *o, char **args)
{
	static struct cpu_template template, guest;
	struct cpu_report r = {
		.as_json = options_want_json(o, false), .sides = {"template", "guest"}};
	int status;

	(void)args;
	if (!o->template)
		return cli_usage("cpu", "verify: --template is missing");
	status = guest_read(o, &template, &guest);
	if (status != CLI_OK)
		return status;
	cpu_verify(&r, &template, &guest);
	return report_end(&r, "every bit of the template holds in a guest on this host");
}

/* A template, or a fingerprint with one inside; *ret_all has the whole object. */
static int compare_load(const char *path, struct cpu_template *ret, json_t **ret_all)
{
	CLEANUP_FREE
	char *text = NULL;
	size_t len;
	struct err e;
	json_t *guest;

	for (enum cpu_template_name n = CPU_TEMPLATE_C3; n < CPU_TEMPLATE_NAME_COUNT; n++)
		if (strcmp(path, cpu_template_name_text(n)) == 0)
			return template_load(path, ret);
	if (io_read_file(path, FINGERPRINT_SIZE_MAX, &text, &len, &e) < 0) {
		cli_say("cpu", "%s", e.msg);
		return CLI_USAGE;
	}
	if (schema_load_text(text, len, ret_all, &e) == 0) {
		guest = json_object_get(*ret_all, GUEST_KEY);
		if (cpu_config_parse(guest ? guest : *ret_all, ret, &e) == 0)
			return CLI_OK;
	}
	cli_say("cpu", "%s: %s", path, e.msg);
	return CLI_USAGE;
}

/* Versions, where both sides are fingerprints. */
static void compare_fields(struct cpu_report *r, json_t *left, json_t *right)
{
	const char *key;
	json_t *v;

	if (!json_object_get(left, GUEST_KEY) || !json_object_get(right, GUEST_KEY))
		return;
	json_object_foreach(left, key, v)
	{
		const char *a = json_string_value(v);
		const char *b = json_string_value(json_object_get(right, key));

		if (strcmp(key, GUEST_KEY) != 0 && a && (!b || strcmp(a, b) != 0))
			cpu_report_field(r, key, a, b);
	}
	json_object_foreach(right, key, v) if (json_is_string(v) && !json_object_get(left, key))
		cpu_report_field(r, key, NULL, json_string_value(v));
}

static int compare_main(const struct cpu_options *o, char **args)
{
	static struct cpu_template left, right;
	struct cpu_report r = {.as_json = options_want_json(o, false), .sides = {"A", "B"}};
	CLEANUP_JSON json_t *left_all = NULL;
	CLEANUP_JSON json_t *right_all = NULL;
	int status = compare_load(args[0], &left, &left_all);

	if (status == CLI_OK)
		status = compare_load(args[1], &right, &right_all);
	if (status != CLI_OK)
		return status;
	compare_fields(&r, left_all, right_all);
	cpu_compare(&r, &left, &right);
	return report_end(&r, "no difference");
}

static const struct cpu_action {
	const char *name;
	int arg_count;
	const char *args; /* as a message calls them */
	int (*main)(const struct cpu_options *o, char **args);
} actions[] = {
	{"dump", 0, "no arguments", dump_main},
	{"show", 1, "one argument, the template", show_main},
	{"verify", 0, "no arguments", verify_main},
	{"compare", 2, "two arguments, A and B", compare_main},
};

static const struct cpu_action *action_find(const char *name)
{
	for (size_t i = 0; i < NELEM(actions); i++)
		if (strcmp(actions[i].name, name) == 0)
			return &actions[i];
	return NULL;
}

static const struct cli_option cpu_options[] = {
	{'t', "template", "T", "@file", "dump with this template; verify this one"},
	{'f', "fingerprint", NULL, NULL,
		"dump with the versions of mayfly, kernel, microcode and firmware"},
	{'o', "output", "FORMAT", "text json",
		"text or json; json is the default of dump, text of the others"},
	CLI_OPTION_HELP,
};

/* Options after the action. Returns the exit status, or -1 with *o filled. */
static int options_read(int argc, char **argv, struct cpu_options *o)
{
	bool json;
	int opt;

	while ((opt = cli_option_next(&cli_cpu_command, argc, argv)) != -1) {
		switch (opt) {
		case 't':
			o->template = optarg;
			break;
		case 'f':
			o->fingerprint = true;
			break;
		case 'o':
			o->format = optarg;
			if (cli_format_parse("cpu", optarg, &json) != CLI_OK)
				return CLI_USAGE;
			break;
		case 'h':
			return cli_help(&cli_cpu_command);
		default:
			return CLI_USAGE;
		}
	}
	return -1;
}

static int cpu_main(int argc, char **argv)
{
	const struct cpu_action *action = argc > 1 ? action_find(argv[1]) : NULL;
	const int skip = action ? 1 : 0;
	struct cpu_options o = {0};
	int status = options_read(argc - skip, argv + skip, &o);

	if (status >= 0)
		return status;
	if (!action && optind < argc)
		return cli_usage(
			"cpu", "'%s': must be dump, show, verify or compare", argv[optind]);
	if (!action)
		return cli_usage("cpu", "missing: dump, show, verify or compare");
	if (argc - skip - optind != action->arg_count)
		return cli_usage("cpu", "%s takes %s", action->name, action->args);
	return action->main(&o, argv + skip + optind);
}

const struct cli_command cli_cpu_command = {
	.name = "cpu",
	.summary = "Make, check and compare CPU templates",
	.arguments = "dump|show|verify|compare [OPTION]... [ARGUMENT]...",
	.description =
		"CPU templates change what guests see of the CPU, so that different hosts look "
		"alike. T, A and B are paths of templates in JSON, or C3, T2, T2S, T2CL, T2A.\n\n"
		"dump prints what a guest sees on this host as a template: CPUID and MSRs.\n\n"
		"show T prints a template in full.\n\n"
		"verify --template T applies a template to a VM on this host, reads it back, and "
		"names the bits that do not hold.\n\n"
		"compare A B names what differs between two templates or two fingerprints.",
	.words = "dump show verify compare",
	.options = cpu_options,
	.option_count = NELEM(cpu_options),
	.notes = "Exit status: 0; of verify and compare 1 if something differs; 1 also if no VM "
		 "can be made; 2 usage, or a template that cannot be read.",
	.main = cpu_main,
};
