/* SPDX-License-Identifier: Apache-2.0 */
/* Reading archives. See snapshot_archive.h; cli/snapshot_pack.c writes them. */
#include "cli/snapshot_archive.h"

#include "snapshot/format.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"
#include "vmm/mem/gmem.h"

#include <errno.h>
#include <string.h>
#include <zstd.h>

#define READ_SIZE ((size_t)128 * 1024)

int archive_body_init(struct archive_body *b, const struct archive_header *h,
	const struct archive_sink *sink, struct err *e)
{
	*b = (struct archive_body){.header = *h, .sink = sink};
	if (h->magic != ARCHIVE_MAGIC)
		return err_set(e, -EINVAL, "this is not an archive of mayfly (magic 0x%llx)",
			(unsigned long long)h->magic);
	if (h->version != ARCHIVE_VERSION)
		return err_set(e, -EINVAL, "version %u is not known to this mayfly, which reads %u",
			h->version, ARCHIVE_VERSION);
	if (h->reserved != 0 || h->state_size == 0 || h->state_size > SNAPSHOT_FILE_MAX ||
		h->mem_size == 0 || h->mem_size > GMEM_SIZE_MAX ||
		!IS_ALIGNED(h->mem_size, (uint64_t)GMEM_PAGE_SIZE))
		return err_set(e, -EINVAL,
			"the header is damaged: a state file of %llu bytes, memory of %llu",
			(unsigned long long)h->state_size, (unsigned long long)h->mem_size);
	b->state = malloc(h->state_size);
	b->chunk = malloc(ARCHIVE_CHUNK);
	if (b->state && b->chunk)
		return 0;
	archive_body_fini(b);
	return err_set_os(e, -ENOMEM, "the archive");
}

void archive_body_fini(struct archive_body *b)
{
	free(b->state);
	free(b->chunk);
	*b = (struct archive_body){0};
}

/* As many of len bytes as *have lacks to want; returns how many. */
static size_t take(void *to, uint64_t *have, uint64_t want, const uint8_t *data, size_t len)
{
	size_t n = (size_t)MIN((uint64_t)len, want - *have);

	memcpy((uint8_t *)to + *have, data, n);
	*have += n;
	return n;
}

static int run_check(struct archive_body *b, struct err *e)
{
	const struct archive_run *r = &b->run;

	if (r->offset == b->header.mem_size && r->len == 0) {
		b->done = true;
		return 0;
	}
	if (r->len == 0 || r->offset < b->end || !IS_ALIGNED(r->offset, (uint64_t)GMEM_PAGE_SIZE) ||
		!IS_ALIGNED(r->len, (uint64_t)GMEM_PAGE_SIZE) ||
		!in_range(r->offset, r->len, b->header.mem_size))
		return err_set(e, -EINVAL,
			"a run of %llu bytes at %llu of the memory cannot be right",
			(unsigned long long)r->len, (unsigned long long)r->offset);
	b->end = r->offset + r->len;
	b->in_run = true;
	return 0;
}

static int push_head(
	struct archive_body *b, const uint8_t *data, size_t len, size_t *ret_used, struct err *e)
{
	uint64_t have = b->head_have;

	*ret_used = take(&b->run, &have, sizeof(b->run), data, len);
	b->head_have = (size_t)have;
	if (have < sizeof(b->run))
		return 0;
	b->head_have = 0;
	return run_check(b, e);
}

static int push_run(
	struct archive_body *b, const uint8_t *data, size_t len, size_t *ret_used, struct err *e)
{
	uint64_t have = b->chunk_have, want = MIN(b->run.len, (uint64_t)ARCHIVE_CHUNK);
	int rc;

	*ret_used = take(b->chunk, &have, want, data, len);
	b->chunk_have = (size_t)have;
	if (have < want)
		return 0;
	rc = b->sink->memory(b->sink->ctx, b->run.offset, b->chunk, (size_t)want, e);
	b->chunk_have = 0;
	b->run.offset += want;
	b->run.len -= want;
	b->in_run = b->run.len > 0;
	return rc;
}

static int push_state(
	struct archive_body *b, const uint8_t *data, size_t len, size_t *ret_used, struct err *e)
{
	*ret_used = take(b->state, &b->state_have, b->header.state_size, data, len);
	if (b->state_have < b->header.state_size)
		return 0;
	return b->sink->state(b->sink->ctx, b->state, (size_t)b->state_have, b->header.mem_size, e);
}

