/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state file: sections of fields. Nothing in it is laid out by a C compiler, so that a file
 * loads in monitors older and newer than the one that wrote it. All numbers are little endian.
 *
 *	header    magic u64, format u32, schema u32, length of the file u64, section count u32, 0 u32
 *	section   id u32, instance u32, flags u32, length u32, name (16 bytes), then that many bytes
 *	checksum  CRC-64 (ECMA-182) of all before it
 *
 * A section holds either bytes or the fields of one state table (vmm/base/field.h):
 *
 *	field     id u16, flags u16, length u32, then the value
 *	value     integers: one after the other, without those zeroes that end an array;
 *	          a struct: its fields; an array of structs: for each a length u32 and its fields
 *
 * Who reads what another version wrote: what the writer did not know yet is zero; what the reader
 * does not know is skipped if the writer says that it may be (SNAPSHOT_REQUIRED is not set),
 * and otherwise refused by its name. Ids are never used again.
 *
 * A reader takes every byte for hostile: no length is believed before it is checked, and nothing
 * is allocated by a number out of the file. No I/O here. Main thread.
 */
#pragma once

#include "vmm/base/field.h"

#define SNAPSHOT_MAGIC        0x31504e53594c464dull /* "MFLYSNP1" */
#define SNAPSHOT_FORMAT       1u /* of the framing; the fields have their schema */
#define SNAPSHOT_NAME_SIZE    16u
#define SNAPSHOT_SECTIONS_MAX 256u
#define SNAPSHOT_FILE_MAX     ((size_t)16 * 1024 * 1024)

/* Flags of sections and fields. */
#define SNAPSHOT_REQUIRED 0x01u /* a reader that does not know the id must not go on */
#define SNAPSHOT_NAMED    0x02u /* of fields: the value follows a u8 length and the field's name */

struct snapshot_writer {
	uint8_t *data; /* owned */
	size_t len, room;
	uint32_t section_count;
	bool failed; /* no memory, or too large: told by snapshot_finish */
};

void snapshot_begin(struct snapshot_writer *w);
void snapshot_put_bytes(struct snapshot_writer *w, uint32_t id, uint32_t instance, uint32_t flags,
	const char *name, const void *data, size_t len);
/* The section is named like the table, and required. */
void snapshot_put_table(struct snapshot_writer *w, uint32_t id, uint32_t instance,
	const struct field_table *t, const void *state);
/* Ends the file. The caller frees *ret_data. 0, -ENOMEM or -EFBIG; w is empty afterwards. */
int snapshot_finish(
	struct snapshot_writer *w, uint8_t **ret_data, size_t *ret_len, struct err *e) MUST_USE;

struct snapshot_section {
	uint32_t id, instance, flags, len;
	char name[SNAPSHOT_NAME_SIZE + 1];
	const uint8_t *data; /* borrowed from the file */
};

struct snapshot_reader {
	uint32_t schema; /* FIELD_SCHEMA_VERSION of the writer */
	uint32_t section_count;
	struct snapshot_section sections[SNAPSHOT_SECTIONS_MAX];
};

/*
 * Checks frame and checksum and finds the sections; data must stay. known() says whether this
 * monitor has any use for a section id; required ones it has none for are refused. 0 or -EINVAL.
 */
int snapshot_open(struct snapshot_reader *r, const uint8_t *data, size_t len,
	bool (*known)(uint32_t id), struct err *e) MUST_USE;

/* NULL if there is none. */
const struct snapshot_section *snapshot_find(
	const struct snapshot_reader *r, uint32_t id, uint32_t instance);

/*
 * Decodes a section into *ret, which is all of t, and checks it by t. -ENOENT: no such section;
 * -EINVAL. After a failure *ret is of no use.
 */
int snapshot_get_table(const struct snapshot_reader *r, uint32_t id, uint32_t instance,
	const struct field_table *t, void *ret, struct err *e) MUST_USE;

/* Continues a CRC-64/XZ (ECMA-182, reflected); start with 0. */
uint64_t snapshot_crc(uint64_t crc, const void *data, size_t len);
