/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a jail as text. See record.h. */
#include "jailer/record.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

PRINTF_LIKE(3, 4)
static bool record_add(char text[RECORD_SIZE_MAX], size_t *used, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text + *used, RECORD_SIZE_MAX - *used, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= RECORD_SIZE_MAX - *used)
		return false;
	*used += (size_t)n;
	return true;
}

int record_print(const struct record *r, char text[RECORD_SIZE_MAX], struct err *e)
{
	size_t used = 0;
	bool ok = record_add(text, &used, "mayfly-jail 1\n");

	if (r->pid)
		ok = ok && record_add(text, &used, "pid %d %" PRIu64 "\n", r->pid, r->pid_start);
	if (r->cgroup[0])
		ok = ok && record_add(text, &used, "cgroup %s\n", r->cgroup);
	for (size_t i = 0; i < r->hierarchy_count; i++)
		ok = ok &&
		     record_add(text, &used, "hierarchy %u %s %u\n", r->hierarchies[i].version,
			     r->hierarchies[i].controller, r->hierarchies[i].made);
	memset(text + used, '\n', RECORD_SIZE_MAX - 1 - used);
	text[RECORD_SIZE_MAX - 1] = '\0';
	return ok ? 0
		  : err_set(e, -E2BIG,
			    "the record of the jail is too long; shorten --parent-cgroup");
}

/* A number and what follows it. */
static bool record_number(const char **at, uint64_t max, uint64_t *ret)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*ret = strtoull(*at, &end, 10);
	*at = end;
	return !errno && *ret <= max;
}

static bool record_word(const char **at, char *ret, size_t max)
{
	size_t len = strcspn(*at, " \n");

	if (len == 0 || len > max)
		return false;
	memcpy(ret, *at, len);
	ret[len] = '\0';
	*at += len;
	return true;
}

/* Relative, of real names only: it is removed folder by folder. */
static bool record_cgroup_ok(const char *path)
{
	for (const char *at = path;; at++) {
		size_t len = strcspn(at, "/");

		if (len == 0 || len > NAME_MAX || (len <= 2 && memcmp(at, "..", len) == 0))
			return false;
		at += len;
		if (!*at)
			return true;
	}
}

static bool record_line(const char **at, struct record *r)
{
	struct record_hierarchy *h = &r->hierarchies[r->hierarchy_count];
	uint64_t n;

	if (strncmp(*at, "pid ", 4) == 0) {
		*at += 4;
		if (r->pid || !record_number(at, INT_MAX, &n) || n == 0 || *(*at)++ != ' ')
			return false;
		r->pid = (int)n;
		return record_number(at, UINT64_MAX, &r->pid_start);
	}
	if (strncmp(*at, "cgroup ", 7) == 0) {
		*at += 7;
		return !r->cgroup[0] && record_word(at, r->cgroup, RECORD_CGROUP_MAX) &&
		       record_cgroup_ok(r->cgroup);
	}
	if (strncmp(*at, "hierarchy ", 10) != 0 || r->hierarchy_count == RECORD_HIERARCHIES_MAX)
		return false;
	*at += 10;
	if (!record_number(at, 2, &n) || n == 0 || *(*at)++ != ' ')
		return false;
	h->version = (unsigned)n;
	if (!record_word(at, h->controller, RECORD_CONTROLLER_MAX) || *(*at)++ != ' ' ||
		!record_number(at, RECORD_CGROUP_MAX, &n))
		return false;
	h->made = (unsigned)n;
	r->hierarchy_count++;
	return true;
}

int record_parse(const char *text, struct record *ret, struct err *e)
{
	const char *at = text;
	struct record r = {0};
	unsigned line = 1;

	if (strncmp(at, "mayfly-jail 1\n", 14) != 0)
		return err_set(e, -EINVAL, "it is no record of a jail");
	for (at += 14; *at; at++) {
		line++;
		if (*at == '\n')
			continue;
		if (!record_line(&at, &r) || *at != '\n')
			return err_set(e, -EINVAL, "line %u of it is not of a record", line);
	}
	if (r.hierarchy_count && !r.cgroup[0])
		return err_set(e, -EINVAL, "it has a hierarchy without a cgroup");
	*ret = r;
	return 0;
}
