/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata: one JSON object that the host writes and the guest reads. Its size, as it would be
 * printed, is bounded, and a change that would pass the bound changes nothing. Main thread.
 */
#pragma once

#include "vmm/base/err.h"

#include <jansson.h>

struct store {
	json_t *root;    /* owned; NULL: nothing was put yet */
	size_t size_max; /* bytes of the printed object */
};

/* The longest text that is worth giving to store_put: what is longer does not fit in any case. */
#define STORE_TEXT_MAX ((size_t)64 * 1024 * 1024)

void store_init(struct store *s, size_t size_max);
void store_fini(struct store *s);

/*
 * Replaces the object by the one in text. -EINVAL: not a JSON object; -EFBIG: over the limit;
 * -ENOMEM.
 */
int store_put(struct store *s, const char *text, size_t len, struct err *e) MUST_USE;

/* Merges an object into it (RFC 7396). As store_put; -ENOENT: nothing was put yet. */
int store_patch(struct store *s, const char *text, size_t len, struct err *e) MUST_USE;

/* Drops the object. */
void store_clear(struct store *s);

/* The whole object, or {}. The caller frees *ret. 0 or -ENOMEM. */
int store_print(const struct store *s, char **ret, size_t *ret_len) MUST_USE;

/*
 * What a guest asks for. path is a JSON pointer (RFC 6901) of which doubled slashes, and one at
 * the end, are ignored. As JSON, or as EC2's service prints it: of an object the keys, one a
 * line, those of objects with a slash; a string as it is. The caller frees *ret. 0; -ENOENT: there
 * is nothing; -EOPNOTSUPP: it has no such form; -ENOMEM.
 */
int store_get(const struct store *s, const char *path, bool as_json, char **ret,
	size_t *ret_len) MUST_USE;
