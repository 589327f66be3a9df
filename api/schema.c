/* SPDX-License-Identifier: Apache-2.0 */
/* The two walkers over schema tables. See schema.h. */
#include "api/schema.h"

#include "vmm/base/check.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SCHEMA_PATH_SIZE    160
#define SCHEMA_QUOTE_SIZE   100
#define SCHEMA_WARNINGS_MAX 16

/* Text of the file as it may appear in a message: short, and without control characters. */
static const char *schema_quote(char buf[SCHEMA_QUOTE_SIZE], const char *text)
{
	if (strnlen(text, SCHEMA_QUOTE_SIZE) < SCHEMA_QUOTE_SIZE)
		(void)snprintf(buf, SCHEMA_QUOTE_SIZE, "%s", text);
	else
		(void)snprintf(buf, SCHEMA_QUOTE_SIZE, "%.*s...", SCHEMA_QUOTE_SIZE - 4, text);
	for (char *p = buf; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return buf;
}

/* Refuses a value of the wrong JSON type. */
static int schema_bad_type(const json_t *v, const char *path, const char *expected, struct err *e)
{
	char text[SCHEMA_QUOTE_SIZE];

	switch (json_typeof(v)) {
	case JSON_STRING:
		return err_set(e, -EINVAL, "%s: invalid type: string \"%s\", expected %s", path,
			schema_quote(text, json_string_value(v)), expected);
	case JSON_INTEGER:
		return err_set(e, -EINVAL, "%s: invalid type: integer %lld, expected %s", path,
			(long long)json_integer_value(v), expected);
	case JSON_REAL:
		return err_set(e, -EINVAL, "%s: invalid type: floating point %g, expected %s", path,
			json_real_value(v), expected);
	case JSON_TRUE:
	case JSON_FALSE:
		return err_set(e, -EINVAL, "%s: invalid type: boolean %s, expected %s", path,
			json_is_true(v) ? "true" : "false", expected);
	case JSON_NULL:
		return err_set(e, -EINVAL, "%s: invalid type: null, expected %s", path, expected);
	case JSON_OBJECT:
		return err_set(e, -EINVAL, "%s: invalid type: object, expected %s", path, expected);
	case JSON_ARRAY:
		break;
	}
	return err_set(e, -EINVAL, "%s: invalid type: array, expected %s", path, expected);
}

static void schema_store(const struct schema_row *r, void *at, uint64_t value)
{
	memcpy(at, &value, r->size); /* x86-64 is little endian */
}

static bool schema_is_id(const char *s)
{
	return s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] ==
	       '\0';
}

static int schema_parse_string(
	const struct schema_row *r, const json_t *v, const char *path, void *at, struct err *e)
{
	const char *text = json_string_value(v);
	char quoted[SCHEMA_QUOTE_SIZE];
	char **slot = at, *copy;

	if (!text)
		return schema_bad_type(v, path, "a string", e);
	if (json_string_length(v) < r->min)
		return err_set(e, -EINVAL,
			"%s: \"%s\" is too short; it must have at least %llu bytes", path,
			schema_quote(quoted, text), (unsigned long long)r->min);
	if (json_string_length(v) > r->max)
		return err_set(e, -EINVAL, "%s: %zu bytes is too long; at most %llu fit", path,
			json_string_length(v), (unsigned long long)r->max);
	if ((r->flags & SCHEMA_ID) && !schema_is_id(text))
		return err_set(e, -EINVAL,
			"%s: \"%s\" is not an id; only letters, digits and _ are allowed", path,
			schema_quote(quoted, text));
	if (!r->size)
		return 0;
	copy = strdup(text);
	if (!copy)
		return err_set_os(e, -ENOMEM, "%s", path);
	free(*slot);
	*slot = copy;
	return 0;
}

