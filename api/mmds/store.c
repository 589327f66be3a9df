/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata object. See store.h. */
#include "api/mmds/store.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/wipe.h"

#include <errno.h>
#include <string.h>

/* Sorted, as the clients' own JSON comes back from Firecracker. */
#define STORE_PRINT_FLAGS (JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY)

void store_init(struct store *s, size_t size_max)
{
	/* Metadata is credentials. There is one free of jansson's in a process, so all JSON is wiped. */
	json_set_alloc_funcs(malloc, wipe_free);
	*s = (struct store){.size_max = size_max};
}

void store_clear(struct store *s)
{
	json_decref(s->root);
	s->root = NULL;
}

void store_fini(struct store *s)
{
	store_clear(s);
}

/* Puts root, which is taken over, in place of what was there, if it is not too large. */
static int store_adopt(struct store *s, json_t *root, struct err *e)
{
	size_t size = json_dumpb(root, NULL, 0, STORE_PRINT_FLAGS);

	if (size > s->size_max) {
		json_decref(root);
		return err_set(e, -EFBIG,
			"The MMDS patch request doesn't fit.: the data would have %zu bytes, at "
			"most %zu are allowed (--mmds-size-limit)",
			size, s->size_max);
	}
	store_clear(s);
	s->root = root;
	return 0;
}

static int store_parse(const char *text, size_t len, json_t **ret, struct err *e)
{
	json_error_t je;
	json_t *root = json_loadb(text, len, 0, &je);

	if (!root && json_error_code(&je) == json_error_out_of_memory)
		return err_set_os(e, -ENOMEM, "metadata");
	if (!root)
		return err_set(e, -EINVAL,
			"metadata provided not valid json: %.80s at line %d column %d", je.text,
			je.line, je.column);
	if (!json_is_object(root)) {
		json_decref(root);
		return err_set(e, -EINVAL,
			"metadata provided not valid json: the value must be an object");
	}
	*ret = root;
	return 0;
}

int store_put(struct store *s, const char *text, size_t len, struct err *e)
{
	json_t *root = NULL;
	int rc = store_parse(text, len, &root, e);

	return rc < 0 ? rc : store_adopt(s, root, e);
}

/* RFC 7396 §2, into target, which is an object of its own. 0 or -ENOMEM. */
static int store_merge(json_t *target, const json_t *patch)
{
	const char *key;
	json_t *value;
	int rc = 0;

	/* The iterator does not change the object, though its type says so. */
	for (void *it = json_object_iter((json_t *)(uintptr_t)patch); it && rc == 0;
		it = json_object_iter_next((json_t *)(uintptr_t)patch, it)) {
		key = json_object_iter_key(it);
		value = json_object_iter_value(it);
		if (json_is_null(value)) {
			(void)json_object_del(target, key);
		} else if (json_is_object(value)) {
			json_t *old = json_object_get(target, key);

			if (!json_is_object(old)) {
				old = json_object();
				rc = json_object_set_new(target, key, old);
			}
			/* Also into a new one: a null within it must not stay. */
			rc = rc == 0 ? store_merge(old, value) : rc;
		} else {
			rc = json_object_set(target, key, value);
		}
	}
	return rc == 0 ? 0 : -ENOMEM;
}

int store_patch(struct store *s, const char *text, size_t len, struct err *e)
{
	json_t *patch = NULL, *merged;
	int rc;

	if (!s->root)
		return err_set(e, -ENOENT,
			"The MMDS data store is not initialized.: PUT /mmds comes before PATCH");
	rc = store_parse(text, len, &patch, e);
	if (rc < 0)
		return rc;
	merged = json_deep_copy(s->root);
	rc = merged ? store_merge(merged, patch) : -ENOMEM;
	json_decref(patch);
	if (rc < 0) {
		json_decref(merged);
		return err_set_os(e, rc, "metadata");
	}
	return store_adopt(s, merged, e);
}

static int store_dump(const json_t *j, char **ret, size_t *ret_len)
{
	char *text = json_dumps(j, STORE_PRINT_FLAGS);

	if (!text)
		return -ENOMEM;
	*ret = text;
	*ret_len = strlen(text);
	return 0;
}

int store_print(const struct store *s, char **ret, size_t *ret_len)
{
	json_t *empty;
	int rc;

	if (s->root)
		return store_dump(s->root, ret, ret_len);
	empty = json_object();
	rc = empty ? store_dump(empty, ret, ret_len) : -ENOMEM;
	json_decref(empty);
	return rc;
}

/* ---- what the guest asks for ---- */

/* One reference token of a pointer: len bytes at p, with ~1 for / and ~0 for ~, into ret. */
static bool store_unescape(const char *p, size_t len, char *ret)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] != '~') {
			*ret++ = p[i];
		} else if (i + 1 < len && (p[i + 1] == '0' || p[i + 1] == '1')) {
			*ret++ = p[++i] == '0' ? '~' : '/';
		} else {
			return false;
		}
	}
	*ret = '\0';
	return true;
}

static json_t *store_element(const json_t *array, const char *key)
{
	size_t digits = strspn(key, "0123456789");

	/* No sign, no leading zero (RFC 6901 §4); nine digits are more than there can be. */
	if (digits == 0 || digits > 9 || key[digits] || (key[0] == '0' && digits > 1))
		return NULL;
	return json_array_get(array, strtoul(key, NULL, 10));
}

/* Borrowed from the store, or NULL. */
static json_t *store_find(const struct store *s, const char *path)
{
	CLEANUP_FREE
	char *key = malloc(strlen(path) + 1);
	json_t *j = s->root;

	while (key && j) {
		size_t len;

		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len == 0)
			return j;
		if (!store_unescape(path, len, key))
			return NULL;
		j = json_is_array(j) ? store_element(j, key) : json_object_get(j, key);
		path += len;
	}
	return NULL;
}

static int store_by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys of an object, one a line, in order; those of objects with a slash behind them. */
static int store_list(json_t *object, char **ret, size_t *ret_len)
{
	size_t count = json_object_size(object), i = 0, size = 1;
	CLEANUP_FREE
	const char **keys = calloc(count + 1, sizeof(*keys));
	char *text, *p;

	for (void *it = json_object_iter(object); keys && it && i < count;
		it = json_object_iter_next(object, it)) {
		keys[i] = json_object_iter_key(it);
		size += strlen(keys[i++]) + 2;
	}
	text = keys ? malloc(size) : NULL;
	if (!text)
		return -ENOMEM;
	qsort((void *)keys, count, sizeof(*keys), store_by_name);
	p = text;
	for (i = 0; i < count; i++) {
		p = stpcpy(p, keys[i]);
		if (json_is_object(json_object_get(object, keys[i])))
			*p++ = '/';
		if (i + 1 < count)
			*p++ = '\n';
	}
	*p = '\0';
	*ret = text;
	*ret_len = (size_t)(p - text);
	return 0;
}

int store_get(const struct store *s, const char *path, bool as_json, char **ret, size_t *ret_len)
{
	json_t *j = store_find(s, path);
	char *copy;

	if (!j)
		return -ENOENT;
	if (as_json)
		return store_dump(j, ret, ret_len);
	if (json_is_object(j))
		return store_list(j, ret, ret_len);
	if (!json_is_string(j))
		return -EOPNOTSUPP;
	copy = strdup(json_string_value(j));
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	*ret_len = strlen(copy);
	return 0;
}
