/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly seccomp`: filters made of JSON, and the rules that are built in. */
#include "cli/cli.h"
#include "cli/seccomp_json.h"
#include "seccomp/record.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <seccomp.h>
#include <string.h>
#include <sys/stat.h>

struct seccomp_options {
	const char *output, *used; /* or NULL */
	bool json;
};

static int file_write(const char *path, const void *bytes, size_t len)
{
	CLEANUP_FD
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0644);
	int rc = fd < 0 ? -errno : io_write_full(fd, bytes, len);

	if (rc == 0 && close(fd_take(&fd)) < 0)
		rc = -errno;
	if (rc == 0)
		return CLI_OK;
	cli_say("seccomp", "cannot write %s: %s", path, strerrordesc_np(-rc));
	return CLI_FAILED;
}

static int compile_main(const struct seccomp_options *o, const char *path)
{
	CLEANUP_FREE
	char *text = NULL;
	CLEANUP_FREE
	void *bytes = NULL;
	struct seccomp_set s = {0};
	bool has_api;
	size_t len;
	struct err e;

	if (o->json || o->used)
		return cli_usage("seccomp", "--json and --used are options of list");
	if (!o->output)
		return cli_usage("seccomp", "compile: -o FILE is missing");
	if (io_read_file(path, SECCOMP_JSON_SIZE_MAX, &text, &len, &e) < 0) {
		cli_say("seccomp", "%s", e.msg);
		return CLI_USAGE;
	}
	if (seccomp_json_compile(&s, &has_api, text, len, &e) < 0) {
		cli_say("seccomp", "%s: %s", path, e.msg);
		return CLI_USAGE;
	}
	if (has_api)
		cli_say("seccomp",
			"%s: the filter of api is left out: the thread vmm serves the API, so its "
			"filter must allow what that needs",
			path);
	bytes = seccomp_set_format(&s, &len);
	seccomp_set_fini(&s);
	return bytes ? file_write(o->output, bytes, len) : CLI_FAILED;
}

static void undeclared_print(const struct seccomp_record *r)
{
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++)
		for (int nr = 0; nr < SECCOMP_RECORD_CALLS; nr++) {
			char *name;

			if (!r->undeclared[role][nr])
				continue;
			name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);
			printf("undeclared %-4s %s\n", seccomp_role_thread((enum seccomp_role)role),
				name ? name : "?");
			free(name);
		}
}

static int list_main(const struct seccomp_options *o)
{
	size_t count;
	const struct seccomp_rule *rules = seccomp_rules_get(&count);
	struct seccomp_record *r = NULL;
	struct err e;

	if (o->output)
		return cli_usage("seccomp", "-o is an option of compile");
	if (o->used && seccomp_record_open(&r, o->used, false, &e) < 0) {
		cli_say("seccomp", "--used: %s", e.msg);
		return CLI_USAGE;
	}
	if (o->json) {
		json_t *all = seccomp_json_print(r ? r->used : NULL);
		bool good = json_dumpf(all, stdout, JSON_INDENT(2)) == 0;

		putchar('\n');
		json_decref(all);
		return cli_finish("seccomp", good ? CLI_OK : CLI_FAILED);
	}
	for (size_t i = 0; i < count; i++)
		printf("%s%-4s %-56s %s\n",
			!r           ? ""
			: r->used[i] ? "used       "
				     : "unused     ",
			seccomp_role_thread(rules[i].role), rules[i].item, rules[i].origin);
	if (r)
		undeclared_print(r);
	return cli_finish("seccomp", CLI_OK);
}

static const struct cli_option seccomp_options[] = {
	{'o', "output", "FILE", "@file", "compile into this file"},
	{'j', "json", NULL, NULL, "list in the JSON that compile reads"},
	{'u', "used", "FILE", "@file",
		"list which rules a monitor with --seccomp-record FILE has used; with --json "
		"only these"},
	CLI_OPTION_HELP,
};

/* Options after the action. Returns the exit status, or -1 with *o filled. */
static int options_read(int argc, char **argv, struct seccomp_options *o)
{
	int opt;

	while ((opt = cli_option_next(&cli_seccomp_command, argc, argv)) != -1) {
		switch (opt) {
		case 'o':
			o->output = optarg;
			break;
		case 'j':
			o->json = true;
			break;
		case 'u':
			o->used = optarg;
			break;
		case 'h':
			return cli_help(&cli_seccomp_command);
		default:
			return CLI_USAGE;
		}
	}
	return -1;
}

static int seccomp_main(int argc, char **argv)
{
	const char *action = argc > 1 ? argv[1] : "";
	bool compile = strcmp(action, "compile") == 0,
	     known = compile || strcmp(action, "list") == 0;
	const int skip = known ? 1 : 0;
	struct seccomp_options o = {0};
	const char *path = NULL;
	int status;

	argc -= skip;
	argv += skip;
	/* The input may stand before the options. */
	if (compile && argc > 1 && (argv[1][0] != '-' || !argv[1][1])) {
		path = argv[1];
		argc--;
		argv++;
	}
	status = options_read(argc, argv, &o);
	if (status >= 0)
		return status;
	if (!known)
		return cli_usage("seccomp",
			optind < argc ? "'%s': must be compile or list"
				      : "missing%s: compile or list",
			optind < argc ? argv[optind] : "");
	if (compile && !path && optind < argc)
		path = argv[optind++];
	if (optind < argc || compile != (path != NULL))
		return cli_usage("seccomp", compile ? "compile takes one argument, the JSON"
						    : "list takes no arguments");
	if (path && strcmp(path, "-") == 0)
		path = "/dev/stdin";
	return compile ? compile_main(&o, path) : list_main(&o);
}

const struct cli_command cli_seccomp_command = {
	.name = "seccomp",
	.summary = "Make system-call filters; list those that are built in",
	.arguments = "compile|list [OPTION]... [FILE.json]",
	.description =
		"Each thread of mayfly-vmm has a system-call filter: vmm, which serves the API and "
		"the devices, vcpu, which runs the guest, and io, of a drive with a thread of its "
		"own.\n\n"
		"compile FILE.json -o FILE makes filters of Firecracker's JSON for mayfly-vmm "
		"--seccomp-filter FILE. - is standard input.\n\n"
		"list prints the built-in rules and where they come from.",
	.words = "compile list @file",
	.options = seccomp_options,
	.option_count = NELEM(seccomp_options),
	.notes =
		"Exit status: 0; 1 if the output cannot be written; 2 usage, or a file that cannot "
		"be used.",
	.main = seccomp_main,
};
