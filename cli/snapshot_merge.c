/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mayfly snapshot merge`: a diff's pages put into a full memory file. In place it can be repeated
 * after any failure, since the diff stays as it is; with another file as output the old file is not touched.
 */
#include "cli/cli.h"
#include "cli/snapshot.h"
#include "snapshot/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

struct merge {
	int fd; /* borrowed: where it goes */
	bool fresh;
};

static int merge_pages(void *ctx, uint64_t offset, const uint8_t *data, size_t len, struct err *e)
{
	const struct merge *m = ctx;

	return mem_put(m->fd, offset, data, len, m->fresh, e);
}

/*
 * A hole of a diff says that a page has not changed. A file without any has lost them, copied by a
 * program that does not keep them: its zeroes would be taken for changes.
 */
static int merge_check(const struct mem_file *base, const struct mem_file *diff, struct err *e)
{
	uint64_t start, end;
	int rc;

	if (base->dev == diff->dev && base->ino == diff->ino)
		return err_set(e, -EINVAL, "%s and %s are the same file", base->path, diff->path);
	if (base->size != diff->size)
		return err_set(e, -EINVAL,
			"%s has %" PRIu64 " bytes, but %s %" PRIu64 ": it is a diff of another VM",
			diff->path, diff->size, base->path, base->size);
	rc = mem_next(diff, 0, &start, &end, e);
	if (rc == 1 && start == 0 && end == diff->size)
		return err_set(e, -EINVAL,
			"%s has no holes: either a copy has lost them, or it holds every page and "
			"is a full memory file itself",
			diff->path);
	return rc < 0 ? rc : 0;
}

static int merge_in_place(const struct mem_file *base, const struct mem_file *diff, struct err *e)
{
	struct merge m = {.fd = base->fd};
	int rc = mem_walk(diff, merge_pages, &m, e);

	if (rc == 0 && fsync(base->fd) < 0)
		rc = err_set_os(e, -errno, "fsync");
	return rc < 0 ? err_wrap(e, "%s: merged in part: merge again", base->path) : 0;
}

static int merge_aside(
	const struct mem_file *base, const struct mem_file *diff, const char *path, struct err *e)
{
	struct aside a = ASIDE_NONE;
	struct merge m = {.fresh = true};
	int rc = aside_open(&a, path, "output", e);

	if (rc < 0)
		return rc;
	m.fd = a.fd;
	if (ftruncate(a.fd, (off_t)base->size) < 0)
		rc = err_set_os(e, -errno, "cannot size %s", a.part);
	if (rc == 0)
		rc = mem_walk(base, merge_pages, &m, e);
	m.fresh = false;
	if (rc == 0)
		rc = mem_walk(diff, merge_pages, &m, e);
	if (rc == 0)
		rc = aside_sync(&a, "output", e);
	if (rc == 0)
		rc = aside_commit(&a, "output", e);
	aside_close(&a);
	return rc < 0 ? err_wrap(e, "%s", path) : 0;
}

int snapshot_merge_main(const struct snapshot_options *o, char **args, int count)
{
	struct mem_file base, diff = MEM_FILE_NONE;
	struct err e;
	int rc = mem_open(&base, args[0], o->output ? O_RDONLY : O_RDWR, &e);

	(void)count;
	if (rc == 0)
		rc = mem_open(&diff, args[1], O_RDONLY, &e);
	if (rc == 0)
		rc = merge_check(&base, &diff, &e);
	if (rc == 0 && o->output)
		rc = merge_aside(&base, &diff, o->output, &e);
	else if (rc == 0)
		rc = merge_in_place(&base, &diff, &e);
	mem_close(&diff);
	mem_close(&base);
	return rc < 0 ? snapshot_failed(&e, CLI_FAILED) : CLI_OK;
}
