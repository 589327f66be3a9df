/* SPDX-License-Identifier: Apache-2.0 */
/* Memory files, read and written without their holes. See snapshot.h. */
#include "cli/snapshot.h"

#include "snapshot/pages.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PAGE             ((size_t)GMEM_PAGE_SIZE)
#define PROGRESS_WAIT_NS (2 * CLOCK_NS_PER_S)
#define PROGRESS_STEP_NS (200 * CLOCK_NS_PER_MS)

int mem_open(struct mem_file *m, const char *path, int flags, struct err *e)
{
	CLEANUP_FD
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK); /* not to wait for a pipe */
	struct stat st;

	*m = MEM_FILE_NONE;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set_os(e, -errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s: not a regular file", path);
	if (st.st_size == 0 || !IS_ALIGNED((uint64_t)st.st_size, (uint64_t)PAGE))
		return err_set(e, -EINVAL,
			"%s: %llu bytes; a memory file has whole pages of %zu bytes", path,
			(unsigned long long)st.st_size, PAGE);
	*m = (struct mem_file){
		.path = path,
		.fd = fd_take(&fd),
		.size = (uint64_t)st.st_size,
		.dev = st.st_dev,
		.ino = st.st_ino,
	};
	return 0;
}

void mem_close(struct mem_file *m)
{
	fd_close(&m->fd);
}

int mem_next(const struct mem_file *m, uint64_t from, uint64_t *ret_start, uint64_t *ret_end,
	struct err *e)
{
	off_t data = from < m->size ? lseek(m->fd, (off_t)from, SEEK_DATA) : -1;
	off_t hole;

	if (from >= m->size || (data < 0 && errno == ENXIO))
		return 0;
	hole = data < 0 ? -1 : lseek(m->fd, data, SEEK_HOLE);
	if (hole < 0)
		return err_set_os(e, -errno, "%s: cannot find its data", m->path);
	if ((uint64_t)data >= m->size) /* it has grown */
		return 0;
	*ret_start = ALIGN_DOWN((uint64_t)data, (uint64_t)PAGE);
	*ret_end = MIN(ALIGN_UP((uint64_t)hole, (uint64_t)PAGE), m->size);
	return 1;
}

int mem_walk(const struct mem_file *m, mem_walk_fn fn, void *ctx, struct err *e)
{
	CLEANUP_FREE
	uint8_t *buf = malloc(MEM_CHUNK);
	uint64_t at = 0, end = 0;
	int rc;

	if (!buf)
		return err_set_os(e, -ENOMEM, "%s", m->path);
	while ((rc = mem_next(m, end, &at, &end, e)) == 1) {
		while (at < end) {
			size_t n = (size_t)MIN((uint64_t)MEM_CHUNK, end - at);

			rc = io_pread_full(m->fd, buf, n, at);
			if (rc < 0)
				return err_set_os(e, rc, "%s: cannot read it", m->path);
			rc = fn(ctx, at, buf, n, e);
			if (rc < 0)
				return rc;
			at += n;
			progress_show(at, m->size);
		}
	}
	if (rc == 0)
		progress_show(m->size, m->size);
	return rc;
}

static bool page_is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, PAGE - 1) == 0;
}

size_t mem_run(const uint8_t *data, size_t len, bool *ret_zero)
{
	size_t n = PAGE;

	*ret_zero = page_is_zero(data);
	while (n < len && page_is_zero(data + n) == *ret_zero)
		n += PAGE;
	return n;
}

int mem_put(int fd, uint64_t offset, const uint8_t *data, size_t len, bool fresh, struct err *e)
{
	while (len > 0) {
		bool zero;
		size_t n = mem_run(data, len, &zero);
		int rc = 0;

		/* What is written over may be a diff, in which a hole means "not changed". */
		if (!zero || !fresh)
			rc = pages_write_bytes(fd, data, n, offset);
		if (rc < 0)
			return err_set_os(e, rc, "cannot write the memory file");
		data += n;
		offset += n;
		len -= n;
	}
	return 0;
}

void progress_show(uint64_t done, uint64_t all)
{
	static uint64_t start, last;
	static bool shown;
	uint64_t now = clock_mono_ns();

	if (start == 0)
		start = now;
	if (done >= all) {
		if (shown)
			(void)fputs("\r100%\n", stderr);
		shown = false;
		return;
	}
	if (now - start < PROGRESS_WAIT_NS || now - last < PROGRESS_STEP_NS || !isatty(2))
		return;
	last = now;
	shown = true;
	(void)fprintf(stderr, "\r%3u%%", (unsigned)((double)done * 100 / (double)all));
}
