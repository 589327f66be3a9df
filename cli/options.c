/* SPDX-License-Identifier: Apache-2.0 */
/* A command's table as a parser, as help, and as text for the makers of man pages. See cli.h. */
#include "cli/cli.h"

#include "vmm/base/check.h"

#include <getopt.h>
#include <string.h>

#define HELP_COLUMNS 80u
#define HELP_INDENT  25u
#define SHORT_ID_MAX 127

static void tables_make(const struct cli_command *c, struct option longs[CLI_OPTIONS_MAX + 1],
	char shorts[2 * CLI_OPTIONS_MAX + 3])
{
	uint32_t i;

	CHECK(c->option_count <= CLI_OPTIONS_MAX);
	*shorts++ = '+';
	*shorts++ = ':';
	for (i = 0; i < c->option_count; i++) {
		const struct cli_option *o = &c->options[i];

		longs[i] = (struct option){
			.name = o->name,
			.has_arg = o->value ? required_argument : no_argument,
			.val = o->id,
		};
		if (o->id > SHORT_ID_MAX)
			continue;
		*shorts++ = (char)o->id;
		if (o->value)
			*shorts++ = ':';
	}
	longs[i] = (struct option){0};
	*shorts = '\0';
}

static void bad_option(const char *command, int opt, char **argv)
{
	const char *arg = argv[optind - 1];

	if (opt == ':')
		(void)cli_usage(command, "option '%s' needs a value", arg);
	/* A long option leaves optopt 0 if it is unknown, its own value if it takes none. */
	else if (strncmp(arg, "--", 2) == 0)
		(void)cli_usage(command,
			optopt ? "option '%s' takes no value" : "unknown option '%s'", arg);
	else
		(void)cli_usage(command, "unknown option '-%c'", optopt);
}

int cli_option_next(const struct cli_command *c, int argc, char **argv)
{
	struct option longs[CLI_OPTIONS_MAX + 1];
	char shorts[2 * CLI_OPTIONS_MAX + 3];
	int opt;

	tables_make(c, longs, shorts);
	opterr = 0;
	opt = getopt_long(argc, argv, shorts, longs, NULL);
	if (opt != '?' && opt != ':')
		return opt;
	bad_option(c->name, opt, argv);
	return '?';
}

/* Fills lines with words, each line indented; starts at a column. Lines of the text stay apart. */
static void text_fill(const char *text, size_t column, size_t indent)
{
	bool first = true;

	while (*text) {
		size_t len = strcspn(text, " \n");

		if (!first && column + 1 + len > HELP_COLUMNS) {
			(void)printf("\n%*s", (int)indent, "");
			column = indent;
			first = true;
		}
		(void)printf("%s%.*s", first ? "" : " ", (int)len, text);
		column += len + (first ? 0 : 1);
		first = false;
		text += len;
		for (; *text == ' '; text++)
			;
		for (; *text == '\n'; text++) {
			(void)printf("\n%*s", text[1] == '\n' ? 0 : (int)indent, "");
			column = indent;
			first = true;
		}
	}
	(void)putchar('\n');
}

static void option_print(const struct cli_option *o)
{
	char left[64];
	int n;

	n = snprintf(left, sizeof(left), "  %s%c%s--%s%s%s", o->id <= SHORT_ID_MAX ? "-" : "  ",
		o->id <= SHORT_ID_MAX ? o->id : ' ', o->id <= SHORT_ID_MAX ? ", " : " ", o->name,
		o->value ? " " : "", o->value ? o->value : "");
	(void)fputs(left, stdout);
	if (n >= (int)HELP_INDENT)
		(void)printf("\n%*s", (int)HELP_INDENT, "");
	else
		(void)printf("%*s", (int)HELP_INDENT - n, "");
	text_fill(o->help, HELP_INDENT, HELP_INDENT);
}

int cli_help(const struct cli_command *c)
{
	(void)printf("Usage: mayfly %s %s\n\n", c->name, c->arguments);
	text_fill(c->description, 0, 0);
	(void)putchar('\n');
	for (uint32_t i = 0; i < c->option_count; i++)
		option_print(&c->options[i]);
	if (c->notes) {
		(void)putchar('\n');
		text_fill(c->notes, 0, 0);
	}
	return cli_finish(NULL, CLI_OK);
}

/* One field on one line: newlines as \n. */
static void field_print(FILE *to, const char *text)
{
	for (; text && *text; text++) {
		if (*text == '\n')
			(void)fputs("\\n", to);
		else
			(void)fputc(*text, to);
	}
}

static void row_print(FILE *to, const char *const fields[], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		field_print(to, fields[i]);
		(void)fputc(i + 1 < count ? '\t' : '\n', to);
	}
}

void cli_describe(FILE *to, const struct cli_command *c)
{
	const char *const head[] = {
		"command", c->name, c->summary, c->arguments, c->words, c->description, c->notes};

	row_print(to, head, NELEM(head));
	for (uint32_t i = 0; i < c->option_count; i++) {
		const struct cli_option *o = &c->options[i];
		char letter[] = {(char)(o->id <= SHORT_ID_MAX ? o->id : 0), '\0'};
		const char *const row[] = {
			"option", c->name, o->name, letter, o->value, o->words, o->help};

		row_print(to, row, NELEM(row));
	}
}

int cli_format_parse(const char *command, const char *format, bool *ret_json)
{
	*ret_json = strcmp(format, "json") == 0;
	if (*ret_json || strcmp(format, "text") == 0)
		return CLI_OK;
	return cli_usage(command, "-o '%s': must be text or json", format);
}