int archive_body_push(struct archive_body *b, const uint8_t *data, size_t len, struct err *e)
{
	while (len > 0) {
		size_t used = 0;
		int rc;

		if (b->done)
			return err_set(e, -EINVAL, "something follows the end of the memory");
		if (b->state_have < b->header.state_size)
			rc = push_state(b, data, len, &used, e);
		else if (b->in_run)
			rc = push_run(b, data, len, &used, e);
		else
			rc = push_head(b, data, len, &used, e);
		if (rc < 0)
			return rc;
		data += used;
		len -= used;
	}
	return 0;
}

/* ---- the file ---- */

struct reading {
	int fd;
	uint64_t at, end; /* of the body */
	uint64_t crc;
	ZSTD_DStream *zstd;
	size_t hint; /* 0: the frame is complete */
	struct archive_body body;
	uint8_t in[READ_SIZE], out[READ_SIZE];
};

static int reading_take(struct reading *r, void *ret, size_t len, struct err *e)
{
	int rc = io_pread_full(r->fd, ret, len, r->at);

	if (rc < 0)
		return err_set_os(e, rc, "cannot read the archive");
	r->at += len;
	return 0;
}

static int reading_decompress(struct reading *r, size_t len, struct err *e)
{
	ZSTD_inBuffer in = {.src = r->in, .size = len};
	bool full = false; /* zstd may hold more than there was room for */

	while (in.pos < in.size || full) {
		ZSTD_outBuffer out = {.dst = r->out, .size = sizeof(r->out)};
		int rc;

		if (r->hint == 0)
			return err_set(e, -EINVAL, "something follows the compressed data");
		r->hint = ZSTD_decompressStream(r->zstd, &out, &in);
		if (ZSTD_isError(r->hint))
			return err_set(e, -EINVAL, "the compressed data is damaged: %s",
				ZSTD_getErrorName(r->hint));
		full = r->hint != 0 && out.pos == out.size;
		rc = archive_body_push(&r->body, r->out, out.pos, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int reading_body(
	struct reading *r, void (*progress)(uint64_t done, uint64_t all), struct err *e)
{
	while (r->at < r->end) {
		size_t n = (size_t)MIN((uint64_t)READ_SIZE, r->end - r->at);
		int rc = reading_take(r, r->in, n, e);

		if (rc < 0)
			return rc;
		r->crc = snapshot_crc(r->crc, r->in, n);
		rc = reading_decompress(r, n, e);
		if (rc < 0)
			return rc;
		if (progress)
			progress(r->at, r->end);
	}
	if (r->hint != 0 || !r->body.done)
		return err_set(e, -EINVAL, "the archive is cut off");
	return 0;
}

static int reading_run(struct reading *r, const struct archive_sink *sink,
	void (*progress)(uint64_t done, uint64_t all), struct err *e)
{
	struct archive_header h;
	uint64_t crc;
	int rc = reading_take(r, &h, sizeof(h), e);

	if (rc < 0)
		return rc;
	r->crc = snapshot_crc(0, &h, sizeof(h));
	rc = archive_body_init(&r->body, &h, sink, e);
	if (rc == 0)
		rc = reading_body(r, progress, e);
	if (rc == 0)
		rc = reading_take(r, &crc, sizeof(crc), e);
	if (rc == 0 && crc != r->crc)
		rc = err_set(e, -EINVAL, "the checksum is wrong: the archive is damaged");
	archive_body_fini(&r->body);
	return rc;
}

int archive_read(int fd, uint64_t size, const struct archive_sink *sink,
	void (*progress)(uint64_t done, uint64_t all), struct err *e)
{
	struct reading *r;
	int rc;

	if (size < sizeof(struct archive_header) + sizeof(uint64_t))
		return err_set(e, -EINVAL, "the archive is too short: %llu bytes",
			(unsigned long long)size);
	r = malloc(sizeof(*r));
	if (!r)
		return err_set_os(e, -ENOMEM, "the archive");
	memset(r, 0, sizeof(*r));
	r->fd = fd;
	r->end = size - sizeof(uint64_t);
	r->hint = 1;
	r->zstd = ZSTD_createDStream();
	if (!r->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(
				r->zstd, ZSTD_d_windowLogMax, ARCHIVE_WINDOWLOG)))
		rc = err_set_os(e, -ENOMEM, "zstd");
	else
		rc = reading_run(r, sink, progress, e);
	(void)ZSTD_freeDStream(r->zstd);
	free(r);
	return rc;
}
