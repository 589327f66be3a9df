/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly snapshot`: its command line. What it does is in snapshot_*.c. */
#include "cli/snapshot.h"

#include "cli/cli.h"

#include <getopt.h>
#include <string.h>

static const struct snapshot_action {
	const char *name;
	int least, most; /* arguments */
	const char *args;
	int (*main)(const struct snapshot_options *o, char **args, int count);
} actions[] = {
	{"create", 0, 1, "one argument, the VM", snapshot_create_main},
	{"show", 1, 1, "one argument, the state file", snapshot_show_main},
	{"verify", 1, 2, "a state file, and its memory file if that is to be checked too",
		snapshot_verify_main},
	{"diff", 2, 4, "two state files and, if these are to be compared too, two memory files",
		snapshot_diff_main},
	{"merge", 2, 2, "two arguments, the full memory file and the diff", snapshot_merge_main},
	{"pack", 2, 2, "two arguments, the state file and the memory file", snapshot_pack_main},
	{"unpack", 1, 1, "one argument, the archive", snapshot_unpack_main},
};

static const struct snapshot_action *action_find(const char *name)
{
	for (size_t i = 0; i < NELEM(actions); i++)
		if (strcmp(actions[i].name, name) == 0)
			return &actions[i];
	return NULL;
}

#define OPTION_MEMORY_ONLY 256
#define OPTION_DIFF        257

static const struct cli_option snapshot_options[] = {
	{'j', "json", NULL, NULL, "show, verify, diff: print JSON"},
	{OPTION_MEMORY_ONLY, "memory", NULL, NULL, "diff: both files are memory files"},
	{'o', "output", "FILE", "@file", "merge, pack: write this file"},
	{'d', "directory", "DIR", "@file", "unpack: into vm.state and vm.mem of this directory"},
	{'s', "state-file", "FILE", "@file", "create, unpack: the state file to write"},
	{'m', "memory-file", "FILE", "@file", "create, unpack: the memory file to write"},
	{OPTION_DIFF, "diff", NULL, NULL, "create: only what has changed since the last snapshot"},
	CLI_OPTION_HELP,
};

/* Returns the exit status, or -1 with *o filled. */
static int options_read(int argc, char **argv, struct snapshot_options *o)
{
	int opt;

	while ((opt = cli_option_next(&cli_snapshot_command, argc, argv)) != -1) {
		switch (opt) {
		case 'j':
			o->json = true;
			break;
		case OPTION_MEMORY_ONLY:
			o->memory_only = true;
			break;
		case OPTION_DIFF:
			o->diff = true;
			break;
		case 'o':
			o->output = optarg;
			break;
		case 'd':
			o->directory = optarg;
			break;
		case 's':
			o->state = optarg;
			break;
		case 'm':
			o->memory = optarg;
			break;
		case 'h':
			return cli_help(&cli_snapshot_command);
		default:
			return CLI_USAGE;
		}
	}
	return -1;
}

/*
 * Options may follow the arguments, as in `pack STATE MEMORY -o FILE`: the arguments are moved to
 * the front. Returns their number, or -1 with *ret_status.
 */
static int line_read(
	int argc, char **argv, struct snapshot_options *o, char **args, int *ret_status)
{
	int count = 0;

	for (optind = 1; optind < argc;) {
		*ret_status = options_read(argc, argv, o);
		if (*ret_status >= 0)
			return -1;
		if (optind >= argc)
			break;
		if (count == 4) {
			*ret_status =
				cli_usage("snapshot", "'%s': too many arguments", argv[optind]);
			return -1;
		}
		args[count++] = argv[optind++];
	}
	return count;
}

static int snapshot_main(int argc, char **argv)
{
	const struct snapshot_action *action = argc > 1 ? action_find(argv[1]) : NULL;
	const int skip = action ? 1 : 0;
	struct snapshot_options o = {0};
	char *args[4];
	int status = CLI_OK;
	int count = line_read(argc - skip, argv + skip, &o, args, &status);

	if (count < 0)
		return status;
	if (!action && count > 0)
		return cli_usage("snapshot",
			"'%s': must be create, show, verify, diff, merge, pack or unpack", args[0]);
	if (!action)
		return cli_usage(
			"snapshot", "missing: create, show, verify, diff, merge, pack or unpack");
	if (count < action->least || count > action->most)
		return cli_usage("snapshot", "%s takes %s", action->name, action->args);
	return action->main(&o, args, count);
}

const struct cli_command cli_snapshot_command = {
	.name = "snapshot",
	.summary = "Make, look at, check, merge and pack snapshots",
	.arguments = "create|show|verify|diff|merge|pack|unpack [OPTION]... FILE...",
	.description =
		"A snapshot has a state file and a memory file. Only create needs a VM.\n\n"
		"create [VM] --state-file FILE --memory-file FILE saves a VM that runs, which "
		"stands still meanwhile. 'mayfly run --restore' goes on from there.\n\n"
		"show STATE prints what is in a state file.\n\n"
		"verify STATE [MEMORY] checks the state file's checksum, sections and values, and "
		"that the memory file has the right size and can be read.\n\n"
		"diff STATE STATE [MEMORY MEMORY], or with --memory, diff MEMORY MEMORY, names the "
		"fields and pages that differ.\n\n"
		"merge MEMORY DIFF puts a diff's pages into a full memory file: in place, or with "
		"--output into another file.\n\n"
		"pack STATE MEMORY --output FILE makes one compressed archive.\n\n"
		"unpack FILE writes state file and memory file again: into --directory, or as "
		"--state-file and --memory-file.",
	.words = "create show verify diff merge pack unpack @file",
	.options = snapshot_options,
	.option_count = NELEM(snapshot_options),
	.notes = "Exit status: 0; 1 if a file is damaged or cannot be read or written, of diff if "
		 "something differs; 2 usage, of diff also a file that cannot be compared.",
	.main = snapshot_main,
};
