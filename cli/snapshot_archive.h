/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The archive of `mayfly snapshot pack`: a state file and its memory file in one, compressed. All
 * numbers are little endian:
 *
 *	header    magic u64, version u32, 0 u32, size of the state file u64, of the memory file u64
 *	body      one zstd frame, of: the state file; then for each run of pages that is not all
 *	          zeroes its offset u64, length u64 and bytes; then the memory file's size u64, 0 u64
 *	checksum  CRC-64 of all before it, as in the state file
 *
 * Runs ascend, do not overlap, and are whole pages within the memory file. There is no name in an
 * archive. A reader takes every byte for hostile: what it needs does not depend on what an archive
 * says (a state file's largest size, a few MiB for zstd), and it hands on no more bytes than the header says.
 */
#pragma once

#include "vmm/base/err.h"

#define ARCHIVE_MAGIC     0x314b4150594c464dull /* "MFLYPAK1" */
#define ARCHIVE_VERSION   1u
#define ARCHIVE_CHUNK     ((size_t)256 * 1024) /* of memory, at most, in one call */
#define ARCHIVE_WINDOWLOG 23                   /* zstd's memory: 8 MiB at most */

struct archive_header {
	uint64_t magic;
	uint32_t version;
	uint32_t reserved; /* zero */
	uint64_t state_size;
	uint64_t mem_size;
};
_Static_assert(sizeof(struct archive_header) == 32, "no holes");

struct archive_run {
	uint64_t offset, len;
};

/* Who gets what is in an archive. 0, or -errno with *e, which ends the reading. */
struct archive_sink {
	void *ctx;
	/* Comes first, and once. */
	int (*state)(void *ctx, const uint8_t *data, size_t len, uint64_t mem_size, struct err *e);
	/* Whole pages, ascending. */
	int (*memory)(void *ctx, uint64_t offset, const uint8_t *data, size_t len, struct err *e);
};

/* The body, decompressed, in pieces of any size. */
struct archive_body {
	struct archive_header header;
	const struct archive_sink *sink;
	uint8_t *state; /* owned */
	uint8_t *chunk; /* owned */
	uint64_t state_have;
	size_t head_have, chunk_have;
	struct archive_run run; /* what is left of it */
	uint64_t end;           /* of the last run */
	bool in_run, done;
};

/* -EINVAL, with *e, if the header cannot be right. */
int archive_body_init(struct archive_body *b, const struct archive_header *h,
	const struct archive_sink *sink, struct err *e) MUST_USE;
int archive_body_push(
	struct archive_body *b, const uint8_t *data, size_t len, struct err *e) MUST_USE;
void archive_body_fini(struct archive_body *b);

/*
 * Reads a whole archive, of size bytes, from the start of fd. If it fails, the sink may have had a part
 * of it: the checksum is at the end. progress, which may be NULL, is told how far it is.
 */
int archive_read(int fd, uint64_t size, const struct archive_sink *sink,
	void (*progress)(uint64_t done, uint64_t all), struct err *e) MUST_USE;
