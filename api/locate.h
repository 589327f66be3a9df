/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where in a JSON text an object ends: for messages, which say where a field is missed. The text
 * has been parsed before, so it is valid.
 */
#pragma once

#include "vmm/base/compiler.h"

#include <stddef.h>

/*
 * path is as in messages of schema.h, "rate_limiter.ops" or "overrides[1]", of path_len bytes; of
 * none, the whole text is meant. False: there is no such object.
 */
bool locate_end(const char *text, size_t len, const char *path, size_t path_len, unsigned *ret_line,
	unsigned *ret_column);
