/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of a program as a table of long options: what mayfly-vmm and mayfly-jailer have in common.
 * (The commands of mayfly have short options, too, and use getopt.) What an option means is the caller's.
 */
#pragma once

#include "vmm/base/err.h"

struct option_row {
	const char *name;
	const char *value; /* what --help calls it, or NULL if it takes none */
	int kind;          /* the caller's, or OPTION_HEADING */
	size_t offset;     /* the caller's */
	int action;        /* the caller's */
	const char *help;
};

#define OPTION_HEADING (-1) /* a kind: the name is a heading of --help */

struct option_table {
	const char *program;
	const struct option_row *rows;
	size_t count;
	int help_column; /* of the help texts, in characters */
	/* Values for shells to complete; "@file" for paths, which is what is taken without it. NULL or a function. */
	const char *(*words)(const struct option_row *r);
};

/*
 * The option at argv[*i], as --NAME VALUE or --NAME=VALUE; *i is moved to the last word of it. *ret_value is
 * borrowed from argv, NULL if the option takes none. NULL and *e if it is none of the table's, or has no value.
 */
const struct option_row *option_next(const struct option_table *t, int argc, char **argv, int *i,
	const char **ret_value, struct err *e) MUST_USE;

/* The lines of --help that are about options. */
void option_help(const struct option_table *t);

/* The same as tab-separated text; tools/man/README.md says how. */
void option_describe(const struct option_table *t);

/* Digits only: no sign, no space, no empty text. False, and *ret as it was, if it is not a number up to max. */
bool option_u64(const char *text, uint64_t max, uint64_t *ret) MUST_USE;
