/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory that is frozen for a fork, and goes on over what was frozen. See gmem.h. New mappings
 * go over the old ones in place: KVM's memory slots and every host address stay valid, and KVM drops
 * what it has mapped of a page when the mapping goes.
 */
#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/mem/gmem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define UNMAP_STEP (64 * MIB) /* so that faults of the guest get in between */

void gmem_overlay_fini(struct gmem_overlay *o)
{
	fd_close(&o->fd);
	free(o->runs);
	*o = (struct gmem_overlay){.fd = -1};
}

uint32_t gmem_run_count(const struct gmem *m)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < m->overlay_count; i++)
		count += m->overlays[i].run_count;
	return count;
}

/* #syscalls:main madvise:2=MADV_DONTNEED */
void gmem_unmap_pages(const struct gmem *m)
{
	if (m->backing != GMEM_BACKING_MEMFD)
		return;
	for (uint32_t i = 0; i < m->region_count; i++) {
		const struct gmem_region *r = &m->regions[i];

		for (uint64_t off = 0; off < r->size; off += UNMAP_STEP)
			(void)madvise(gmem_host_addr(r->host + off),
				MIN(r->size - off, (uint64_t)UNMAP_STEP), MADV_DONTNEED);
	}
}

/*
 * #syscalls:main mmap:2=PROT_READ|PROT_WRITE,3=MAP_PRIVATE|MAP_FIXED|MAP_NORESERVE
 * #syscalls:main madvise:2=MADV_DONTDUMP
 */
static int freeze_map(const struct gmem *m, int fd, void *at, uint64_t size, uint64_t off)
{
	void *p = mmap(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
		fd, (off_t)off);

	CHECK(m->pages != GMEM_PAGES_2M);
	if (p == MAP_FAILED)
		return -errno;
	return madvise(p, size, MADV_DONTDUMP) == 0 ? 0 : -errno;
}

static int freeze_map_all(const struct gmem *m, int fd)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < m->region_count; i++)
		rc = freeze_map(m, fd, gmem_host_addr(m->regions[i].host), m->regions[i].size,
			m->regions[i].file_offset);
	return rc;
}

/*
 * Nothing has been written since, so a shared mapping is the same. A region without any mapping is
 * no guest to go on with, and cannot be had back: then this process has ended.
 *
 * #syscalls:main mmap:2=PROT_READ|PROT_WRITE,3=MAP_SHARED|MAP_FIXED|MAP_NORESERVE
 */
static void freeze_undo(const struct gmem *m)
{
	for (uint32_t i = 0; i < m->region_count; i++) {
		const struct gmem_region *r = &m->regions[i];
		void *p = mmap(gmem_host_addr(r->host), r->size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_FIXED | MAP_NORESERVE, m->fd, (off_t)r->file_offset);

		CHECK(p != MAP_FAILED);
	}
}

int gmem_freeze_base(struct gmem *m, struct err *e)
{
	int rc;

	CHECK(m->backing == GMEM_BACKING_MEMFD);
	rc = freeze_map_all(m, m->fd);
	if (rc < 0) {
		freeze_undo(m);
		return err_set_os(e, rc, "cannot map guest memory privately");
	}
	m->backing = GMEM_BACKING_FILE;
	m->base_is_new = true;
	return 0;
}

int gmem_map_runs(const struct gmem *m, const struct gmem_overlay *o)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < o->run_count; i++) {
		const struct gmem_run *run = &o->runs[i];
		const struct gmem_region *r = &m->regions[0];

		while (run->offset >= r->file_offset + r->size)
			r++;
		CHECK(r < m->regions + m->region_count);
		rc = freeze_map(m, o->fd, gmem_host_addr(r->host + (run->offset - r->file_offset)),
			run->size, run->offset);
	}
	return rc;
}

int gmem_freeze_overlay(struct gmem *m, struct gmem_overlay *o, struct err *e)
{
	int rc;

	CHECK(m->backing == GMEM_BACKING_FILE && m->overlay_count < GMEM_OVERLAYS_MAX);
	rc = gmem_map_runs(m, o);
	m->overlays[m->overlay_count++] = *o;
	*o = (struct gmem_overlay){.fd = -1};
	return rc == 0 ? 0 : err_set_os(e, rc, "cannot map changed pages (vm.max_map_count)");
}

int gmem_replace_base(struct gmem *m, int fd, struct err *e)
{
	int rc;

	CHECK(m->backing == GMEM_BACKING_FILE);
	rc = freeze_map_all(m, fd);
	for (uint32_t i = 0; i < m->overlay_count; i++)
		gmem_overlay_fini(&m->overlays[i]);
	m->overlay_count = 0;
	fd_close(&m->fd);
	m->fd = fd;
	m->base_is_new = true;
	return rc == 0 ? 0 : err_set_os(e, rc, "cannot map guest memory anew");
}

/*
 * What is no memfd has no seals. One that has been sealed may not be once more.
 *
 * #syscalls:main fcntl:1=F_GET_SEALS fcntl:1=F_ADD_SEALS
 */
int gmem_seal(int fd, struct err *e)
{
	int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	int have = fcntl(fd, F_GET_SEALS);

	if (have == seals || (have < 0 && errno == EINVAL))
		return 0;
	if (fcntl(fd, F_ADD_SEALS, seals) < 0)
		return err_set_os(e, -errno, "cannot seal guest memory");
	return 0;
}

/* ---- layers that came from elsewhere ---- */

static bool run_ok(const struct gmem *m, const struct gmem_run *run, uint64_t from)
{
	if (run->size == 0 || !IS_ALIGNED(run->offset | run->size, (uint64_t)GMEM_PAGE_SIZE) ||
		run->offset < from)
		return false;
	for (uint32_t i = 0; i < m->region_count; i++) {
		const struct gmem_region *r = &m->regions[i];

		if (run->offset >= r->file_offset && run->offset - r->file_offset < r->size)
			return run->size <= r->size - (run->offset - r->file_offset);
	}
	return false;
}

int gmem_check_overlays(const struct gmem *m, const struct gmem_config *c, struct err *e)
{
	uint32_t count = 0;

	if (c->backing != GMEM_BACKING_FILE || c->overlay_count > GMEM_OVERLAYS_MAX)
		return err_set(e, -EINVAL, "%u overlays of guest memory: %u are the most",
			c->overlay_count, GMEM_OVERLAYS_MAX);
	for (uint32_t i = 0; i < c->overlay_count; i++) {
		const struct gmem_overlay *o = &c->overlays[i];
		uint64_t from = 0;
		struct stat st;

		if (fstat(o->fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size < m->size)
			return err_set(e, -EINVAL, "overlay %u of guest memory is too short", i);
		for (uint32_t k = 0; k < o->run_count; k++) {
			if (++count > GMEM_RUNS_MAX || !run_ok(m, &o->runs[k], from))
				return err_set(e, -EINVAL, "overlay %u: run %u is no good", i, k);
			from = o->runs[k].offset + o->runs[k].size;
		}
	}
	return 0;
}