static int schema_parse_uint(
	const struct schema_row *r, const json_t *v, const char *path, void *at, struct err *e)
{
	json_int_t value = json_integer_value(v);

	if (!json_is_integer(v))
		return schema_bad_type(v, path, "an integer", e);
	if (value < 0 || (uint64_t)value < r->min || (uint64_t)value > r->max)
		return err_set(e, -EINVAL, "%s: %lld is out of range; it must be %llu to %llu",
			path, (long long)value, (unsigned long long)r->min,
			(unsigned long long)r->max);
	schema_store(r, at, (uint64_t)value);
	return 0;
}

static int schema_parse_enum(
	const struct schema_row *r, const json_t *v, const char *path, void *at, struct err *e)
{
	const char *text = json_string_value(v);
	char quoted[SCHEMA_QUOTE_SIZE], known[256] = "";

	if (!text)
		return schema_bad_type(v, path, "a string", e);
	for (const struct schema_name *n = r->names; n->name; n++) {
		if ((r->flags & SCHEMA_ANY_CASE ? strcasecmp(text, n->name)
						: strcmp(text, n->name)) != 0)
			continue;
		if (n->value == SCHEMA_NAME_LATER)
			return err_set(e, -EINVAL, "%s: %s is not supported by this version", path,
				n->name);
		schema_store(r, at, n->value);
		return 0;
	}
	for (const struct schema_name *n = r->names; n->name; n++) {
		size_t used = strlen(known);

		(void)snprintf(
			known + used, sizeof(known) - used, "%s`%s`", used ? ", " : "", n->name);
	}
	return err_set(e, -EINVAL, "%s: unknown variant `%s`, expected one of %s", path,
		schema_quote(quoted, text), known);
}

