/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the state file. See format.h. Every number is copied out, compared with what is left,
 * and only then used; the depth of nesting is that of our own tables.
 */
#include "snapshot/format_wire.h"

#include "vmm/base/check.h"

#include <errno.h>
#include <string.h>

struct span {
	const uint8_t *at;
	size_t len;
};

/* The next len bytes into *ret. False: there are fewer. */
static bool span_take(struct span *s, size_t len, struct span *ret)
{
	if (len > s->len)
		return false;
	*ret = (struct span){.at = s->at, .len = len};
	s->at += len;
	s->len -= len;
	return true;
}

static bool span_copy(struct span *s, void *ret, size_t len)
{
	struct span part;

	if (!span_take(s, len, &part))
		return false;
	memcpy(ret, part.at, len);
	return true;
}

/* Names come from the file: what is no plain character is not for a log. */
static void name_copy(char *ret, size_t room, const char *from, size_t len)
{
	size_t n = 0;

	for (; n < len && n + 1 < room && from[n]; n++) {
		ret[n] = from[n];
		if (ret[n] <= ' ' || ret[n] >= 0x7f)
			ret[n] = '?';
	}
	ret[n] = '\0';
}

static int header_check(const struct wire_header *h, size_t len, struct err *e)
{
	if (h->magic != SNAPSHOT_MAGIC)
		return err_set(e, -EINVAL, "this is not a state file of mayfly (magic 0x%llx)",
			(unsigned long long)h->magic);
	if (h->format != SNAPSHOT_FORMAT)
		return err_set(e, -EINVAL,
			"format %u is not known to this version, which reads format %u", h->format,
			SNAPSHOT_FORMAT);
	if (h->total != len)
		return err_set(e, -EINVAL,
			"the state file is cut off or has a tail: %zu bytes, %llu were written",
			len, (unsigned long long)h->total);
	if (h->schema == 0 || h->reserved != 0 || h->section_count > SNAPSHOT_SECTIONS_MAX)
		return err_set(e, -EINVAL, "the header is damaged");
	return 0;
}

static int section_read(
	struct snapshot_reader *r, struct span *rest, bool (*known)(uint32_t id), struct err *e)
{
	struct snapshot_section *s = &r->sections[r->section_count];
	struct wire_section w;
	struct span body;

	if (!span_copy(rest, &w, sizeof(w)) || !span_take(rest, w.len, &body))
		return err_set(e, -EINVAL, "section %u lies beyond the end", r->section_count);
	*s = (struct snapshot_section){.id = w.id,
		.instance = w.instance,
		.flags = w.flags,
		.len = w.len,
		.data = body.at};
	name_copy(s->name, sizeof(s->name), w.name, sizeof(w.name));
	if (w.id == 0 || snapshot_find(r, w.id, w.instance))
		return err_set(e, -EINVAL, "section %s[%u] is there twice", s->name, w.instance);
	if ((w.flags & SNAPSHOT_REQUIRED) && !known(w.id))
		return err_set(e, -EINVAL,
			"section %s (%u) is not known to this version, and the snapshot cannot be "
			"loaded without it; use the version that made it, or a newer one",
			s->name, w.id);
	r->section_count++;
	return 0;
}

int snapshot_open(struct snapshot_reader *r, const uint8_t *data, size_t len,
	bool (*known)(uint32_t id), struct err *e)
{
	struct span rest = {.at = data, .len = len}, tail;
	struct wire_header h;
	uint64_t crc;
	int rc;

	r->section_count = 0;
	if (len < sizeof(h) + sizeof(crc))
		return err_set(e, -EINVAL,
			"the state file is too short: %zu bytes, the least is %zu", len,
			sizeof(h) + sizeof(crc));
	CHECK(span_copy(&rest, &h, sizeof(h)));
	rc = header_check(&h, len, e);
	if (rc < 0)
		return rc;
	rest.len -= sizeof(crc);
	tail = (struct span){.at = rest.at + rest.len, .len = sizeof(crc)};
	CHECK(span_copy(&tail, &crc, sizeof(crc)));
	if (crc != snapshot_crc(0, data, len - sizeof(crc)))
		return err_set(e, -EINVAL, "the checksum is wrong: the state file is damaged");
	r->schema = h.schema;
	for (uint32_t i = 0; i < h.section_count; i++)
		if ((rc = section_read(r, &rest, known, e)) < 0)
			return rc;
	if (rest.len != 0)
		return err_set(e, -EINVAL, "%zu bytes follow the last section", rest.len);
	return 0;
}

const struct snapshot_section *snapshot_find(
	const struct snapshot_reader *r, uint32_t id, uint32_t instance)
{
	for (uint32_t i = 0; i < r->section_count; i++)
		if (r->sections[i].id == id && r->sections[i].instance == instance)
			return &r->sections[i];
	return NULL;
}

