/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sub-commands of `mayfly` share: how one is described, the exit statuses that do not
 * depend on a VM, and how a wrong command line is reported.
 *
 * A command's table is the only place where its options stand: the parser, the help, the man page
 * and the shells' completion are made of it.
 */
#pragma once

#include "vmm/base/compiler.h"

#include <stdio.h>

enum {
	CLI_OK = 0,
	CLI_FAILED = 1, /* the host or the monitor; a message is on standard error */
	CLI_USAGE = 2,  /* the command line or a file named on it */
};

#define CLI_OPTIONS_MAX 32

struct cli_option {
	int id;            /* what cli_option_next returns; a letter is also its short form */
	const char *name;  /* of the long form */
	const char *value; /* what help calls its value, or NULL: it takes none */
	const char *words; /* for completion: "@file", "@vm", "a b c", "a b @file", NULL */
	const char *help;
};

#define CLI_OPTION_HELP                                                                            \
	{                                                                                          \
		'h', "help", NULL, NULL, "print this"                                              \
	}

struct cli_command {
	const char *name;
	const char *summary;     /* one line of `mayfly help` */
	const char *arguments;   /* what follows the name in the usage line */
	const char *description; /* paragraphs, apart by "\n\n", filled when printed */
	const char *words;       /* as in cli_option, of the arguments that are no options */
	const struct cli_option *options;
	uint32_t option_count;
	const char *notes; /* paragraphs after the options, or NULL */
	/* argv[0] is the command's name. Returns the exit status. */
	int (*main)(int argc, char **argv);
};

extern const struct cli_command cli_run_command;
extern const struct cli_command cli_doctor_command;
extern const struct cli_command cli_cpu_command;
extern const struct cli_command cli_api_command;
extern const struct cli_command cli_ps_command;
extern const struct cli_command cli_inspect_command;
extern const struct cli_command cli_pause_command;
extern const struct cli_command cli_resume_command;
extern const struct cli_command cli_stop_command;
extern const struct cli_command cli_logs_command;
extern const struct cli_command cli_stats_command;
extern const struct cli_command cli_snapshot_command;
extern const struct cli_command cli_seccomp_command;
extern const struct cli_command cli_pool_command;

/*
 * The id of the next option, with its value in optarg; -1 after the last, with optind at the first
 * argument; '?' after a message about a wrong one: the caller returns CLI_USAGE.
 */
int cli_option_next(const struct cli_command *c, int argc, char **argv);

/* Prints the help of c. Returns the exit status. */
int cli_help(const struct cli_command *c);

/* Prints everything about c for the makers of man pages and completion; docs/commands.md. */
void cli_describe(FILE *to, const struct cli_command *c);

/* What was printed is worth nothing if it did not arrive. Returns status, or CLI_FAILED. */
int cli_finish(const char *command, int status);

/* "text" or "json", of -o. Returns CLI_OK with *ret_json set, or CLI_USAGE after a message. */
int cli_format_parse(const char *command, const char *format, bool *ret_json);

/* "mayfly COMMAND: message" on standard error. */
void cli_say(const char *command, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The same, then where to read about it. Returns CLI_USAGE. */
int cli_usage(const char *command, const char *fmt, ...) PRINTF_LIKE(2, 3);
