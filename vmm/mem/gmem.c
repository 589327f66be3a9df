/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory. See gmem.h. All regions live inside one address range reserved without access;
 * what stays reserved between and around them are the guards: a host-side overrun of guest RAM
 * faults instead of reaching other memory. Regions start on 2 MiB boundaries, as guest addresses
 * do, so that KVM can use large pages for them.
 */
#include "vmm/mem/gmem.h"

#include "vmm/base/check.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define GMEM_ALIGN      (2 * MIB)
#define GMEM_GUARD_SIZE (2 * MIB)

static void gmem_clear(struct gmem *m)
{
	*m = (struct gmem){.fd = -1};
}

static int gmem_check_config(const struct gmem_config *c, struct err *e)
{
	uint64_t page = c->pages == GMEM_PAGES_2M ? 2 * MIB : GMEM_PAGE_SIZE;

	if (c->size == 0 || c->size > GMEM_SIZE_MAX)
		return err_set(e, -EINVAL,
			"Cannot create mmap region: the memory size is %llu MiB; 1 to %llu MiB are "
			"possible",
			(unsigned long long)(c->size / MIB),
			(unsigned long long)(GMEM_SIZE_MAX / MIB));
	if (!IS_ALIGNED(c->size, page))
		return err_set(e, -EINVAL,
			"Cannot create mmap region: the memory size is %llu bytes; with pages of "
			"%llu KiB "
			"it must be a multiple of that",
			(unsigned long long)c->size, (unsigned long long)(page / KIB));
	return 0;
}

static int gmem_check_file(struct gmem *m, const struct gmem_config *c, struct err *e)
{
	struct stat st;

	if (fstat(c->file_fd, &st) < 0)
		return err_set_os(e, -errno, "the memory file");
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < c->size)
		return err_set(e, -EINVAL,
			"the memory file has %llu bytes, the VM had %llu: it is not the one that "
			"belongs to this state",
			(unsigned long long)st.st_size, (unsigned long long)c->size);
	m->file = (struct gmem_file){.dev = st.st_dev, .ino = st.st_ino};
	return 0;
}

static int gmem_open_backing(struct gmem *m, const struct gmem_config *c, struct err *e)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int rc;

	m->backing = c->backing;
	m->pages = c->pages;
	if (c->backing == GMEM_BACKING_ANON)
		return 0;
	if (c->backing == GMEM_BACKING_FILE) {
		rc = gmem_check_file(m, c, e);
		if (rc == 0)
			m->fd = c->file_fd;
		return rc;
	}
	if (c->pages == GMEM_PAGES_2M)
		flags |= MFD_HUGETLB | MFD_HUGE_2MB;
	m->fd = memfd_create("guest-memory", flags);
	if (m->fd < 0)
		return err_set_os(e, -errno, "Cannot create the memory file (memfd%s)",
			c->pages == GMEM_PAGES_2M ? ", pages of 2 MiB" : "");
	if (ftruncate(m->fd, (off_t)c->size) < 0)
		return err_set_os(e, -errno, "Cannot size the memory file to %llu MiB",
			(unsigned long long)(c->size / MIB));
	return 0;
}

static void gmem_lay_out(struct gmem *m, uint64_t size)
{
	uint64_t low = MIN(size, GMEM_HOLE_START);

	m->size = size;
	m->region_count = 1;
	m->regions[0] = (struct gmem_region){.start = GPA(0), .size = low};
	if (size > low) {
		m->region_count = 2;
		m->regions[1] = (struct gmem_region){
			.start = GPA(GMEM_HOLE_END), .size = size - low, .file_offset = low};
	}
}

static int gmem_map_flags(const struct gmem_config *c)
{
	int flags = MAP_FIXED | (c->pages == GMEM_PAGES_2M ? 0 : MAP_NORESERVE);

	flags |= c->backing == GMEM_BACKING_MEMFD ? MAP_SHARED : MAP_PRIVATE;
	if (c->backing == GMEM_BACKING_ANON)
		flags |= MAP_ANONYMOUS;
	if (c->backing == GMEM_BACKING_ANON && c->pages == GMEM_PAGES_2M)
		flags |= MAP_HUGETLB | (int)MAP_HUGE_2MB;
	return flags;
}

