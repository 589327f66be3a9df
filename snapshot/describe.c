/* SPDX-License-Identifier: Apache-2.0 */
/* Printing of state tables. See describe.h. */
#include "snapshot/describe.h"

#include "snapshot/load.h"
#include "vmm/base/check.h"
#include "vmm/core/state_list.h"

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

int describe_snapshot_state(FILE *out, struct err *e)
{
	const struct field_table *all[DESCRIBE_TABLES_MAX];
	uint32_t count = 0;

	CHECK(state_list_count + snapshot_table_count <= NELEM(all));
	for (uint32_t i = 0; i < state_list_count; i++)
		all[count++] = state_list[i];
	for (uint32_t i = 0; i < snapshot_table_count; i++)
		all[count++] = snapshot_tables[i];
	return describe_state(out, all, count, e);
}

/* A state file may hold anything: what is no plain character is not for a terminal. */
static void describe_text(FILE *out, const void *text, size_t size)
{
	const char *c = text;

	for (size_t i = 0; i < size && c[i]; i++)
		(void)fputc(c[i] >= ' ' && c[i] < 0x7f ? c[i] : '?', out);
}

#define DESCRIBE_TEXT(out, member) describe_text((out), (member), sizeof(member))

static void describe_info(FILE *out, const struct snapshot_info *info)
{
	(void)fputs("monitor ", out);
	DESCRIBE_TEXT(out, info->monitor);
	(void)fputs("\ncpu ", out);
	DESCRIBE_TEXT(out, info->cpu_vendor);
	(void)fprintf(out, ", signature 0x%x: ", info->cpu_signature);
	DESCRIBE_TEXT(out, info->cpu_brand);
	(void)fprintf(out, "\nvcpus %u\nmemory %llu MiB\n", info->vcpu_count,
		(unsigned long long)(info->mem_size / MIB));
	for (uint32_t i = 0; i < info->device_count; i++) {
		(void)fputs("device ", out);
		DESCRIBE_TEXT(out, info->devices[i].class_name);
		(void)fputc(' ', out);
		DESCRIBE_TEXT(out, info->devices[i].id);
		(void)fputc('\n', out);
	}
}

int describe_file(FILE *out, const char *path, struct err *e)
{
	static struct snapshot_load l; /* large */
	const struct snapshot_load_options o = {.state_path = path};
	int rc = snapshot_load_open(&l, &o, e);

	if (rc < 0)
		return rc;
	rc = snapshot_verify(&l.reader, e);
	if (rc < 0) {
		snapshot_load_close(&l);
		return err_wrap(e, "%s", path);
	}
	(void)fprintf(out, "v%u.%u.0\n", SNAPSHOT_FORMAT, l.reader.schema);
	describe_info(out, &l.info);
	for (uint32_t i = 0; i < l.reader.section_count; i++)
		(void)fprintf(out, "section %s[%u] %u bytes\n", l.reader.sections[i].name,
			l.reader.sections[i].instance, l.reader.sections[i].len);
	(void)fputs("config ", out);
	describe_text(out, l.config, strlen(l.config));
	(void)fputc('\n', out);
	snapshot_load_close(&l);
	return fflush(out) == 0 && !ferror(out) ? 0 : err_set(e, -EIO, "cannot write");
}
