/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sub-commands of `mayfly` share: how one is described, the exit statuses that do not
 * depend on a VM, and how a wrong command line is reported.
 */
#pragma once

#include "vmm/base/compiler.h"

enum {
	CLI_OK = 0,
	CLI_FAILED = 1, /* the host or the monitor; a message is on standard error */
	CLI_USAGE = 2,  /* the command line or a file named on it */
};

struct cli_command {
	const char *name;
	const char *summary; /* one line of `mayfly help` */
	const char *help;    /* all of `mayfly help NAME` */
	/* argv[0] is the command's name. Returns the exit status. */
	int (*main)(int argc, char **argv);
};

extern const struct cli_command cli_run_command;
extern const struct cli_command cli_doctor_command;

/* Prints the help of c. Returns the exit status. */
int cli_help(const struct cli_command *c);

/* "mayfly COMMAND: message" on standard error. */
void cli_say(const char *command, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The same, then where to read about it. Returns CLI_USAGE. */
int cli_usage(const char *command, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * Reports what getopt_long just refused: opt is its result ('?' or ':'), argv and optind as it
 * left them. Returns CLI_USAGE.
 */
int cli_bad_option(const char *command, int opt, char **argv);
