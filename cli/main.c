/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `mayfly` command: finds the sub-command and hands over. It holds no VM; what runs one is
 * mayfly-vmm.
 */
#include "cli/cli.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct cli_command *const commands[] = {
	&cli_run_command,
	&cli_ps_command,
	&cli_inspect_command,
	&cli_pause_command,
	&cli_resume_command,
	&cli_stop_command,
	&cli_logs_command,
	&cli_stats_command,
	&cli_api_command,
	&cli_snapshot_command,
	&cli_pool_command,
	&cli_doctor_command,
	&cli_cpu_command,
	&cli_seccomp_command,
};

static void PRINTF_LIKE(2, 0) say_tagged(const char *command, const char *fmt, va_list ap)
{
	char msg[1536];

	/* One write, so that lines of this process and of the monitor do not mix. */
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	(void)fprintf(stderr, "mayfly%s%s: %s\n", command ? " " : "", command ? command : "", msg);
}

void cli_say(const char *command, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_tagged(command, fmt, ap);
	va_end(ap);
}

int cli_usage(const char *command, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_tagged(command, fmt, ap);
	va_end(ap);
	(void)fprintf(
		stderr, "Try 'mayfly help%s%s'.\n", command ? " " : "", command ? command : "");
	return CLI_USAGE;
}

static const struct cli_command *command_find(const char *name)
{
	for (size_t i = 0; i < NELEM(commands); i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

static void overview_print(FILE *to)
{
	(void)fputs("Usage: mayfly COMMAND [OPTION]...\n\n"
		    "Runs virtual machines in about the time of a process.\n\nCommands:\n",
		to);
	for (size_t i = 0; i < NELEM(commands); i++)
		(void)fprintf(to, "  %-8s  %s\n", commands[i]->name, commands[i]->summary);
	(void)fprintf(to, "  %-8s  %s\n", "help", "Say how a command is used");
	(void)fputs(
		"\n'mayfly help COMMAND' says more; 'mayfly --version' prints the version.\n", to);
}

/* On a full disk, for instance. */
int cli_finish(const char *command, int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	cli_say(command, "cannot write to standard output");
	return CLI_FAILED;
}

static int help_main(int argc, char **argv)
{
	const struct cli_command *c;

	if (argc < 2) {
		overview_print(stdout);
		return cli_finish(NULL, CLI_OK);
	}
	c = command_find(argv[1]);
	if (!c)
		return cli_usage(NULL, "unknown command '%s'", argv[1]);
	return cli_help(c);
}

static int describe_main(void)
{
	for (size_t i = 0; i < NELEM(commands); i++)
		cli_describe(stdout, commands[i]);
	return cli_finish(NULL, CLI_OK);
}

/* With a standard descriptor closed, the next file opened would become it and be written to. */
static void standard_fds_open(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
}

int main(int argc, char **argv)
{
	const struct cli_command *c;
	const char *name = argc > 1 ? argv[1] : NULL;

	standard_fds_open();
	if (!name) {
		overview_print(stderr);
		return CLI_USAGE;
	}
	if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return help_main(argc - 1, argv + 1);
	if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
		(void)printf("mayfly %s\n", MAYFLY_VERSION);
		return cli_finish(NULL, CLI_OK);
	}
	if (strcmp(name, "--describe-options") == 0)
		return describe_main();
	c = command_find(name);
	if (!c)
		return cli_usage(NULL, "unknown command '%s'", name);
	return c->main(argc - 1, argv + 1);
}
