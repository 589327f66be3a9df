/* SPDX-License-Identifier: Apache-2.0 */
/* Every state table there is: what a snapshot of this release consists of. */
#pragma once

#include "vmm/base/field.h"

extern const struct field_table *const state_list[];
extern const uint32_t state_list_count;