static int table_read(const struct field_table *t, struct span body, uint32_t schema, uint8_t *ret,
	struct err *e);

static int value_damaged(
	const struct field_table *t, const struct field *f, size_t len, struct err *e)
{
	return err_set(
		e, -EINVAL, "%s.%s has %zu bytes, which cannot be right", t->name, f->name, len);
}

static int structs_read(const struct field_table *t, const struct field *f, struct span value,
	uint32_t schema, uint8_t *ret, struct err *e)
{
	size_t all = value.len;

	if (f->count == 1)
		return table_read(f->nested, value, schema, ret, e);
	for (uint32_t i = 0; value.len > 0; i++) {
		struct span element;
		uint32_t len;
		int rc;

		if (i == f->count || !span_copy(&value, &len, sizeof(len)) ||
			!span_take(&value, len, &element))
			return value_damaged(t, f, all, e);
		rc = table_read(f->nested, element, schema, ret + (size_t)i * f->size, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int value_read(const struct field_table *t, const struct field *f, struct span value,
	uint32_t schema, uint8_t *ret, struct err *e)
{
	size_t full = (size_t)f->size * f->count;

	if (f->type == FIELD_TYPE_STRUCT)
		return structs_read(t, f, value, schema, ret, e);
	if (value.len > full || value.len % f->size != 0 || (f->count == 1 && value.len != full))
		return value_damaged(t, f, value.len, e);
	if (value.len > 0)
		memcpy(ret, value.at, value.len);
	return 0;
}

static const struct field *table_find(const struct field_table *t, uint16_t id)
{
	for (uint32_t i = 0; i < t->field_count; i++)
		if (t->fields[i].id == id)
			return &t->fields[i];
	return NULL;
}

/*
 * A field without a row. Older writers than we are wrote what has been removed since; a newer one
 * must have said that it can be left out.
 */
static int unknown_field(const struct field_table *t, const struct wire_field *w, const char *name,
	uint32_t schema, struct err *e)
{
	if (schema <= FIELD_SCHEMA_VERSION || !(w->flags & SNAPSHOT_REQUIRED))
		return 0;
	return err_set(e, -EINVAL,
		"%s.%s (field %u) is not known to this version (schema %d, the snapshot has %u); "
		"use the version that made it, or a newer one",
		t->name, name, w->id, FIELD_SCHEMA_VERSION, schema);
}

static int field_read(
	struct span *body, struct wire_field *ret, struct span *ret_value, char ret_name[static 64])
{
	struct span value, name;
	uint8_t len;

	ret_name[0] = '\0';
	if (!span_copy(body, ret, sizeof(*ret)) || !span_take(body, ret->len, &value))
		return -EINVAL;
	if (ret->flags & SNAPSHOT_NAMED) {
		if (!span_copy(&value, &len, 1) || !span_take(&value, len, &name))
			return -EINVAL;
		name_copy(ret_name, 64, (const char *)name.at, len);
	}
	*ret_value = value;
	return 0;
}

static int table_complete(
	const struct field_table *t, uint64_t seen, uint32_t schema, struct err *e)
{
	for (uint32_t i = 0; i < t->field_count; i++)
		if (t->fields[i].since <= schema && !(seen >> i & 1))
			return err_set(e, -EINVAL, "%s.%s is missing", t->name, t->fields[i].name);
	return 0;
}

static int table_read(
	const struct field_table *t, struct span body, uint32_t schema, uint8_t *ret, struct err *e)
{
	uint64_t seen = 0;
	char name[64];
	int rc;

	CHECK(t->field_count <= 64);
	while (body.len > 0) {
		const struct field *f;
		struct wire_field w;
		struct span value;

		if (field_read(&body, &w, &value, name) < 0)
			return err_set(e, -EINVAL, "%s: a field lies beyond the end", t->name);
		f = table_find(t, w.id);
		if (!f) {
			if ((rc = unknown_field(t, &w, name, schema, e)) < 0)
				return rc;
			continue;
		}
		if (seen >> (f - t->fields) & 1)
			return err_set(e, -EINVAL, "%s.%s is there twice", t->name, f->name);
		seen |= (uint64_t)1 << (f - t->fields);
		if ((rc = value_read(t, f, value, schema, ret + f->offset, e)) < 0)
			return rc;
	}
	return table_complete(t, seen, schema, e);
}

int snapshot_get_table(const struct snapshot_reader *r, uint32_t id, uint32_t instance,
	const struct field_table *t, void *ret, struct err *e)
{
	const struct snapshot_section *s = snapshot_find(r, id, instance);
	int rc;

	if (!s)
		return err_set(e, -ENOENT, "section %s[%u] is missing", t->name, instance);
	memset(ret, 0, t->size);
	rc = table_read(t, (struct span){.at = s->data, .len = s->len}, r->schema, ret, e);
	return rc < 0 ? rc : field_table_check(t, ret, e);
}
