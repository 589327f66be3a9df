/* SPDX-License-Identifier: Apache-2.0 */
/* Printing of state tables. See describe.h. */
#include "snapshot/describe.h"

#include "vmm/base/check.h"

#include <errno.h>
#include <string.h>

struct describe {
	FILE *out;
	uint32_t done_count;
	const struct field_table *done[DESCRIBE_TABLES_MAX];
};

static const char *describe_type(const struct field *f)
{
	switch ((enum field_type)f->type) {
	case FIELD_TYPE_U8:
		return "u8";
	case FIELD_TYPE_U16:
		return "u16";
	case FIELD_TYPE_U32:
		return "u32";
	case FIELD_TYPE_U64:
		return "u64";
	case FIELD_TYPE_STRUCT:
		return f->nested->name;
	}
	return "?";
}

/* True if t was printed before. Tables nest by pointer, so the same one is met again and again. */
static bool describe_seen(struct describe *d, const struct field_table *t)
{
	for (uint32_t i = 0; i < d->done_count; i++) {
		if (d->done[i] == t)
			return true;
		CHECK(strcmp(d->done[i]->name, t->name) != 0);
	}
	CHECK(d->done_count < DESCRIBE_TABLES_MAX);
	d->done[d->done_count++] = t;
	return false;
}

static void describe_table(struct describe *d, const struct field_table *t)
{
	if (describe_seen(d, t))
		return;
	for (uint32_t i = 0; i < t->field_count; i++)
		if (t->fields[i].type == FIELD_TYPE_STRUCT)
			describe_table(d, t->fields[i].nested);
	(void)fprintf(d->out, "table %s size=%u\n", t->name, t->size);
	for (uint32_t i = 0; i < t->field_count; i++) {
		const struct field *f = &t->fields[i];

		(void)fprintf(d->out, "%s.%s id=%u since=%u type=%s count=%u max=%llu\n", t->name,
			f->name, f->id, f->since, describe_type(f), f->count,
			(unsigned long long)f->max);
	}
}

int describe_state(
	FILE *out, const struct field_table *const *tables, uint32_t count, struct err *e)
{
	struct describe d = {.out = out};

	for (uint32_t i = 0; i < count; i++)
		if (!field_table_sound(tables[i], e))
			return -EINVAL;
	(void)fprintf(out, "schema %d\n", FIELD_SCHEMA_VERSION);
	for (uint32_t i = 0; i < count; i++)
		describe_table(&d, tables[i]);
	if (fflush(out) != 0 || ferror(out))
		return err_set(e, -EIO, "cannot write the state schema");
	return 0;
}
