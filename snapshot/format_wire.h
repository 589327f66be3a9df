/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of the state file as it lies in the file: for format*.c and their tests. */
#pragma once

#include "snapshot/format.h"

struct wire_header {
	uint64_t magic;
	uint32_t format;
	uint32_t schema;
	uint64_t total; /* bytes of the whole file */
	uint32_t section_count;
	uint32_t reserved; /* zero */
};
_Static_assert(sizeof(struct wire_header) == 32, "no holes");

struct wire_section {
	uint32_t id, instance, flags, len;
	char name[SNAPSHOT_NAME_SIZE]; /* zero-filled, without an end if it is full */
};
_Static_assert(sizeof(struct wire_section) == 32, "no holes");

struct wire_field {
	uint16_t id, flags;
	uint32_t len;
};
_Static_assert(sizeof(struct wire_field) == 8, "no holes");
