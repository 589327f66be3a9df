/* SPDX-License-Identifier: Apache-2.0 */
/* Filters in Firecracker's JSON: from text to BPF by libseccomp, and the built-in rules as such text. */
#pragma once

#include "seccomp/filter.h"

#include <jansson.h>

#define SECCOMP_JSON_SIZE_MAX ((size_t)1024 * 1024)

/*
 * 0 with programs that seccomp_set_fini frees; *ret_has_api: the text has a filter for a thread that
 * mayfly-vmm has not, which was checked and left out. Or -EINVAL with a message that names the place.
 */
int seccomp_json_compile(struct seccomp_set *ret, bool *ret_has_api, const char *text, size_t len,
	struct err *e) MUST_USE;

/* The rules, by index those with used[i], or all if it is NULL. The caller gives it back; NULL without memory. */
json_t *seccomp_json_print(const uint8_t *used);
