/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly snapshot diff`: state files field by field, memory files page by page. See snapshot.h. */
#include "cli/cli.h"
#include "cli/snapshot.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#define PATH_MAX_LEN 256
#define STATE_WORDS  8192 /* of the largest state struct: snapshot_verify has the same room */

struct diff {
	bool text;
	json_t *fields; /* owned arrays */
	json_t *runs;
	uint64_t field_count, page_count;
	uint64_t run_start, run_end; /* of pages that differ, not told yet */
};

/* One difference; a or b NULL: not there. */
static void diff_tell(struct diff *d, const char *what, const char *a, const char *b)
{
	d->field_count++;
	if (d->text)
		printf("%s: %s, %s\n", what, a ? a : "missing", b ? b : "missing");
	else
		(void)json_array_append_new(
			d->fields, json_pack("{s:s, s:s?, s:s?}", "field", what, "a", a, "b", b));
}

static uint64_t element_value(const struct field *f, const uint8_t *state, uint32_t index)
{
	uint64_t v = 0;

	memcpy(&v, state + f->offset + (size_t)index * f->size, f->size); /* little endian */
	return v;
}

static void diff_struct(struct diff *d, const char *path, const struct field_table *t,
	const uint8_t *a, const uint8_t *b);

static void diff_integers(
	struct diff *d, const char *path, const struct field *f, const uint8_t *a, const uint8_t *b)
{
	char where[PATH_MAX_LEN], left[64], right[64];
	uint32_t first = f->count, count = 0;

	for (uint32_t i = f->count; i-- > 0;)
		if (element_value(f, a, i) != element_value(f, b, i)) {
			first = i;
			count++;
		}
	if (count == 0)
		return;
	(void)snprintf(where, sizeof(where), "%s.%s", path, f->name);
	(void)snprintf(left, sizeof(left), "0x%" PRIx64, element_value(f, a, first));
	(void)snprintf(right, sizeof(right), "0x%" PRIx64, element_value(f, b, first));
	if (f->count > 1)
		(void)snprintf(where, sizeof(where), "%s.%s[%u] (%u of %u differ)", path, f->name,
			first, count, f->count);
	diff_tell(d, where, left, right);
}

static void diff_struct(struct diff *d, const char *path, const struct field_table *t,
	const uint8_t *a, const uint8_t *b)
{
	for (uint32_t i = 0; i < t->field_count; i++) {
		const struct field *f = &t->fields[i];

		if (f->type != FIELD_TYPE_STRUCT) {
			diff_integers(d, path, f, a, b);
			continue;
		}
		for (uint32_t k = 0; k < f->count; k++) {
			size_t at = f->offset + (size_t)k * f->size;
			char where[PATH_MAX_LEN];

			(void)snprintf(where, sizeof(where), f->count > 1 ? "%s.%s[%u]" : "%s.%s",
				path, f->name, k);
			diff_struct(d, where, f->nested, a + at, b + at);
		}
	}
}

/* Both have been verified. */
static void diff_section(struct diff *d, const struct snapshot_load *a,
	const struct snapshot_load *b, const struct snapshot_section *s)
{
	static uint64_t left[STATE_WORDS], right[STATE_WORDS];
	const struct field_table *t = snapshot_section_table(s->id);
	const struct snapshot_section *other = snapshot_find(&b->reader, s->id, s->instance);
	char path[64], size_a[32], size_b[32];
	struct err e;

	(void)snprintf(path, sizeof(path), "%s[%u]", s->name, s->instance);
	(void)snprintf(size_a, sizeof(size_a), "%u bytes", s->len);
	if (!other) {
		diff_tell(d, path, size_a, NULL);
		return;
	}
	(void)snprintf(size_b, sizeof(size_b), "%u bytes", other->len);
	if (s->len == other->len && memcmp(s->data, other->data, s->len) == 0)
		return;
	if (t && t->size <= sizeof(left) &&
		snapshot_get_table(&a->reader, s->id, s->instance, t, left, &e) == 0 &&
		snapshot_get_table(&b->reader, s->id, s->instance, t, right, &e) == 0)
		diff_struct(d, path, t, (const uint8_t *)left, (const uint8_t *)right);
	else
		diff_tell(d, path, size_a, size_b);
}

static int diff_states(struct diff *d, const char *path_a, const char *path_b, struct err *e)
{
	static struct snapshot_load a, b; /* large */
	int rc = state_open(&a, path_a, e);

	if (rc < 0)
		return rc;
	rc = state_open(&b, path_b, e);
	for (uint32_t i = 0; rc == 0 && i < a.reader.section_count; i++)
		diff_section(d, &a, &b, &a.reader.sections[i]);
	for (uint32_t i = 0; rc == 0 && i < b.reader.section_count; i++) {
		const struct snapshot_section *s = &b.reader.sections[i];
		char path[64];

		(void)snprintf(path, sizeof(path), "%s[%u]", s->name, s->instance);
		if (!snapshot_find(&a.reader, s->id, s->instance))
			diff_tell(d, path, NULL, "there");
	}
	if (rc == 0)
		snapshot_load_close(&b);
	snapshot_load_close(&a);
	return rc;
}

static void diff_end_run(struct diff *d)
{
	const uint64_t first = d->run_start / GMEM_PAGE_SIZE;
	const uint64_t count = (d->run_end - d->run_start) / GMEM_PAGE_SIZE;

	if (count == 0)
		return;
	d->page_count += count;
	if (d->text)
		printf("memory at 0x%" PRIx64 ": %" PRIu64 " page%s\n", d->run_start, count,
			count == 1 ? "" : "s");
	else
		(void)json_array_append_new(
			d->runs, json_pack("{s:I, s:I}", "page", (json_int_t)first, "count",
					 (json_int_t)count));
	d->run_start = d->run_end;
}

static void diff_page(struct diff *d, uint64_t at)
{
	if (at != d->run_end) {
		diff_end_run(d);
		d->run_start = at;
	}
	d->run_end = at + GMEM_PAGE_SIZE;
}

/* Where the data of either goes on. 1, 0, or -errno. */
static int diff_next(const struct mem_file *a, const struct mem_file *b, uint64_t from,
	uint64_t *ret_start, struct err *e)
{
	uint64_t start_a = UINT64_MAX, start_b = UINT64_MAX, end;
	int rc = mem_next(a, from, &start_a, &end, e);

	if (rc >= 0)
		rc = mem_next(b, from, &start_b, &end, e);
	if (rc < 0)
		return rc;
	*ret_start = MIN(start_a, start_b);
	return *ret_start != UINT64_MAX;
}

static int diff_pages(
	struct diff *d, const struct mem_file *a, const struct mem_file *b, struct err *e)
{
	CLEANUP_FREE
	uint8_t *left = malloc(MEM_CHUNK);
	CLEANUP_FREE
	uint8_t *right = malloc(MEM_CHUNK);
	uint64_t at = 0;
	int rc;

	if (!left || !right)
		return err_set_os(e, -ENOMEM, "diff");
	if (a->size != b->size)
		return err_set(e, -EINVAL, "%s has %" PRIu64 " bytes, %s %" PRIu64, a->path,
			a->size, b->path, b->size);
	while ((rc = diff_next(a, b, at, &at, e)) == 1) {
		size_t n = (size_t)MIN((uint64_t)MEM_CHUNK, a->size - at);

		if ((rc = io_pread_full(a->fd, left, n, at)) < 0 ||
			(rc = io_pread_full(b->fd, right, n, at)) < 0)
			return err_set_os(e, rc, "cannot read the memory files");
		for (size_t i = 0; i < n; i += GMEM_PAGE_SIZE)
			if (memcmp(left + i, right + i, GMEM_PAGE_SIZE) != 0)
				diff_page(d, at + i);
		at += n;
		progress_show(at, a->size);
	}
	diff_end_run(d);
	return rc;
}

static int diff_memories(struct diff *d, const char *path_a, const char *path_b, struct err *e)
{
	struct mem_file a, b;
	int rc = mem_open(&a, path_a, O_RDONLY, e);

	if (rc < 0)
		return rc;
	rc = mem_open(&b, path_b, O_RDONLY, e);
	if (rc == 0) {
		rc = diff_pages(d, &a, &b, e);
		mem_close(&b);
	}
	mem_close(&a);
	return rc;
}

static int diff_report(struct diff *d)
{
	const bool same = d->field_count == 0 && d->page_count == 0;
	json_t *all;

	if (d->text) {
		if (same)
			puts("no difference");
		else
			printf("%" PRIu64 " fields, %" PRIu64 " pages differ\n", d->field_count,
				d->page_count);
		return cli_finish("snapshot", same ? CLI_OK : CLI_FAILED);
	}
	all = json_pack("{s:O, s:O, s:I}", "fields", d->fields, "memory", d->runs, "pages",
		(json_int_t)d->page_count);
	if (!all || json_dumpf(all, stdout, JSON_INDENT(2)) < 0) {
		json_decref(all);
		cli_say("snapshot", "cannot write JSON");
		return CLI_USAGE;
	}
	putchar('\n');
	json_decref(all);
	return cli_finish("snapshot", same ? CLI_OK : CLI_FAILED);
}

/* As diff(1): 1 if something differs, 2 if that could not be found out. */
int snapshot_diff_main(const struct snapshot_options *o, char **args, int count)
{
	struct diff d = {.text = !o->json};
	struct err e;
	int rc = 0, status;

	if (count == 3 || (count == 4 && o->memory_only))
		return cli_usage("snapshot",
			"diff takes two state files, with --memory two memory files, or two state "
			"files and then two memory files");
	d.fields = json_array();
	d.runs = json_array();
	if (!o->memory_only)
		rc = diff_states(&d, args[0], args[1], &e);
	if (rc == 0 && (o->memory_only || count == 4))
		rc = diff_memories(&d, args[count - 2], args[count - 1], &e);
	status = rc < 0 ? snapshot_failed(&e, CLI_USAGE) : diff_report(&d);
	json_decref(d.fields);
	json_decref(d.runs);
	return status;
}
