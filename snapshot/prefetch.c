/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prefetch. See prefetch.h. The file is hostile: the offsets are the kernel's, which finds data and holes,
 * and are cut to guest memory; at worst all of the guest's memory is copied.
 */
#include "snapshot/prefetch.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"
#include "vmm/base/passed_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* [from, to) of the memory file, which may lie in several regions. Whole pages. */
static int prefetch_range(const struct gmem *m, uint64_t from, uint64_t to)
{
	for (uint32_t i = 0; i < m->region_count; i++) {
		const struct gmem_region *r = &m->regions[i];
		uint64_t lo = MAX(from, r->file_offset), hi = MIN(to, r->file_offset + r->size);

		if (lo < hi && madvise(gmem_host_addr(r->host + (lo - r->file_offset)), hi - lo,
				       MADV_POPULATE_WRITE) < 0)
			return -errno;
	}
	return 0;
}

static int prefetch_open(const struct gmem *m, const char *path, struct err *e)
{
	CLEANUP_FD
	int fd = passed_fd_or_file(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, e);
	struct stat st;

	if (fd < 0 && passed_fd_is(path))
		return err_wrap(e, "prefetch_path");
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set_os(e, fd < 0 ? fd : -errno, "prefetch_path %s", path);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != m->size)
		return err_set(e, -EINVAL,
			"prefetch_path %s: %llu bytes, the VM's memory has %llu: it is no diff of "
			"this VM",
			path, (unsigned long long)st.st_size, (unsigned long long)m->size);
	if (lseek(fd, 0, SEEK_HOLE) >= st.st_size)
		return err_set(e, -EINVAL,
			"prefetch_path %s: it has no hole: it is no diff, or has lost them", path);
	return fd_take(&fd);
}

int prefetch_pages(const struct gmem *m, const char *path, struct err *e)
{
	CLEANUP_FD
	int fd = prefetch_open(m, path, e);
	uint64_t at = 0;

	if (fd < 0)
		return fd;
	while (at < m->size) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		uint64_t from, to;
		int rc;

		if (data < 0 || hole < 0) /* ENXIO: nothing more */
			break;
		from = ALIGN_DOWN((uint64_t)data, (uint64_t)GMEM_PAGE_SIZE);
		to = MIN(ALIGN_UP((uint64_t)hole, (uint64_t)GMEM_PAGE_SIZE), m->size);
		if (to <= at) /* a file that changes meanwhile */
			break;
		rc = prefetch_range(m, MAX(from, at), to);
		if (rc < 0) {
			log_warn("prefetch_path %s: stopped at %llu: %s", path,
				(unsigned long long)from, strerrordesc_np(-rc));
			break;
		}
		at = to;
	}
	return 0;
}
