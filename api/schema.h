/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schema tables: which keys a JSON object may have, of what type and range, and where each lives
 * in a C struct. One walker reads an object into the struct, another prints the struct back, so
 * that the configuration file and the bodies of API requests cannot drift apart. The tables of
 * the machine are in api/vm_schema.h.
 *
 *	static const struct schema_row drive_rows[] = {
 *		SCHEMA_STR("drive_id", struct drive, drive_id, 1, 64, SCHEMA_REQUIRED | SCHEMA_ID),
 *		SCHEMA_BOOL("is_read_only", struct drive, is_read_only, false, SCHEMA_NULLABLE),
 *		SCHEMA_LATER("rate_limiter"),
 *	};
 *	const struct schema drive_schema = SCHEMA("drive", drive_rows, 0);
 *
 * Main thread only; uses the heap.
 */
#pragma once

#include "vmm/base/err.h"

#include <jansson.h>

enum schema_type {
	SCHEMA_TYPE_STRING, /* char *, an owned copy or NULL */
	SCHEMA_TYPE_BOOL,   /* bool */
	SCHEMA_TYPE_UINT,   /* unsigned of `size` bytes */
	SCHEMA_TYPE_ENUM,   /* bool or enum of `size` bytes; size 0: checked, not stored */
	SCHEMA_TYPE_OBJECT, /* a nested struct */
	SCHEMA_TYPE_ARRAY,  /* an array of nested structs and a uint32_t count */
	SCHEMA_TYPE_CUSTOM, /* whatever the functions of struct schema_custom make of it */
	SCHEMA_TYPE_LATER,  /* known, but no release has it yet: only "nothing" is accepted */
};

/* Flags of a row. */
#define SCHEMA_REQUIRED   0x01u  /* absent: missing field */
#define SCHEMA_NULLABLE   0x02u  /* null means absent */
#define SCHEMA_ID         0x04u  /* string of letters, digits and _ */
#define SCHEMA_ANY_CASE   0x08u  /* enum names match in any case */
#define SCHEMA_PRESENCE   0x10u  /* object: a bool at aux_offset says that it was given */
#define SCHEMA_HIDDEN     0x20u  /* printed as null */
#define SCHEMA_DEPRECATED 0x40u  /* whoever gives it is told by a header of the answer */
#define SCHEMA_SILENT     0x80u  /* not printed */
#define SCHEMA_OMIT       0x100u /* not printed while it is as it would be when absent */
#define SCHEMA_ZERO_NULL  0x200u /* uint: 0 is printed as null */
#define SCHEMA_LIST       0x400u /* later: a list, printed as [] */

/* Flag of a table: unknown keys are accepted, each with a warning, instead of refused. */
#define SCHEMA_OPEN 0x01u

/* A value that may be named but is refused, because no release has it yet. */
#define SCHEMA_NAME_LATER UINT32_MAX

struct schema_name {
	const char *name; /* NULL ends the list; the first name of a value is the one printed */
	uint32_t value;
};

struct schema;

/* A member that no other type fits. The walkers call these with its address. */
struct schema_custom {
	const char *what; /* for --describe-api: "array of string" */
	/* 0, -EINVAL or -ENOMEM; path is for messages. Releases what was there before. */
	int (*parse)(json_t *v, const char *path, void *at, struct err *e);
	json_t *(*print)(const void *at); /* a new value; NULL: out of memory */
	void (*release)(void *at);        /* leaves *at as it was before parse; or NULL */
};

struct schema_row {
	const char *key;
	uint8_t type; /* enum schema_type */
	uint16_t flags;
	uint32_t offset; /* of the member in the struct */
	uint32_t size;   /* bytes of the member or of one array element; 0: not stored; custom: 1 */
	uint32_t aux_offset;   /* object: presence bool; array: count */
	uint64_t min, max;     /* values, bytes of a string, or elements of an array */
	uint64_t def;          /* stored when an optional number, bool or enum is absent */
	const char *full_text; /* array: added to the message when there are too many, or NULL */
	const struct schema_name *names;
	const struct schema *nested;
	const struct schema_custom *custom;
};

struct schema {
	const char *name;
	uint32_t row_count;
	uint32_t flags;
	const struct schema_row *rows;
};

#define SCHEMA(name_, rows_, flags_)                                                               \
	{                                                                                          \
		.name = (name_), .row_count = NELEM(rows_), .flags = (flags_), .rows = (rows_),    \
	}

#define SCHEMA_MEMBER(type_, key_, S, member)                                                      \
	.key = (key_), .type = (type_), .offset = offsetof(S, member),                             \
	.size = sizeof(((S *)0)->member)

#define SCHEMA_STR(key_, S, member, min_, max_, flags_)                                            \
	{                                                                                          \
		.flags = (flags_), .min = (min_), .max = (max_),                                   \
		SCHEMA_MEMBER(SCHEMA_TYPE_STRING, key_, S, member),                                \
	}

#define SCHEMA_BOOL(key_, S, member, def_, flags_)                                                 \
	{                                                                                          \
		.flags = (flags_), .def = (def_),                                                  \
		SCHEMA_MEMBER(SCHEMA_TYPE_BOOL, key_, S, member),                                  \
	}

