/* SPDX-License-Identifier: Apache-2.0 */
/* A schema member that is an array of ids, such as network_interfaces of PUT /mmds/config. */
#pragma once

#include "api/schema.h"

#define STRING_LIST_MAX 64u

/*
 * For SCHEMA_CUSTOM of a char **: an owned block of pointers, the last one NULL, and of what they
 * point to, to be freed as one; or NULL when absent. An empty array is refused.
 */
extern const struct schema_custom string_list_custom;
