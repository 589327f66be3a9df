/* SPDX-License-Identifier: Apache-2.0 */
/* Walking state tables. See field.h. */
#include "vmm/base/field.h"

#include <errno.h>
#include <string.h>

static bool field_sound(const struct field_table *t, uint32_t i, struct err *e)
{
	const struct field *f = &t->fields[i];
	uint64_t bytes = (uint64_t)f->size * f->count;

	if (f->id == 0 || f->since == 0 || f->since > FIELD_SCHEMA_VERSION || f->count == 0) {
		(void)err_set(
			e, -EINVAL, "%s.%s: id, since or count is out of range", t->name, f->name);
		return false;
	}
	if (!in_range(f->offset, bytes, t->size)) {
		(void)err_set(e, -EINVAL, "%s.%s lies outside its struct", t->name, f->name);
		return false;
	}
	if (f->type == FIELD_TYPE_STRUCT) {
		if (!f->nested || f->nested->size != f->size) {
			(void)err_set(e, -EINVAL, "%s.%s: wrong nested table", t->name, f->name);
			return false;
		}
		if (!field_table_sound(f->nested, e))
			return false;
	}
	for (uint32_t j = 0; j < i; j++) {
		const struct field *g = &t->fields[j];
		uint64_t g_end = g->offset + (uint64_t)g->size * g->count;

		if (g->id == f->id || (f->offset < g_end && g->offset < f->offset + bytes)) {
			(void)err_set(e, -EINVAL, "%s: %s and %s share an id or bytes", t->name,
				g->name, f->name);
			return false;
		}
	}
	return true;
}

bool field_table_sound(const struct field_table *t, struct err *e)
{
	uint64_t covered = 0;

	for (uint32_t i = 0; i < t->field_count; i++) {
		if (!field_sound(t, i, e))
			return false;
		covered += (uint64_t)t->fields[i].size * t->fields[i].count;
	}
	if (covered != t->size) {
		(void)err_set(e, -EINVAL, "%s: %llu of %u bytes have no field", t->name,
			(unsigned long long)(t->size - covered), t->size);
		return false;
	}
	return true;
}

static uint64_t field_load(const struct field *f, const unsigned char *at)
{
	uint64_t v = 0;

	memcpy(&v, at, f->size); /* x86-64 is little endian */
	return v;
}

int field_table_check(const struct field_table *t, const void *state, struct err *e)
{
	for (uint32_t i = 0; i < t->field_count; i++) {
		const struct field *f = &t->fields[i];

		if (f->type != FIELD_TYPE_STRUCT && !f->max)
			continue; /* any value is legal: no need to look at each byte of an array */
		for (uint32_t k = 0; k < f->count; k++) {
			const unsigned char *at =
				(const unsigned char *)state + f->offset + (size_t)k * f->size;

			if (f->type == FIELD_TYPE_STRUCT) {
				int rc = field_table_check(f->nested, at, e);

				if (rc < 0)
					return e ? err_wrap(e, "%s.%s", t->name, f->name) : rc;
			} else if (field_load(f, at) > f->max) {
				return err_set(e, -EINVAL,
					"%s.%s is %llu; the largest legal value is %llu", t->name,
					f->name, (unsigned long long)field_load(f, at),
					(unsigned long long)f->max);
			}
		}
	}
	return t->check ? t->check(state, e) : 0;
}
