/* SPDX-License-Identifier: Apache-2.0 */
/* A schema member that is an object of strings, such as the properties of PUT /metrics. */
#pragma once

#include "api/schema.h"

/*
 * For SCHEMA_CUSTOM of a char *: an owned text of the JSON object, compact and on one line, or
 * NULL when absent.
 */
extern const struct schema_custom string_map_custom;