static int schema_parse_array(
	const struct schema_row *r, json_t *v, const char *path, char *base, struct err *e)
{
	uint32_t count;
	char element[SCHEMA_PATH_SIZE];

	if (!json_is_array(v))
		return schema_bad_type(v, path, "an array", e);
	if (json_array_size(v) > r->max)
		return err_set(e, -EINVAL, "%s: %zu is too many; the most is %llu%s%s", path,
			json_array_size(v), (unsigned long long)r->max, r->full_text ? ": " : "",
			r->full_text ? r->full_text : "");
	for (uint32_t i = 0; i < json_array_size(v); i++) {
		char *at = base + r->offset + (size_t)i * r->size;
		int rc;

		(void)snprintf(element, sizeof(element), "%.128s[%u]", path, i);
		/* Counted first: a half-read element is released with the rest. */
		memset(at, 0, r->size);
		count = i + 1;
		if (r->size)
			memcpy(base + r->aux_offset, &count, sizeof(count));
		rc = schema_parse(r->nested, json_array_get(v, i), element, at, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int schema_parse_row(
	const struct schema_row *r, json_t *v, const char *path, char *base, struct err *e)
{
	char *at = base + r->offset;
	bool given = true;

	CHECK(r->type <= SCHEMA_TYPE_LATER);
	switch ((enum schema_type)r->type) {
	case SCHEMA_TYPE_STRING:
		return schema_parse_string(r, v, path, at, e);
	case SCHEMA_TYPE_BOOL:
		if (!json_is_boolean(v))
			return schema_bad_type(v, path, "a boolean", e);
		schema_store(r, at, json_is_true(v) ? 1 : 0);
		return 0;
	case SCHEMA_TYPE_UINT:
		return schema_parse_uint(r, v, path, at, e);
	case SCHEMA_TYPE_ENUM:
		return schema_parse_enum(r, v, path, at, e);
	case SCHEMA_TYPE_OBJECT:
		if (r->flags & SCHEMA_PRESENCE)
			memcpy(base + r->aux_offset, &given, sizeof(given));
		return schema_parse(r->nested, v, path, at, e);
	case SCHEMA_TYPE_ARRAY:
		return schema_parse_array(r, v, path, base, e);
	case SCHEMA_TYPE_CUSTOM:
		return r->custom->parse(v, path, at, e);
	case SCHEMA_TYPE_LATER:
		if (json_is_null(v) || json_is_false(v) ||
			(json_is_array(v) && json_array_size(v) == 0))
			return 0;
		return err_set(e, -EINVAL, "%s: not supported by this version; leave it out", path);
	}
	return -EINVAL; /* not reached: CHECK above */
}

static const struct schema_row *schema_find_row(const struct schema *s, const char *key)
{
	for (uint32_t i = 0; i < s->row_count; i++)
		if (strcmp(s->rows[i].key, key) == 0)
			return &s->rows[i];
	return NULL;
}

static int schema_refuse_unknown(
	const struct schema *s, const char *path, const char *key, struct err *e)
{
	char quoted[SCHEMA_QUOTE_SIZE], known[512] = "";

	for (uint32_t i = 0; i < s->row_count; i++) {
		size_t used = strlen(known);

		(void)snprintf(known + used, sizeof(known) - used, "%s`%s`", used ? ", " : "",
			s->rows[i].key);
	}
	return err_set(e, -EINVAL, "%s: unknown field `%s`, expected one of %s",
		*path ? path : s->name, schema_quote(quoted, key), known);
}

/* Refuses keys that no row has, or names them in a bounded number of warnings. */
static int schema_check_keys(const struct schema *s, json_t *obj, const char *path, struct err *e)
{
	uint32_t unknown_count = 0;
	char quoted[SCHEMA_QUOTE_SIZE];
	const char *key;
	json_t *v;

	json_object_foreach(obj, key, v)
	{
		if (schema_find_row(s, key))
			continue;
		if (!(s->flags & SCHEMA_OPEN))
			return schema_refuse_unknown(s, path, key, e);
		if (unknown_count++ < SCHEMA_WARNINGS_MAX)
			log_warn("%s: ignoring the unknown section \"%s\"", s->name,
				schema_quote(quoted, key));
	}
	if (unknown_count > SCHEMA_WARNINGS_MAX)
		log_warn("%s: ignoring %u more unknown sections", s->name,
			unknown_count - SCHEMA_WARNINGS_MAX);
	return 0;
}

int schema_parse(const struct schema *s, json_t *obj, const char *path, void *base, struct err *e)
{
	char key_path[SCHEMA_PATH_SIZE];
	int rc;

	if (!json_is_object(obj))
		return schema_bad_type(obj, *path ? path : s->name, "an object", e);
	rc = schema_check_keys(s, obj, path, e);
	for (uint32_t i = 0; i < s->row_count && rc == 0; i++) {
		const struct schema_row *r = &s->rows[i];
		json_t *v = json_object_get(obj, r->key);

		if (v && !(json_is_null(v) && (r->flags & SCHEMA_NULLABLE))) {
			(void)snprintf(key_path, sizeof(key_path), "%s%s%s", path, *path ? "." : "",
				r->key);
			rc = schema_parse_row(r, v, key_path, base, e);
		} else if (r->flags & SCHEMA_REQUIRED) {
			rc = err_set(e, -EINVAL, "%s: missing field `%s`", *path ? path : s->name,
				r->key);
		} else if (r->type == SCHEMA_TYPE_BOOL || r->type == SCHEMA_TYPE_UINT ||
			   r->type == SCHEMA_TYPE_ENUM) {
			schema_store(r, (char *)base + r->offset, r->def);
		}
	}
	return rc;
}

int schema_load_text(const char *text, size_t len, json_t **ret, struct err *e)
{
	json_error_t je;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	char quoted[SCHEMA_QUOTE_SIZE];

	if (root) {
		*ret = root;
		return 0;
	}
	if (json_error_code(&je) == json_error_out_of_memory)
		return err_set_os(e, -ENOMEM, "JSON");
	return err_set(e, -EINVAL, "%s%s at line %d column %d",
		json_error_code(&je) == json_error_numeric_overflow ? "invalid type: " : "",
		schema_quote(quoted, je.text), je.line, je.column);
}
