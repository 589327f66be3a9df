/* SPDX-License-Identifier: Apache-2.0 */
/* The walkers over schema tables that start from the struct: printing and releasing. See schema.h. */
#include "api/schema.h"

#include "vmm/base/check.h"

#include <stdlib.h>
#include <string.h>

static uint64_t schema_fetch(const struct schema_row *r, const char *at)
{
	uint64_t value = 0;

	memcpy(&value, at, r->size); /* x86-64 is little endian */
	return value;
}

static bool schema_given(const struct schema_row *r, const char *base)
{
	bool given = true;

	if (r->flags & SCHEMA_PRESENCE)
		memcpy(&given, base + r->aux_offset, sizeof(given));
	return given;
}

static uint32_t schema_count(const struct schema_row *r, const char *base)
{
	uint32_t count;

	memcpy(&count, base + r->aux_offset, sizeof(count));
	return count;
}

static json_t *schema_print_array(const struct schema_row *r, const char *base)
{
	json_t *array = json_array();
	uint32_t count = schema_count(r, base);

	for (uint32_t i = 0; i < count && array; i++) {
		if (json_array_append_new(array,
			    schema_print(r->nested, base + r->offset + (size_t)i * r->size)) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

/* One that must be there and cannot be null is printed empty before it was given. */
static json_t *schema_print_string(const struct schema_row *r, const char *at)
{
	const char *text;

	memcpy(&text, at, sizeof(text));
	if (text)
		return json_string(text);
	return (r->flags & (SCHEMA_REQUIRED | SCHEMA_NULLABLE)) == SCHEMA_REQUIRED ? json_string("")
										   : json_null();
}

static json_t *schema_print_uint(const struct schema_row *r, const char *at)
{
	uint64_t value = schema_fetch(r, at);

	return value == 0 && (r->flags & SCHEMA_ZERO_NULL) ? json_null()
							   : json_integer((json_int_t)value);
}

static json_t *schema_print_row(const struct schema_row *r, const char *base)
{
	const char *at = base + r->offset;

	CHECK(r->type <= SCHEMA_TYPE_LATER);
	if (r->flags & SCHEMA_HIDDEN)
		return json_null();
	switch ((enum schema_type)r->type) {
	case SCHEMA_TYPE_STRING:
		return schema_print_string(r, at);
	case SCHEMA_TYPE_BOOL:
		return json_boolean(schema_fetch(r, at) != 0);
	case SCHEMA_TYPE_UINT:
		return schema_print_uint(r, at);
	case SCHEMA_TYPE_ENUM:
		for (const struct schema_name *n = r->names; n->name; n++)
			if (n->value == schema_fetch(r, at))
				return json_string(n->name);
		return json_null();
	case SCHEMA_TYPE_OBJECT:
		return schema_given(r, base) ? schema_print(r->nested, at) : json_null();
	case SCHEMA_TYPE_ARRAY:
		return schema_print_array(r, base);
	case SCHEMA_TYPE_CUSTOM:
		return r->custom->print(at);
	case SCHEMA_TYPE_LATER:
		return r->flags & SCHEMA_LIST ? json_array() : json_null();
	}
	return NULL; /* not reached: CHECK above */
}

/* Stored nowhere, or nobody is to see it. */
static bool schema_skips(const struct schema_row *r, const char *base)
{
	bool stored = r->type == SCHEMA_TYPE_LATER || r->size != 0 ||
		      (r->type == SCHEMA_TYPE_OBJECT && r->nested);
	const char *text;

	if (!stored || (r->flags & SCHEMA_SILENT))
		return true;
	if (!(r->flags & SCHEMA_OMIT))
		return false;
	if (r->type != SCHEMA_TYPE_STRING)
		return schema_fetch(r, base + r->offset) == r->def;
	memcpy(&text, base + r->offset, sizeof(text));
	return !text;
}

json_t *schema_print(const struct schema *s, const void *base)
{
	json_t *obj = json_object();

	for (uint32_t i = 0; i < s->row_count && obj; i++) {
		const struct schema_row *r = &s->rows[i];

		if (schema_skips(r, base))
			continue;
		if (json_object_set_new(obj, r->key, schema_print_row(r, base)) < 0) {
			json_decref(obj);
			obj = NULL;
		}
	}
	return obj;
}

static void schema_release_string(char *at)
{
	char *text;

	memcpy(&text, at, sizeof(text));
	free(text);
	text = NULL;
	memcpy(at, &text, sizeof(text));
}

void schema_release(const struct schema *s, void *base)
{
	char *bytes = base;

	for (uint32_t i = 0; i < s->row_count; i++) {
		const struct schema_row *r = &s->rows[i];
		char *at = bytes + r->offset;

		if (r->type == SCHEMA_TYPE_STRING && r->size)
			schema_release_string(at);
		else if (r->type == SCHEMA_TYPE_CUSTOM && r->custom->release)
			r->custom->release(at);
		else if (r->type == SCHEMA_TYPE_OBJECT)
			schema_release(r->nested, at);
		else if (r->type == SCHEMA_TYPE_ARRAY && r->size)
			for (uint32_t k = 0; k < schema_count(r, bytes); k++)
				schema_release(r->nested, at + (size_t)k * r->size);
	}
}

bool schema_uses_deprecated(const struct schema *s, const json_t *obj)
{
	for (uint32_t i = 0; i < s->row_count && json_is_object(obj); i++) {
		const struct schema_row *r = &s->rows[i];
		const json_t *v = json_object_get(obj, r->key);

		if (!v || json_is_null(v))
			continue;
		if ((r->flags & SCHEMA_DEPRECATED) ||
			(r->type == SCHEMA_TYPE_OBJECT && schema_uses_deprecated(r->nested, v)))
			return true;
	}
	return false;
}
