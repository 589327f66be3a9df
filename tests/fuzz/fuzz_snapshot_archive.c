/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an archive of a snapshot. If the first byte is odd, the rest is a header and a body
 * that is not compressed, in pieces of that byte's size; otherwise it is a file whose checksum is
 * put right first, or nothing behind it would be reached. What comes out must be within the header's sizes.
 */
#include "cli/snapshot_archive.h"
#include "snapshot/format.h"
#include "vmm/base/check.h"
#include "vmm/mem/gmem.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint64_t mem_size, end;
};

static int on_state(void *ctx, const uint8_t *data, size_t len, uint64_t mem_size, struct err *e)
{
	struct seen *s = ctx;

	(void)e;
	CHECK(s->mem_size == 0 && mem_size > 0 && len > 0 && len <= SNAPSHOT_FILE_MAX);
	(void)snapshot_crc(0, data, len); /* every byte is there */
	s->mem_size = mem_size;
	return 0;
}

static int on_memory(void *ctx, uint64_t offset, const uint8_t *data, size_t len, struct err *e)
{
	struct seen *s = ctx;

	(void)e;
	CHECK(offset >= s->end && in_range(offset, len, s->mem_size) && len > 0);
	CHECK(IS_ALIGNED(offset, (uint64_t)GMEM_PAGE_SIZE) && len % GMEM_PAGE_SIZE == 0);
	(void)snapshot_crc(0, data, len);
	s->end = offset + len;
	return 0;
}

static void read_body(
	const uint8_t *data, size_t size, size_t piece, const struct archive_sink *sink)
{
	struct archive_body b;
	struct archive_header h;
	struct err e;
	int rc;

	if (size < sizeof(h))
		return;
	memcpy(&h, data, sizeof(h));
	rc = archive_body_init(&b, &h, sink, &e);
	for (size_t at = sizeof(h); rc == 0 && at < size; at += piece)
		rc = archive_body_push(&b, data + at, MIN(piece, size - at), &e);
	archive_body_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = {0};
	const struct archive_sink sink = {.ctx = &seen, .state = on_state, .memory = on_memory};
	uint64_t crc;
	struct err e;
	int fd;

	if (size < 1 + sizeof(crc) || size > (size_t)256 * 1024)
		return 0;
	if (data[0] & 1) {
		read_body(data + 1, size - 1, data[0], &sink);
		return 0;
	}
	fd = memfd_create("archive", MFD_CLOEXEC);
	crc = snapshot_crc(0, data + 1, size - 1 - sizeof(crc));
	CHECK(fd >= 0 && write(fd, data + 1, size - 1 - sizeof(crc)) >= 0);
	CHECK(write(fd, &crc, sizeof(crc)) == sizeof(crc));
	(void)!archive_read(fd, size - 1, &sink, NULL, &e);
	(void)close(fd);
	return 0;
}