/* A short pool fails here, at start, because MAP_NORESERVE is left out for hugetlb pages. */
static int gmem_map_region(struct gmem *m, struct gmem_region *r, uintptr_t at,
	const struct gmem_config *c, struct err *e)
{
	int flags = gmem_map_flags(c);
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): an address inside our own reservation */
	void *want = (void *)at;
	void *p = mmap(want, r->size, PROT_READ | PROT_WRITE, flags, m->fd, (off_t)r->file_offset);

	if (p == MAP_FAILED && c->pages == GMEM_PAGES_2M)
		return err_set_os(e, -errno,
			"Cannot create mmap region: %llu huge pages of 2 MiB are needed; see "
			"HugePages_Free in /proc/meminfo and raise vm.nr_hugepages",
			(unsigned long long)(m->size / (2 * MIB)));
	if (p == MAP_FAILED)
		return err_set_os(e, -errno, "Cannot create mmap region of %llu MiB",
			(unsigned long long)(r->size / MIB));
	r->host = (unsigned char __guest *)p;
	if (madvise(p, r->size, MADV_DONTDUMP) < 0)
		return err_set_os(e, -errno, "Cannot keep guest memory out of core dumps");
	if (c->pages == GMEM_PAGES_TRANSPARENT && madvise(p, r->size, MADV_HUGEPAGE) < 0)
		log_warn("huge_pages Transparent has no effect: this kernel has no transparent "
			 "huge pages");
	return 0;
}

static int gmem_map(struct gmem *m, const struct gmem_config *c, struct err *e)
{
	uint64_t span = GMEM_ALIGN + GMEM_GUARD_SIZE;
	uintptr_t at;
	void *p;

	for (uint32_t i = 0; i < m->region_count; i++)
		span += ALIGN_UP(m->regions[i].size, GMEM_ALIGN) + GMEM_GUARD_SIZE;
	p = mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return err_set_os(e, -errno,
			"Cannot create mmap region: no %llu MiB of address space (see ulimit -v)",
			(unsigned long long)(span / MIB));
	m->reserved = p;
	m->reserved_size = span;
	if (madvise(p, span, MADV_DONTDUMP) < 0)
		return err_set_os(e, -errno, "Cannot keep guest memory out of core dumps");
	at = ALIGN_UP((uintptr_t)p, GMEM_ALIGN) + GMEM_GUARD_SIZE;
	for (uint32_t i = 0; i < m->region_count; i++) {
		int rc = gmem_map_region(m, &m->regions[i], at, c, e);

		if (rc < 0)
			return rc;
		at += ALIGN_UP(m->regions[i].size, GMEM_ALIGN) + GMEM_GUARD_SIZE;
	}
	return 0;
}

static int gmem_map_dirty(struct gmem *m, struct err *e)
{
	uint64_t pages = m->size / GMEM_PAGE_SIZE;
	uint64_t bytes = ALIGN_UP((pages + 7) / 8, (uint64_t)GMEM_PAGE_SIZE);
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return err_set_os(e, -errno, "Cannot create mmap region of the dirty bitmap");
	m->dirty = p;
	m->dirty_size = bytes;
	return 0;
}

int gmem_init(struct gmem *m, const struct gmem_config *c, struct err *e)
{
	int rc;

	gmem_clear(m);
	rc = gmem_check_config(c, e);
	if (rc < 0)
		return rc;
	gmem_lay_out(m, c->size);
	rc = gmem_open_backing(m, c, e);
	if (rc == 0)
		rc = gmem_map(m, c, e);
	if (rc == 0 && c->overlay_count > 0)
		rc = gmem_check_overlays(m, c, e);
	for (uint32_t i = 0; rc == 0 && i < c->overlay_count; i++) {
		rc = gmem_map_runs(m, &c->overlays[i]);
		if (rc < 0)
			(void)err_set_os(e, rc, "Cannot map overlay %u of guest memory", i);
	}
	if (rc == 0 && c->track_dirty)
		rc = gmem_map_dirty(m, e);
	for (uint32_t i = 0; rc == 0 && i < c->overlay_count; i++) {
		m->overlays[m->overlay_count++] = c->overlays[i];
		c->overlays[i] = (struct gmem_overlay){.fd = -1};
	}
	if (rc < 0) {
		if (c->backing == GMEM_BACKING_FILE)
			m->fd = -1; /* still the caller's */
		gmem_fini(m);
	}
	return rc;
}

void gmem_init_borrowed(struct gmem *m, gpa_t start, void *host, uint64_t size)
{
	CHECK(size > 0 && start.v + size > start.v);
	gmem_clear(m);
	m->size = size;
	m->region_count = 1;
	m->regions[0] = (struct gmem_region){
		.start = start, .size = size, .host = (unsigned char __guest *)host};
}

void gmem_fini(struct gmem *m)
{
	if (m->dirty_size > 0)
		(void)munmap(m->dirty, m->dirty_size);
	if (m->reserved)
		(void)munmap(m->reserved, m->reserved_size);
	for (uint32_t i = 0; i < m->overlay_count; i++)
		gmem_overlay_fini(&m->overlays[i]);
	if (m->size > 0 && m->fd >= 0) /* a zeroed struct owns no fd, and 0 is a valid one */
		(void)close(m->fd);
	gmem_clear(m);
}

