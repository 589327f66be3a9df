/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of strings. See string_map.h. */
#include "api/string_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char *map_text(const void *at)
{
	char *text;

	memcpy(&text, at, sizeof(text));
	return text;
}

static void string_map_release(void *at)
{
	char *none = NULL;

	free(map_text(at));
	memcpy(at, &none, sizeof(none));
}

static int string_map_parse(json_t *v, const char *path, void *at, struct err *e)
{
	const char *key;
	json_t *value;
	char *text;

	if (!json_is_object(v))
		return err_set(e, -EINVAL, "%s: invalid type: expected an object of strings", path);
	json_object_foreach(v, key, value) if (!json_is_string(value)) return err_set(
		e, -EINVAL, "%s.%.64s: invalid type: expected a string", path, key);
	text = json_dumps(v, JSON_COMPACT);
	if (!text)
		return err_set(e, -ENOMEM, "%s: no memory", path);
	string_map_release(at);
	memcpy(at, &text, sizeof(text));
	return 0;
}

static json_t *string_map_print(const void *at)
{
	const char *text = map_text(at);

	return text ? json_loads(text, 0, NULL) : json_null();
}

const struct schema_custom string_map_custom = {
	.what = "object of string",
	.parse = string_map_parse,
	.print = string_map_print,
	.release = string_map_release,
};