#define SCHEMA_UINT(key_, S, member, min_, max_, def_, flags_)                                     \
	{                                                                                          \
		.flags = (flags_), .min = (min_), .max = (max_), .def = (def_),                    \
		SCHEMA_MEMBER(SCHEMA_TYPE_UINT, key_, S, member),                                  \
	}

#define SCHEMA_ENUM(key_, S, member, names_, def_, flags_)                                         \
	{                                                                                          \
		.flags = (flags_), .names = (names_), .def = (def_),                               \
		SCHEMA_MEMBER(SCHEMA_TYPE_ENUM, key_, S, member),                                  \
	}

/* Values that are checked and then forgotten. */
#define SCHEMA_ENUM_CHECKED(key_, names_, flags_)                                                  \
	{                                                                                          \
		.key = (key_), .type = SCHEMA_TYPE_ENUM, .flags = (flags_), .names = (names_),     \
	}

#define SCHEMA_STR_CHECKED(key_, min_, max_, flags_)                                               \
	{                                                                                          \
		.key = (key_), .type = SCHEMA_TYPE_STRING, .flags = (flags_), .min = (min_),       \
		.max = (max_),                                                                     \
	}

#define SCHEMA_BOOL_CHECKED(key_, flags_)                                                          \
	{                                                                                          \
		.key = (key_), .type = SCHEMA_TYPE_BOOL, .flags = (flags_),                        \
	}

#define SCHEMA_UINT_CHECKED(key_, min_, max_, flags_)                                              \
	{                                                                                          \
		.key = (key_), .type = SCHEMA_TYPE_UINT, .flags = (flags_), .min = (min_),         \
		.max = (max_),                                                                     \
	}

#define SCHEMA_ARRAY_CHECKED(key_, max_, schema_, flags_)                                          \
	{                                                                                          \
		.key = (key_), .type = SCHEMA_TYPE_ARRAY, .flags = (flags_), .max = (max_),        \
		.nested = (schema_),                                                               \
	}

/* A member with functions of its own. */
#define SCHEMA_CUSTOM(key_, S, member, custom_, flags_)                                            \
	{                                                                                          \
		.key = (key_), .type = SCHEMA_TYPE_CUSTOM, .flags = (flags_), .size = 1,           \
		.offset = offsetof(S, member), .custom = (custom_),                                \
	}

/* An object whose rows point into the same struct as this row's. */
#define SCHEMA_SECTION(key_, schema_, flags_)                                                      \
	{                                                                                          \
		.key = (key_), .type = SCHEMA_TYPE_OBJECT, .flags = (flags_), .nested = (schema_), \
	}

#define SCHEMA_SECTION_PRESENT(key_, S, present, schema_, flags_)                                  \
	{                                                                                          \
		.key = (key_), .type = SCHEMA_TYPE_OBJECT, .flags = (flags_) | SCHEMA_PRESENCE,    \
		.aux_offset = offsetof(S, present), .nested = (schema_),                           \
	}

#define SCHEMA_OBJECT(key_, S, member, present, schema_, flags_)                                   \
	{                                                                                          \
		.flags = (flags_) | SCHEMA_PRESENCE, .aux_offset = offsetof(S, present),           \
		.nested = (schema_), SCHEMA_MEMBER(SCHEMA_TYPE_OBJECT, key_, S, member),           \
	}

#define SCHEMA_ARRAY(key_, S, member, count, schema_, full_text_, flags_)                          \
	{                                                                                          \
		.key = (key_), .type = SCHEMA_TYPE_ARRAY, .flags = (flags_),                       \
		.offset = offsetof(S, member), .size = sizeof(((S *)0)->member[0]),                \
		.max = NELEM(((S *)0)->member), .aux_offset = offsetof(S, count),                  \
		.nested = (schema_), .full_text = (full_text_),                                    \
	}

#define SCHEMA_LATER(key_)                                                                         \
	{                                                                                          \
		.key = (key_), .type = SCHEMA_TYPE_LATER,                                          \
	}

/* The same, of what is a list. */
#define SCHEMA_LATER_LIST(key_)                                                                    \
	{                                                                                          \
		.key = (key_), .type = SCHEMA_TYPE_LATER, .flags = SCHEMA_LIST,                    \
	}

/*
 * Reads a JSON text of one object. The caller owns *ret. -EINVAL with a message that names line
 * and column. Duplicate keys, more nesting than jansson's 2048 and numbers past 64 bits are
 * refused.
 */
int schema_load_text(const char *text, size_t len, json_t **ret, struct err *e) MUST_USE;

/*
 * Checks every key of obj and stores it into base; absent ones get their defaults. path is put in
 * front of keys in messages ("" for none). 0, -EINVAL or -ENOMEM; after a failure base holds what
 * was stored so far, for its owner to release.
 */
int schema_parse(
	const struct schema *s, json_t *obj, const char *path, void *base, struct err *e) MUST_USE;

/* Prints base as a new JSON object that schema_parse would take. NULL: out of memory. */
json_t *schema_print(const struct schema *s, const void *base) MUST_USE;

/* Frees what schema_parse put into base, which was zero before it, also after a failure. */
void schema_release(const struct schema *s, void *base);

/* True if obj, which need not be valid, gives a deprecated key. */
bool schema_uses_deprecated(const struct schema *s, const json_t *obj);