void __guest *gmem_window_part(const struct gmem *m, gpa_t at, uint64_t len, uint64_t *ret_len)
{
	for (uint32_t i = 0; i < m->region_count && len > 0; i++) {
		const struct gmem_region *r = &m->regions[i];

		if (at.v >= r->start.v && at.v - r->start.v < r->size) {
			uint64_t off = at.v - r->start.v;

			*ret_len = MIN(len, r->size - off);
			return r->host + off;
		}
	}
	return NULL;
}

void __guest *gmem_window(const struct gmem *m, gpa_t at, uint64_t len)
{
	uint64_t got = 0;
	void __guest *p = gmem_window_part(m, at, len, &got);

	return p && got == len ? p : NULL;
}

/*
 * True if all of [at, at+len) is RAM, regions that touch taken together. Cannot wrap: no region
 * ends at the top of the address space.
 */
static bool gmem_holds(const struct gmem *m, gpa_t at, uint64_t len)
{
	while (len > 0) {
		uint64_t got = 0;

		if (!gmem_window_part(m, at, len, &got))
			return false;
		at.v += got;
		len -= got;
	}
	return true;
}

int gmem_read(const struct gmem *m, gpa_t at, void *dst, uint64_t len)
{
	unsigned char *to = dst;

	if (!gmem_holds(m, at, len))
		return -EFAULT;
	while (len > 0) {
		uint64_t got = 0;
		const void __guest *p = gmem_window_part(m, at, len, &got);

		gmem_copy_from(to, p, got);
		to += got;
		at.v += got;
		len -= got;
	}
	return 0;
}

/* src NULL means zeroes. */
static int gmem_fill(struct gmem *m, gpa_t at, const unsigned char *src, uint64_t len)
{
	if (!gmem_holds(m, at, len))
		return -EFAULT;
	while (len > 0) {
		uint64_t got = 0;
		void __guest *p = gmem_window_part(m, at, len, &got);

		if (src) {
			gmem_copy_to(p, src, got);
			src += got;
		} else {
			memset(gmem_host_addr(p), 0, got);
		}
		gmem_mark_dirty(m, at, got);
		at.v += got;
		len -= got;
	}
	return 0;
}

int gmem_write(struct gmem *m, gpa_t at, const void *src, uint64_t len)
{
	return gmem_fill(m, at, src, len);
}

int gmem_zero(struct gmem *m, gpa_t at, uint64_t len)
{
	return gmem_fill(m, at, NULL, len);
}

int gmem_load16_acq(const struct gmem *m, gpa_t at, uint16_t *ret_value)
{
	void __guest *p = gmem_window(m, at, sizeof(uint16_t));

	if (!p || !IS_ALIGNED(at.v, sizeof(uint16_t)))
		return -EFAULT;
	*ret_value = gmem_window_load16_acq(p);
	return 0;
}

int gmem_store16_rel(struct gmem *m, gpa_t at, uint16_t value)
{
	void __guest *p = gmem_window(m, at, sizeof(uint16_t));

	if (!p || !IS_ALIGNED(at.v, sizeof(uint16_t)))
		return -EFAULT;
	gmem_window_store16_rel(p, value);
	gmem_mark_dirty(m, at, sizeof(uint16_t));
	return 0;
}

static void gmem_mark_pages(struct gmem *m, uint64_t file_offset, uint64_t len)
{
	uint64_t last = (file_offset + len - 1) / GMEM_PAGE_SIZE;

	for (uint64_t page = file_offset / GMEM_PAGE_SIZE; page <= last; page++) {
		uint64_t bit = (uint64_t)1 << (page % 64);

		/*
		 * Release: whoever collects this bit also sees the bytes written before it. Never
		 * skipped for a bit that looks set: the collector may be clearing it right now.
		 */
		__atomic_fetch_or(&m->dirty[page / 64], bit, __ATOMIC_RELEASE);
	}
}

void gmem_mark_dirty(struct gmem *m, gpa_t at, uint64_t len)
{
	if (!m->dirty)
		return;
	for (uint32_t i = 0; i < m->region_count; i++) {
		const struct gmem_region *r = &m->regions[i];
		uint64_t lo = MAX(at.v, r->start.v);
		uint64_t end = r->start.v + r->size;

		if (lo < end && len > lo - at.v) {
			uint64_t n = MIN(end - lo, len - (lo - at.v));

			gmem_mark_pages(m, r->file_offset + (lo - r->start.v), n);
		}
	}
}
