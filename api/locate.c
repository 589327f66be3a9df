/* SPDX-License-Identifier: Apache-2.0 */
/* A walk over a valid JSON text. See locate.h. */
#include "api/locate.h"

#include <string.h>

struct locate {
	const char *at, *end;
};

static void locate_blanks(struct locate *l)
{
	while (l->at < l->end && strchr(" \t\r\n,:", *l->at))
		l->at++;
}

/* Past the string that begins here; its content without the quotes is [*ret, + return value). */
static size_t locate_string(struct locate *l, const char **ret)
{
	*ret = ++l->at;
	while (l->at < l->end && *l->at != '"')
		l->at += *l->at == '\\' ? 2 : 1;
	l->at = MIN(l->at, l->end);
	return (size_t)(l->at++ - *ret);
}

/* Past the value that begins here. */
static void locate_skip(struct locate *l)
{
	const char *ignored;
	int depth = 0;

	do {
		locate_blanks(l);
		if (l->at >= l->end)
			return;
		if (*l->at == '"') {
			(void)locate_string(l, &ignored);
			continue;
		}
		depth += *l->at == '{' || *l->at == '[' ? 1 : 0;
		depth -= *l->at == '}' || *l->at == ']' ? 1 : 0;
		l->at++;
		while (l->at < l->end && !strchr(" \t\r\n,:{}[]\"", *l->at))
			l->at++; /* the rest of a number or a word */
	} while (depth > 0);
}

/* To the value of a key of the object, or of the element of an array, that begins here. */
static bool locate_member(struct locate *l, const char *name, size_t name_len)
{
	bool array = l->at < l->end && *l->at == '[';
	size_t index = 0, wanted = 0;
	const char *key;

	for (size_t i = 0; array && i < name_len; i++)
		wanted = wanted * 10 + (size_t)(name[i] - '0');
	l->at++;
	for (;; index++) {
		locate_blanks(l);
		if (l->at >= l->end || *l->at == '}' || *l->at == ']')
			return false;
		if (array) {
			if (index == wanted)
				return true;
		} else if (locate_string(l, &key) == name_len && memcmp(key, name, name_len) == 0) {
			locate_blanks(l);
			return true;
		}
		locate_skip(l);
	}
}

bool locate_end(const char *text, size_t len, const char *path, size_t path_len, unsigned *ret_line,
	unsigned *ret_column)
{
	struct locate l = {.at = text, .end = text + len};

	locate_blanks(&l);
	while (path_len > 0) {
		size_t name_len = strcspn(path, ".[]");

		name_len = MIN(name_len, path_len);
		if (name_len > 0 && !locate_member(&l, path, name_len))
			return false;
		name_len += name_len < path_len ? 1 : 0; /* and what stands between names */
		path += name_len;
		path_len -= name_len;
	}
	locate_skip(&l);
	if (l.at > l.end)
		return false;
	*ret_line = 1;
	*ret_column = 0;
	for (const char *p = text; p < l.at; p++) {
		++*ret_column;
		if (*p == '\n') {
			++*ret_line;
			*ret_column = 0;
		}
	}
	return true;
}
