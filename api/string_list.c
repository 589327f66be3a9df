/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays of ids. See string_list.h. */
#include "api/string_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char **list_items(const void *at)
{
	char **items;

	memcpy(&items, at, sizeof(items));
	return items;
}

static void string_list_release(void *at)
{
	char **none = NULL;

	free(list_items(at));
	memcpy(at, &none, sizeof(none));
}

static int string_list_check(json_t *v, const char *path, struct err *e)
{
	if (!json_is_array(v))
		return err_set(e, -EINVAL, "%s: invalid type: expected an array of strings", path);
	if (json_array_size(v) == 0 || json_array_size(v) > STRING_LIST_MAX)
		return err_set(e, -EINVAL, "%s: %zu items; there must be 1 to %u", path,
			json_array_size(v), STRING_LIST_MAX);
	for (size_t i = 0; i < json_array_size(v); i++) {
		const char *text = json_string_value(json_array_get(v, i));

		if (!text)
			return err_set(
				e, -EINVAL, "%s[%zu]: invalid type: expected a string", path, i);
		if (!*text || strlen(text) > 255)
			return err_set(e, -EINVAL, "%s[%zu]: must have 1 to 255 bytes", path, i);
	}
	return 0;
}

static int string_list_parse(json_t *v, const char *path, void *at, struct err *e)
{
	int rc = string_list_check(v, path, e);
	size_t count = json_array_size(v), size = (count + 1) * sizeof(char *);
	char **items, *p;

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < count; i++)
		size += strlen(json_string_value(json_array_get(v, i))) + 1;
	items = malloc(size);
	if (!items)
		return err_set_os(e, -ENOMEM, "%s", path);
	p = (char *)(items + count + 1);
	for (size_t i = 0; i < count; i++) {
		items[i] = p;
		p = stpcpy(p, json_string_value(json_array_get(v, i))) + 1;
	}
	items[count] = NULL;
	string_list_release(at);
	memcpy(at, &items, sizeof(items));
	return 0;
}

static json_t *string_list_print(const void *at)
{
	char **items = list_items(at);
	json_t *array = items ? json_array() : json_null();

	for (; array && items && *items; items++) {
		if (json_array_append_new(array, json_string(*items)) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

const struct schema_custom string_list_custom = {
	.what = "array of string",
	.parse = string_list_parse,
	.print = string_list_print,
	.release = string_list_release,
};
