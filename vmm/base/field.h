/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State tables. Everything of a device or vCPU that must survive a snapshot is one plain struct
 * (x_state) of fixed-width integers, byte arrays and nested such structs: no pointers, enums,
 * bool, bit fields or holes. A table names each member:
 *
 *	static const struct field uart_state_fields[] = {
 *		FIELD(1, 1, struct uart_state, ier, 0x0f),
 *		FIELD_ARRAY(2, 1, struct uart_state, rx, 0),
 *	};
 *	const struct field_table uart_state_table =
 *		FIELD_TABLE("uart", struct uart_state, uart_state_fields, uart_state_check);
 *
 * The id is the member's identity in an image and is never reused, also not after its removal.
 * `since` is the number of the state schema (FIELD_SCHEMA_VERSION when it was added). `max` bounds
 * an integer on load (0: any value). Loading decodes every field into a fresh struct, applies the
 * bounds, then calls check(), which sees hostile bytes and must reject what the device could
 * never have saved.
 */
#pragma once

#include "vmm/base/err.h"

/* Raised by one with each release that changes any table; written into images. */
#define FIELD_SCHEMA_VERSION 1

enum field_type {
	FIELD_TYPE_U8,
	FIELD_TYPE_U16,
	FIELD_TYPE_U32,
	FIELD_TYPE_U64,
	FIELD_TYPE_STRUCT,
};

struct field_table;

struct field {
	const char *name;
	uint16_t id;
	uint16_t since;
	uint8_t type;     /* enum field_type, of one element */
	uint8_t optional; /* an older monitor that does not know it may load without it */
	uint32_t offset;
	uint32_t size;  /* bytes of one element */
	uint32_t count; /* elements; 1 for a scalar */
	uint64_t max;   /* largest legal value of an integer element, 0: no bound */
	const struct field_table *nested; /* for FIELD_TYPE_STRUCT */
};

struct field_table {
	const char *name;
	uint32_t size; /* of the struct */
	uint32_t field_count;
	const struct field *fields;
	int (*check)(const void *state, struct err *e); /* may be NULL; 0 or -EINVAL */
};

#define FIELD_TYPE_OF(x)                                                                           \
	_Generic((x), uint8_t                                                                      \
		 : FIELD_TYPE_U8, uint16_t                                                         \
		 : FIELD_TYPE_U16, uint32_t                                                        \
		 : FIELD_TYPE_U32, uint64_t                                                        \
		 : FIELD_TYPE_U64, unsigned long long                                              \
		 : FIELD_TYPE_U64)

#define FIELD(id_, since_, S, member, max_)                                                        \
	{                                                                                          \
		.name = #member, .id = (id_), .since = (since_),                                   \
		.type = FIELD_TYPE_OF(((S *)0)->member), .offset = offsetof(S, member),            \
		.size = sizeof(((S *)0)->member), .count = 1, .max = (max_),                       \
	}

#define FIELD_ARRAY(id_, since_, S, member, max_)                                                  \
	{                                                                                          \
		.name = #member, .id = (id_), .since = (since_),                                   \
		.type = FIELD_TYPE_OF(((S *)0)->member[0]), .offset = offsetof(S, member),         \
		.size = sizeof(((S *)0)->member[0]), .count = NELEM(((S *)0)->member),             \
		.max = (max_),                                                                     \
	}

#define FIELD_STRUCT(id_, since_, S, member, table_)                                               \
	{                                                                                          \
		.name = #member, .id = (id_), .since = (since_), .type = FIELD_TYPE_STRUCT,        \
		.offset = offsetof(S, member), .size = sizeof(((S *)0)->member), .count = 1,       \
		.nested = (table_),                                                                \
	}

#define FIELD_STRUCT_ARRAY(id_, since_, S, member, table_)                                         \
	{                                                                                          \
		.name = #member, .id = (id_), .since = (since_), .type = FIELD_TYPE_STRUCT,        \
		.offset = offsetof(S, member), .size = sizeof(((S *)0)->member[0]),                \
		.count = NELEM(((S *)0)->member), .nested = (table_),                              \
	}

#define FIELD_TABLE(name_, S, fields_, check_)                                                     \
	{                                                                                          \
		.name = (name_), .size = sizeof(S), .field_count = NELEM(fields_),                 \
		.fields = (fields_), .check = (check_),                                            \
	}

/*
 * True if the table is sound: unique non-zero ids, members inside the struct, no two
 * overlapping, and not one byte of the struct left uncovered (so the struct has no holes).
 * On false, *e says which. For tests and --describe-state.
 */
bool field_table_sound(const struct field_table *t, struct err *e);

/* Applies every `max` and every check() of t and its nested tables to a decoded struct. */
int field_table_check(const struct field_table *t, const void *state, struct err *e) MUST_USE;
