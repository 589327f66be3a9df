/* SPDX-License-Identifier: Apache-2.0 */
/* The table of endpoints as text, for --describe-api. See endpoint.h. */
#include "api/endpoint.h"
#include "vmm/base/check.h"

#include <limits.h>
#include <stdio.h>

static void describe_rows(FILE *f, const struct schema *s, const char *prefix);

static void describe_range(FILE *f, const char *what, const struct schema_row *r)
{
	(void)fprintf(
		f, " %s %llu..%llu", what, (unsigned long long)r->min, (unsigned long long)r->max);
}

static void describe_type(FILE *f, const struct schema_row *r)
{
	CHECK(r->type <= SCHEMA_TYPE_LATER);
	switch ((enum schema_type)r->type) {
	case SCHEMA_TYPE_STRING:
		describe_range(f, r->flags & SCHEMA_ID ? "id" : "string", r);
		return;
	case SCHEMA_TYPE_BOOL:
		(void)fprintf(f, " boolean");
		return;
	case SCHEMA_TYPE_UINT:
		describe_range(f, "integer", r);
		return;
	case SCHEMA_TYPE_ENUM:
		for (const struct schema_name *n = r->names; n->name; n++)
			(void)fprintf(f, "%s%s", n == r->names ? " enum " : ",", n->name);
		return;
	case SCHEMA_TYPE_OBJECT:
		(void)fprintf(f, " object");
		return;
	case SCHEMA_TYPE_ARRAY:
		(void)fprintf(f, " array 0..%llu", (unsigned long long)r->max);
		return;
	case SCHEMA_TYPE_CUSTOM:
		(void)fprintf(f, " %s", r->custom->what);
		return;
	case SCHEMA_TYPE_LATER:
		(void)fprintf(f, " later");
		return;
	}
}

static void describe_row(FILE *f, const struct schema_row *r, const char *prefix)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s%s", prefix, r->key);
	(void)fprintf(f, "  %s", path);
	describe_type(f, r);
	(void)fprintf(f, "%s%s%s%s\n", r->nested && (r->nested->flags & SCHEMA_OPEN) ? " open" : "",
		r->flags & SCHEMA_REQUIRED ? " required" : "",
		r->flags & SCHEMA_NULLABLE ? " nullable" : "",
		r->flags & SCHEMA_DEPRECATED ? " deprecated" : "");
	if (!r->nested)
		return;
	(void)snprintf(path, sizeof(path), "%s%s%s", prefix, r->key,
		r->type == SCHEMA_TYPE_ARRAY ? "[]." : ".");
	describe_rows(f, r->nested, path);
}

static void describe_rows(FILE *f, const struct schema *s, const char *prefix)
{
	for (uint32_t i = 0; i < s->row_count; i++)
		describe_row(f, &s->rows[i], prefix);
}

void endpoint_describe(FILE *f)
{
	static const char *const phases[] = {"", "pre", "post", "both"};
	static const char *const bodies[] = {"no-body", "body", "body-optional"};

	for (uint32_t i = 0; i < endpoint_count; i++) {
		const struct endpoint *p = &endpoint_table[i];

		(void)fprintf(f, "%s %s %s %s%s%s\n", p->method, p->path, phases[p->phases],
			bodies[p->body], p->later ? " later: " : "", p->later ? p->later : "");
		if (p->schema)
			describe_rows(f, p->schema, "");
	}
}
