/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly api`: any request to a monitor's API. */
#include "cli/cli.h"
#include "cli/vm.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#define BODY_SIZE_MAX ((size_t)16 << 20)

static const struct cli_option api_options[] = {
	{'n', "vm", "VM", "@vm",
		"the VM's name, or the path of its API socket; needed unless just one VM runs"},
	{'i', "include", NULL, NULL, "print the status first"},
	CLI_OPTION_HELP,
};

/* "-" is standard input. The text is the caller's. */
static int body_read(const char *arg, char **ret, struct err *e)
{
	size_t len;

	if (strcmp(arg, "-") == 0)
		return io_read_file("/dev/stdin", BODY_SIZE_MAX, ret, &len, e);
	*ret = strdup(arg);
	return *ret ? 0 : err_set_os(e, -ENOMEM, "cannot copy the body");
}

static int answer_print(const struct http_answer *a, bool include)
{
	struct err e;

	if (include)
		(void)printf("%d\n", a->status);
	if (a->body_len > 0) {
		(void)fwrite(a->body, 1, a->body_len, stdout);
		if (a->body[a->body_len - 1] != '\n')
			(void)putchar('\n');
	}
	if (a->status >= 200 && a->status < 300)
		return cli_finish("api", CLI_OK);
	(void)vm_fault(a, &e);
	cli_say("api", "%s", e.msg);
	return CLI_FAILED;
}

static int api_request(const char *target, bool include, char **words, int count)
{
	struct runtime_vm vm;
	struct http_answer a = {0};
	CLEANUP_FREE
	char *body = NULL;
	struct http_call c = {.method = words[0], .path = words[1]};
	struct err e;
	int status, rc = runtime_find(&vm, target, &e);

	c.socket = vm.socket;
	c.timeout_s = 60; /* a snapshot may take long */
	if (rc == 0 && count == 3)
		rc = body_read(words[2], &body, &e);
	c.body = body;
	if (rc == 0)
		rc = http_do(&c, &a, &e);
	if (rc < 0) {
		cli_say("api", "%s", e.msg);
		return CLI_FAILED;
	}
	status = answer_print(&a, include);
	http_answer_fini(&a);
	return status;
}

static int api_main(int argc, char **argv)
{
	const char *target = NULL;
	bool include = false;
	int opt;

	while ((opt = cli_option_next(&cli_api_command, argc, argv)) != -1) {
		if (opt == 'h')
			return cli_help(&cli_api_command);
		if (opt == '?')
			return CLI_USAGE;
		if (opt == 'n')
			target = optarg;
		else
			include = true;
	}
	if (argc - optind < 2 || argc - optind > 3)
		return cli_usage("api", "a method, a path and perhaps a JSON text are needed");
	if (strcspn(argv[optind], " \r\n") != strlen(argv[optind]) || argv[optind][0] == '\0')
		return cli_usage("api", "'%s': not a method", argv[optind]);
	if (argv[optind + 1][0] != '/' ||
		strcspn(argv[optind + 1], " \r\n") != strlen(argv[optind + 1]))
		return cli_usage(
			"api", "'%s': a path begins with / and has no spaces", argv[optind + 1]);
	return api_request(target, include, argv + optind, argc - optind);
}

const struct cli_command cli_api_command = {
	.name = "api",
	.summary = "Send one request to a VM's API and print the answer",
	.arguments = "[--vm VM] METHOD PATH [JSON]",
	.description = "Sends a request to the API socket of a VM. The answer's body is printed as "
		       "it is. JSON is the request's body; - reads it from standard input.",
	.words = "GET PUT PATCH DELETE",
	.options = api_options,
	.option_count = NELEM(api_options),
	.notes = "For instance:\n"
		 "mayfly api GET /vm/config\n"
		 "mayfly api PATCH /drives/vda '{\"drive_id\": \"vda\", \"path_on_host\": "
		 "\"b.img\"}'\n"
		 "mayfly api --vm ./fc.sock PUT /actions '{\"action_type\": "
		 "\"InstanceStart\"}'\n\n"
		 "Exit status: 0 if the monitor answered 2xx, otherwise 1; 2 usage.",
	.main = api_main,
};
