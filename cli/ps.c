/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly ps` and `mayfly inspect`: which VMs run, and what they are. */
#include "cli/cli.h"
#include "cli/vm.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"

#include <getopt.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct cli_option ps_options[] = {
	{'o', "output", "FORMAT", "text json", "text (the default) or json"},
	{'q', "quiet", NULL, NULL, "names only"},
	CLI_OPTION_HELP,
};

static const struct cli_option inspect_options[] = {
	{'o', "output", "FORMAT", "json", "json; there is no other"},
	CLI_OPTION_HELP,
};

/* Since the process began: its start time counts from the host's boot. */
static uint64_t process_age_s(const struct runtime_process *p)
{
	struct timespec ts;
	uint64_t start_s = p->start_time / (uint64_t)sysconf(_SC_CLK_TCK);

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec > start_s ? (uint64_t)ts.tv_sec - start_s : 0;
}

/* What is known of one VM; "unknown" for a state if its monitor does not answer. */
static json_t *vm_summary(const struct runtime_vm *vm)
{
	json_t *info = NULL, *machine = NULL, *row;
	const char *state = NULL;
	struct err e;

	if (vm_get(vm, "/", VM_LIST_TIMEOUT_S, &info, &e) == 0)
		state = json_string_value(json_object_get(info, "state"));
	if (state)
		(void)!vm_get(vm, "/machine-config", VM_LIST_TIMEOUT_S, &machine, &e);
	row = json_pack("{s:s, s:i, s:s, s:I, s:s}", "name", vm->name, "pid", (int)vm->monitor.pid,
		"state", state ? state : "unknown", "age_s",
		(json_int_t)process_age_s(&vm->monitor), "socket", vm->socket);
	if (row && machine)
		(void)json_object_update_missing(row, machine);
	json_decref(info);
	json_decref(machine);
	return row;
}

static json_int_t number_of(json_t *row, const char *key)
{
	return json_integer_value(json_object_get(row, key));
}

static void age_format(char buf[32], json_int_t s)
{
	if (s < 3600)
		(void)snprintf(buf, 32, "%lldm%02llds", (long long)s / 60, (long long)s % 60);
	else
		(void)snprintf(
			buf, 32, "%lldh%02lldm", (long long)s / 3600, (long long)s / 60 % 60);
}

static void rows_print(json_t *rows)
{
	size_t i;
	json_t *row;

	(void)printf(
		"%-20s %8s %-12s %5s %8s %8s\n", "NAME", "PID", "STATE", "CPUS", "MEM MIB", "AGE");
	json_array_foreach(rows, i, row)
	{
		char age[32], cpus[24] = "-", mem[24] = "-";

		age_format(age, number_of(row, "age_s"));
		if (json_object_get(row, "vcpu_count")) {
			(void)snprintf(cpus, sizeof(cpus), "%lld",
				(long long)number_of(row, "vcpu_count"));
			(void)snprintf(mem, sizeof(mem), "%lld",
				(long long)number_of(row, "mem_size_mib"));
		}
		(void)printf("%-20s %8lld %-12s %5s %8s %8s\n",
			json_string_value(json_object_get(row, "name")),
			(long long)number_of(row, "pid"),
			json_string_value(json_object_get(row, "state")), cpus, mem, age);
	}
}

static int ps_print(bool json, bool quiet)
{
	CLEANUP_FREE
	struct runtime_vm *list = NULL;
	json_t *rows = json_array();
	struct err e;
	int count = runtime_list(&list, &e);

	if (count < 0)
		cli_say("ps", "%s", e.msg);
	for (int i = 0; i < count; i++) {
		if (quiet)
			(void)puts(list[i].name);
		else
			(void)json_array_append_new(rows, vm_summary(&list[i]));
	}
	if (count >= 0 && !quiet && json) {
		(void)!json_dumpf(rows, stdout, JSON_INDENT(2));
		(void)putchar('\n');
	} else if (count >= 0 && !quiet) {
		rows_print(rows);
	}
	json_decref(rows);
	return count < 0 ? CLI_FAILED : cli_finish("ps", CLI_OK);
}

static int ps_main(int argc, char **argv)
{
	bool json = false, quiet = false;
	int opt, status = CLI_OK;

	while (status == CLI_OK && (opt = cli_option_next(&cli_ps_command, argc, argv)) != -1) {
		if (opt == 'h')
			return cli_help(&cli_ps_command);
		if (opt == '?')
			return CLI_USAGE;
		if (opt == 'o')
			status = cli_format_parse("ps", optarg, &json);
		else
			quiet = true;
	}
	if (status != CLI_OK)
		return status;
	if (optind < argc)
		return cli_usage("ps", "'%s': there are no arguments", argv[optind]);
	return ps_print(json, quiet);
}

static int inspect_vm(const char *target)
{
	json_t *info = NULL, *config = NULL, *all;
	struct runtime_vm vm;
	struct err e;
	int rc = runtime_find(&vm, target, &e);

	if (rc == 0)
		rc = vm_get(&vm, "/", VM_CALL_TIMEOUT_S, &info, &e);
	if (rc == 0)
		rc = vm_get(&vm, "/vm/config", VM_CALL_TIMEOUT_S, &config, &e);
	if (rc < 0) {
		json_decref(info);
		cli_say("inspect", "%s", e.msg);
		return CLI_FAILED;
	}
	all = json_pack("{s:s, s:i, s:i, s:s, s:s, s:I, s:o, s:o}", "name", vm.name, "pid",
		(int)vm.monitor.pid, "runner_pid", (int)vm.runner.pid, "socket", vm.socket, "log",
		vm.log, "age_s", (json_int_t)process_age_s(&vm.monitor), "instance", info, "config",
		config);
	(void)!json_dumpf(all, stdout, JSON_INDENT(2));
	(void)putchar('\n');
	json_decref(all);
	return cli_finish("inspect", CLI_OK);
}

static int inspect_main(int argc, char **argv)
{
	int opt;

	while ((opt = cli_option_next(&cli_inspect_command, argc, argv)) != -1) {
		if (opt == 'h')
			return cli_help(&cli_inspect_command);
		if (opt == '?')
			return CLI_USAGE;
		if (strcmp(optarg, "json") != 0)
			return cli_usage("inspect", "-o '%s': must be json", optarg);
	}
	if (argc - optind > 1)
		return cli_usage("inspect", "'%s': one VM at a time", argv[optind + 1]);
	return inspect_vm(argv[optind]);
}

const struct cli_command cli_ps_command = {
	.name = "ps",
	.summary = "List the VMs that run",
	.arguments = "[-o text|json] [-q]",
	.description = "Lists the VMs of the runtime directory, $XDG_RUNTIME_DIR/mayfly or "
		       "/run/mayfly: those of 'mayfly run', and every monitor that serves an API "
		       "socket NAME.sock there. Entries of VMs that were killed are removed.",
	.options = ps_options,
	.option_count = NELEM(ps_options),
	.notes = "Exit status: 0, also if none runs; 1 if the directory cannot be read; 2 usage.",
	.main = ps_main,
};

const struct cli_command cli_inspect_command = {
	.name = "inspect",
	.summary = "Print all about a VM as JSON",
	.arguments = "[-o json] [VM]",
	.description = "Prints what the monitor says of itself and its whole configuration, as one "
		       "JSON object. VM is a name or the path of an API socket; it may be left "
		       "out while just one VM runs.",
	.words = "@vm",
	.options = inspect_options,
	.option_count = NELEM(inspect_options),
	.notes = "Exit status: 0; 1 if there is no such VM or it does not answer; 2 usage.",
	.main = inspect_main,
};
