/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly snapshot pack` and `unpack`: see snapshot_archive.h for the archive. */
#include "cli/cli.h"
#include "cli/snapshot.h"
#include "cli/snapshot_archive.h"
#include "snapshot/aside.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#define PACK_LEVEL 3
#define PACK_OUT   ((size_t)128 * 1024)

struct pack {
	struct aside file;
	ZSTD_CCtx *zstd; /* owned */
	uint64_t crc;
	uint8_t out[PACK_OUT];
};

static int pack_write(struct pack *p, const void *data, size_t len, struct err *e)
{
	int rc = io_write_full(p->file.fd, data, len);

	p->crc = snapshot_crc(p->crc, data, len);
	return rc < 0 ? err_set_os(e, rc, "cannot write %s", p->file.part) : 0;
}

static int pack_compress(
	struct pack *p, const void *data, size_t len, ZSTD_EndDirective end, struct err *e)
{
	ZSTD_inBuffer in = {.src = data, .size = len};
	size_t left;

	do {
		ZSTD_outBuffer out = {.dst = p->out, .size = sizeof(p->out)};
		int rc;

		left = ZSTD_compressStream2(p->zstd, &out, &in, end);
		if (ZSTD_isError(left))
			return err_set(e, -EIO, "zstd: %s", ZSTD_getErrorName(left));
		rc = pack_write(p, p->out, out.pos, e);
		if (rc < 0)
			return rc;
	} while (end == ZSTD_e_end ? left != 0 : in.pos < in.size);
	return 0;
}

static int pack_pages(void *ctx, uint64_t offset, const uint8_t *data, size_t len, struct err *e)
{
	while (len > 0) {
		bool zero;
		size_t n = mem_run(data, len, &zero);
		const struct archive_run run = {.offset = offset, .len = n};
		int rc = 0;

		if (!zero)
			rc = pack_compress(ctx, &run, sizeof(run), ZSTD_e_continue, e);
		if (!zero && rc == 0)
			rc = pack_compress(ctx, data, n, ZSTD_e_continue, e);
		if (rc < 0)
			return rc;
		data += n;
		offset += n;
		len -= n;
	}
	return 0;
}

static int pack_all(struct pack *p, const uint8_t *state, size_t state_size,
	const struct mem_file *m, struct err *e)
{
	const struct archive_header h = {.magic = ARCHIVE_MAGIC,
		.version = ARCHIVE_VERSION,
		.state_size = state_size,
		.mem_size = m->size};
	const struct archive_run end = {.offset = m->size};
	int rc = pack_write(p, &h, sizeof(h), e);
	uint64_t crc;

	if (rc == 0)
		rc = pack_compress(p, state, state_size, ZSTD_e_continue, e);
	if (rc == 0)
		rc = mem_walk(m, pack_pages, p, e);
	if (rc == 0)
		rc = pack_compress(p, &end, sizeof(end), ZSTD_e_end, e);
	crc = p->crc;
	if (rc == 0)
		rc = pack_write(p, &crc, sizeof(crc), e);
	if (rc == 0)
		rc = aside_sync(&p->file, "output", e);
	return rc == 0 ? aside_commit(&p->file, "output", e) : rc;
}

static int pack_files(const char *path, const uint8_t *state, size_t state_size,
	const struct mem_file *m, struct err *e)
{
	static struct pack p; /* large */
	int rc = aside_open(&p.file, path, "output", e);

	if (rc < 0)
		return rc;
	p.zstd = ZSTD_createCCtx();
	if (!p.zstd ||
		ZSTD_isError(ZSTD_CCtx_setParameter(p.zstd, ZSTD_c_compressionLevel, PACK_LEVEL)))
		rc = err_set_os(e, -ENOMEM, "zstd");
	else
		rc = pack_all(&p, state, state_size, m, e);
	(void)ZSTD_freeCCtx(p.zstd);
	aside_close(&p.file);
	return rc < 0 ? err_wrap(e, "%s", path) : 0;
}

/* The bytes that were checked are the bytes that are packed. */
static int state_parse(const uint8_t *data, size_t len, uint64_t mem_size, struct err *e)
{
	static struct snapshot_reader r; /* large; these three */
	static struct snapshot_info info;
	int rc = snapshot_open(&r, data, len, snapshot_section_known, e);

	if (rc == 0)
		rc = snapshot_verify(&r, e);
	if (rc == 0)
		rc = snapshot_get_table(&r, SNAPSHOT_INFO, 0, &snapshot_info_table, &info, e);
	if (rc < 0)
		return err_wrap(e, "the state file");
	if (info.mem_size != mem_size)
		return err_set(e, -EINVAL,
			"the memory file has %" PRIu64
			" bytes, but the state file is of a VM with %" PRIu64 " bytes of memory",
			mem_size, info.mem_size);
	return 0;
}

int snapshot_pack_main(const struct snapshot_options *o, char **args, int count)
{
	CLEANUP_FREE
	char *state = NULL;
	struct mem_file m = MEM_FILE_NONE;
	size_t len = 0;
	struct err e;
	int rc;

	(void)count;
	if (!o->output)
		return cli_usage("snapshot", "pack: -o FILE is missing");
	rc = io_read_file(args[0], SNAPSHOT_FILE_MAX, &state, &len, &e);
	if (rc == 0)
		rc = mem_open(&m, args[1], O_RDONLY, &e);
	if (rc == 0)
		rc = state_parse((const uint8_t *)state, len, m.size, &e);
	if (rc == 0)
		rc = pack_files(o->output, (const uint8_t *)state, len, &m, &e);
	mem_close(&m);
	return rc < 0 ? snapshot_failed(&e, CLI_FAILED) : CLI_OK;
}

/* ---- unpack ---- */

struct unpack {
	const char *state_path, *mem_path;
	struct aside state, mem;
};

/* Nothing is written before the state file has been found good, and of that much memory. */
static int unpack_state(
	void *ctx, const uint8_t *data, size_t len, uint64_t mem_size, struct err *e)
{
	struct unpack *u = ctx;
	struct stat st;
	int rc = state_parse(data, len, mem_size, e);

	if (rc == 0)
		rc = aside_open(&u->state, u->state_path, "state", e);
	if (rc == 0)
		rc = aside_open(&u->mem, u->mem_path, "memory", e);
	if (rc < 0)
		return rc;
	/* The second name may be another spelling of the first: then it took away what that had made. */
	if (fstat(u->state.fd, &st) < 0 || st.st_nlink == 0)
		return err_set(e, -EINVAL, "state and memory need a file each: %s and %s are one",
			u->state_path, u->mem_path);
	rc = io_write_full(u->state.fd, data, len);
	if (rc < 0)
		return err_set_os(e, rc, "cannot write %s", u->state.part);
	if (ftruncate(u->mem.fd, (off_t)mem_size) < 0)
		return err_set_os(e, -errno, "cannot size %s", u->mem.part);
	return 0;
}

static int unpack_memory(void *ctx, uint64_t offset, const uint8_t *data, size_t len, struct err *e)
{
	const struct unpack *u = ctx;

	return mem_put(u->mem.fd, offset, data, len, true, e);
}

static int unpack_file(struct unpack *u, const char *path, struct err *e)
{
	const struct archive_sink sink = {.ctx = u, .state = unpack_state, .memory = unpack_memory};
	CLEANUP_FD
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set_os(e, -errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s: not a regular file", path);
	rc = archive_read(fd, (uint64_t)st.st_size, &sink, progress_show, e);
	if (rc == 0)
		rc = aside_sync(&u->mem, "memory", e);
	if (rc == 0)
		rc = aside_sync(&u->state, "state", e);
	if (rc == 0)
		rc = aside_commit(&u->mem, "memory", e);
	if (rc == 0)
		rc = aside_commit(&u->state, "state", e);
	return rc < 0 ? err_wrap(e, "%s", path) : 0;
}

/* Names are the command line's, never the archive's. The exit status; the caller frees both. */
static int unpack_names(const struct snapshot_options *o, char **ret_state, char **ret_mem)
{
	if (o->directory ? o->state || o->memory : !o->state || !o->memory)
		return cli_usage("snapshot", "unpack: -d DIR, or -s STATE and -m MEMORY");
	if (!o->directory && strcmp(o->state, o->memory) == 0)
		return cli_usage("snapshot", "unpack: state and memory need a file each");
	if (asprintf(ret_state, "%s%s", o->directory ? o->directory : o->state,
		    o->directory ? "/vm.state" : "") < 0)
		*ret_state = NULL;
	if (asprintf(ret_mem, "%s%s", o->directory ? o->directory : o->memory,
		    o->directory ? "/vm.mem" : "") < 0)
		*ret_mem = NULL;
	if (*ret_state && *ret_mem)
		return CLI_OK;
	cli_say("snapshot", "no memory");
	return CLI_FAILED;
}

int snapshot_unpack_main(const struct snapshot_options *o, char **args, int count)
{
	CLEANUP_FREE
	char *state = NULL;
	CLEANUP_FREE
	char *mem = NULL;
	struct unpack u = {.state = ASIDE_NONE, .mem = ASIDE_NONE};
	struct err e;
	int rc = unpack_names(o, &state, &mem);

	(void)count;
	if (rc != CLI_OK)
		return rc;
	u.state_path = state;
	u.mem_path = mem;
	rc = unpack_file(&u, args[0], &e);
	aside_close(&u.mem);
	aside_close(&u.state);
	return rc < 0 ? snapshot_failed(&e, CLI_FAILED) : CLI_OK;
}
