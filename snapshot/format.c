/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the state file, and its checksum. See format.h; the reader is format_read.c. */
#include "snapshot/format_wire.h"

#include "vmm/base/check.h"

#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>

uint64_t snapshot_crc(uint64_t crc, const void *data, size_t len)
{
	return lzma_crc64(data, len, crc);
}

/* Room for len more bytes, or NULL; the file is then too large, or memory is short. */
static uint8_t *writer_take(struct snapshot_writer *w, size_t len)
{
	uint8_t *at;

	if (w->failed || len > SNAPSHOT_FILE_MAX - w->len) {
		w->failed = true;
		return NULL;
	}
	if (w->len + len > w->room) {
		size_t room = MAX(w->room * 2, MAX(w->len + len, (size_t)65536));
		uint8_t *bigger = realloc(w->data, room);

		if (!bigger) {
			w->failed = true;
			return NULL;
		}
		w->data = bigger;
		w->room = room;
	}
	at = w->data + w->len;
	w->len += len;
	return at;
}

static void writer_put(struct snapshot_writer *w, const void *data, size_t len)
{
	uint8_t *at = writer_take(w, len);

	if (at && len > 0)
		memcpy(at, data, len);
}

/* Sets the u32 at an earlier place to what was written since the place `from`. */
static void writer_set_length(struct snapshot_writer *w, size_t at, size_t from)
{
	uint32_t len = (uint32_t)(w->len - from);

	if (!w->failed)
		memcpy(w->data + at, &len, sizeof(len));
}

void snapshot_begin(struct snapshot_writer *w)
{
	struct wire_header h = {
		.magic = SNAPSHOT_MAGIC,
		.format = SNAPSHOT_FORMAT,
		.schema = FIELD_SCHEMA_VERSION,
	};

	*w = (struct snapshot_writer){0};
	writer_put(w, &h, sizeof(h));
}

static size_t writer_begin_section(
	struct snapshot_writer *w, uint32_t id, uint32_t instance, uint32_t flags, const char *name)
{
	struct wire_section s = {.id = id, .instance = instance, .flags = flags};
	size_t at = w->len;

	CHECK(id != 0);
	memcpy(s.name, name, strnlen(name, sizeof(s.name)));
	writer_put(w, &s, sizeof(s));
	w->section_count++;
	return at;
}

static void writer_end_section(struct snapshot_writer *w, size_t at)
{
	writer_set_length(
		w, at + offsetof(struct wire_section, len), at + sizeof(struct wire_section));
}

void snapshot_put_bytes(struct snapshot_writer *w, uint32_t id, uint32_t instance, uint32_t flags,
	const char *name, const void *data, size_t len)
{
	size_t at = writer_begin_section(w, id, instance, flags, name);

	writer_put(w, data, len);
	writer_end_section(w, at);
}

static bool bytes_are_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/* Elements up to the last one that is not zero; a scalar is always there. */
static uint32_t field_used(const struct field *f, const uint8_t *at)
{
	uint32_t count = f->count;

	if (count == 1)
		return 1;
	while (count > 0 && bytes_are_zero(at + (size_t)(count - 1) * f->size, f->size))
		count--;
	return count;
}

static void writer_put_fields(
	struct snapshot_writer *w, const struct field_table *t, const uint8_t *state);

static void writer_put_value(struct snapshot_writer *w, const struct field *f, const uint8_t *at)
{
	uint32_t count = field_used(f, at);

	if (f->type != FIELD_TYPE_STRUCT) {
		writer_put(w, at, (size_t)count * f->size);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		size_t head = w->len;

		if (f->count > 1)
			(void)writer_take(w, sizeof(uint32_t));
		writer_put_fields(w, f->nested, at + (size_t)i * f->size);
		if (f->count > 1)
			writer_set_length(w, head, head + sizeof(uint32_t));
	}
}

/* A field of the first schema is known to every reader; later ones say what they are called. */
static void writer_put_fields(
	struct snapshot_writer *w, const struct field_table *t, const uint8_t *state)
{
	for (uint32_t i = 0; i < t->field_count; i++) {
		const struct field *f = &t->fields[i];
		const uint8_t *at = state + f->offset;
		bool zero = bytes_are_zero(at, (size_t)f->size * f->count);
		struct wire_field h = {.id = f->id};
		size_t head = w->len;

		h.flags = (uint16_t)((f->optional || zero ? 0 : SNAPSHOT_REQUIRED) |
				     (f->since > 1 ? SNAPSHOT_NAMED : 0));
		writer_put(w, &h, sizeof(h));
		if (h.flags & SNAPSHOT_NAMED) {
			uint8_t len = (uint8_t)MIN(strlen(f->name), (size_t)UINT8_MAX);

			writer_put(w, &len, 1);
			writer_put(w, f->name, len);
		}
		writer_put_value(w, f, at);
		writer_set_length(w, head + offsetof(struct wire_field, len), head + sizeof(h));
	}
}

void snapshot_put_table(struct snapshot_writer *w, uint32_t id, uint32_t instance,
	const struct field_table *t, const void *state)
{
	size_t at = writer_begin_section(w, id, instance, SNAPSHOT_REQUIRED, t->name);

	writer_put_fields(w, t, state);
	writer_end_section(w, at);
}

int snapshot_finish(struct snapshot_writer *w, uint8_t **ret_data, size_t *ret_len, struct err *e)
{
	uint64_t crc = 0, total = w->len + sizeof(crc);

	CHECK(w->section_count <= SNAPSHOT_SECTIONS_MAX);
	if (!w->failed) {
		memcpy(w->data + offsetof(struct wire_header, total), &total, sizeof(total));
		memcpy(w->data + offsetof(struct wire_header, section_count), &w->section_count,
			sizeof(w->section_count));
		crc = snapshot_crc(0, w->data, w->len);
	}
	writer_put(w, &crc, sizeof(crc));
	if (w->failed) {
		free(w->data);
		*w = (struct snapshot_writer){0};
		return err_set(e, -ENOMEM, "no memory for the state of the machine");
	}
	*ret_data = w->data;
	*ret_len = w->len;
	*w = (struct snapshot_writer){0};
	return 0;
}
