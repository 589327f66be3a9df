/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of options. See option.h. */
#include "vmm/base/option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_row *option_find(
	const struct option_table *t, const char *name, size_t len)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct option_row *r = &t->rows[i];

		if (r->kind != OPTION_HEADING && strlen(r->name) == len &&
			memcmp(r->name, name, len) == 0)
			return r;
	}
	return NULL;
}

const struct option_row *option_next(const struct option_table *t, int argc, char **argv, int *i,
	const char **ret_value, struct err *e)
{
	const char *arg = argv[*i], *eq = strchr(arg, '=');
	const struct option_row *r = NULL;

	*ret_value = NULL;
	if (strncmp(arg, "--", 2) == 0)
		r = option_find(t, arg + 2, eq ? (size_t)(eq - arg) - 2 : strlen(arg + 2));
	if (!r) {
		(void)err_set(e, -EINVAL,
			"Found argument '%s' which wasn't expected, or isn't valid in this "
			"context; see --help",
			arg);
		return NULL;
	}
	if (!r->value && eq) {
		(void)err_set(e, -EINVAL, "--%s takes no value", r->name);
		return NULL;
	}
	if (!r->value)
		return r;
	*ret_value = eq ? eq + 1 : (*i + 1 < argc ? argv[++*i] : NULL);
	if (*ret_value)
		return r;
	(void)err_set(e, -EINVAL, "The argument '--%s' requires a value, but none was supplied.",
		r->name);
	return NULL;
}

void option_help(const struct option_table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct option_row *r = &t->rows[i];
		char left[64];

		if (r->kind == OPTION_HEADING) {
			(void)printf("\n%s:\n", r->name);
			continue;
		}
		(void)snprintf(left, sizeof(left), "  --%s%s%s", r->name, r->value ? " " : "",
			r->value ? r->value : "");
		(void)printf("%-*s %s\n", t->help_column - 1, left, r->help);
	}
}

void option_describe(const struct option_table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct option_row *r = &t->rows[i];
		const char *words = t->words ? t->words(r) : NULL;

		if (!words)
			words = r->value && strcmp(r->value, "PATH") == 0 ? "@file" : "";
		if (r->kind == OPTION_HEADING)
			(void)printf("group\t%s\t%s\n", t->program, r->name);
		else
			(void)printf("option\t%s\t%s\t\t%s\t%s\t%s\n", t->program, r->name,
				r->value ? r->value : "", words, r->help);
	}
}

bool option_u64(const char *text, uint64_t max, uint64_t *ret)
{
	unsigned long long v;

	errno = 0;
	if (!*text || text[strspn(text, "0123456789")])
		return false;
	v = strtoull(text, NULL, 10);
	if (errno || v > max)
		return false;
	*ret = v;
	return true;
}
