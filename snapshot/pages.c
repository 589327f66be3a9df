/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of pages, and writing them. See pages.h. */
#include "snapshot/pages.h"

#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>

#define PAGE          ((uint64_t)GMEM_PAGE_SIZE)
#define WORD_BITS     64u
#define PAGEMAP_BATCH 4096u
#define WRITE_SIZE    (64 * KIB)
#define RUN_GAP       8u /* to copy so many pages takes no longer than another mapping */

/* Bits of an entry of /proc/self/pagemap. */
#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_SWAPPED (1ull << 62)
#define PAGEMAP_FILE    (1ull << 61) /* of a file, or shared */

int page_set_init(struct page_set *s, const struct gmem *m, struct err *e)
{
	s->count = m->size / PAGE;
	s->words = calloc(s->count / WORD_BITS + 1, sizeof(*s->words));
	return s->words ? 0 : err_set_os(e, -ENOMEM, "the set of pages");
}

void page_set_fini(struct page_set *s)
{
	free(s->words);
	*s = (struct page_set){0};
}

static bool set_has(const struct page_set *s, uint64_t page)
{
	return s->words[page / WORD_BITS] >> (page % WORD_BITS) & 1;
}

static void set_add(struct page_set *s, uint64_t first, uint64_t end)
{
	for (uint64_t p = first; p < MIN(end, s->count); p++)
		s->words[p / WORD_BITS] |= (uint64_t)1 << (p % WORD_BITS);
}

/*
 * What the file behind guest memory holds, but for its holes.
 *
 * #syscalls:main lseek
 */
static int pages_add_data(struct page_set *s, const struct gmem *m, struct err *e)
{
	uint64_t end = 0;

	while (end < m->size) {
		off_t data = lseek(m->fd, (off_t)end, SEEK_DATA);
		off_t hole;

		if (data < 0 && errno == ENXIO)
			return 0;
		hole = data < 0 ? -1 : lseek(m->fd, data, SEEK_HOLE);
		if (hole < 0)
			return err_set_os(e, -errno, "cannot find the data of guest memory");
		set_add(s, (uint64_t)data / PAGE, ((uint64_t)hole + PAGE - 1) / PAGE);
		end = (uint64_t)hole;
	}
	return 0;
}

/* Private pages of a region: those that are in memory, but not the file's, and those swapped out. */
static int pages_scan_region(
	struct page_set *s, const struct gmem *m, const struct gmem_region *r, int pagemap)
{
	static uint64_t entries[PAGEMAP_BATCH]; /* main thread only */
	uint64_t first = (uintptr_t)gmem_host_addr(r->host) / PAGE;
	uint64_t page = r->file_offset / PAGE;
	bool anon = m->backing == GMEM_BACKING_ANON;

	for (uint64_t done = 0, all = r->size / PAGE; done < all;) {
		uint64_t want = MIN(all - done, (uint64_t)PAGEMAP_BATCH);
		ssize_t n = pread(pagemap, entries, want * sizeof(entries[0]),
			(off_t)((first + done) * sizeof(entries[0])));

		if (n < (ssize_t)sizeof(entries[0]))
			return -EIO;
		want = (uint64_t)n / sizeof(entries[0]);
		for (uint64_t i = 0; i < want; i++)
			if ((entries[i] & PAGEMAP_SWAPPED) ||
				((entries[i] & PAGEMAP_PRESENT) &&
					(anon || !(entries[i] & PAGEMAP_FILE))))
				set_add(s, page + done + i, page + done + i + 1);
		done += want;
	}
	return 0;
}

/*
 * The pages that this process has of its own. Where there is no /proc, as in some jails, all pages
 * count: that is slow, but right.
 *
 * #syscalls:main openat pread64 close
 */
void pages_add_private(struct page_set *s, const struct gmem *m)
{
	CLEANUP_FD
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int rc = fd >= 0 ? 0 : -errno;

	for (uint32_t i = 0; rc == 0 && i < m->region_count; i++)
		rc = pages_scan_region(s, m, &m->regions[i], fd);
	if (rc < 0)
		set_add(s, 0, s->count);
}

static void pages_add_overlays(struct page_set *s, const struct gmem *m)
{
	for (uint32_t i = 0; i < m->overlay_count; i++)
		for (uint32_t k = 0; k < m->overlays[i].run_count; k++) {
			const struct gmem_run *r = &m->overlays[i].runs[k];

			set_add(s, r->offset / PAGE, (r->offset + r->size) / PAGE);
		}
}

/* Behind a userfaultfd any page may be there that we have not seen: reading it asks for it. */
int pages_add_used(struct page_set *s, const struct gmem *m, struct err *e)
{
	if (m->backing == GMEM_BACKING_ANON) {
		set_add(s, 0, s->count);
		return 0;
	}
	if (m->backing == GMEM_BACKING_FILE)
		pages_add_private(s, m);
	pages_add_overlays(s, m);
	return pages_add_data(s, m, e);
}

int pages_add_changed(struct page_set *s, const struct gmem *m, struct err *e)
{
	if (m->backing == GMEM_BACKING_MEMFD)
		return pages_add_data(s, m, e);
	pages_add_private(s, m);
	pages_add_overlays(s, m);
	return m->base_is_new ? pages_add_data(s, m, e) : 0;
}

int pages_mark_changed(struct gmem *m, struct err *e)
{
	struct page_set bitmap = {.words = m->dirty, .count = m->size / PAGE};

	return pages_add_changed(&bitmap, m, e);
}

/* ---- runs ---- */

/* The end of the region that holds a page, in pages. */
static uint64_t run_limit(const struct gmem *m, uint64_t page)
{
	for (uint32_t i = 0; i < m->region_count; i++) {
		uint64_t end = (m->regions[i].file_offset + m->regions[i].size) / PAGE;

		if (page < end)
			return end;
	}
	return page;
}

static uint64_t set_next(const struct page_set *s, uint64_t page)
{
	while (page < s->count && !set_has(s, page))
		page = s->words[page / WORD_BITS] ? page + 1 : (page / WORD_BITS + 1) * WORD_BITS;
	return MIN(page, s->count);
}

/* Counts, and stores if runs is not NULL, those runs that are more than gap pages apart. */
static uint64_t runs_find(
	const struct page_set *s, const struct gmem *m, uint64_t gap, struct gmem_run *runs)
{
	uint64_t count = 0;

	for (uint64_t first = set_next(s, 0), end, next; first < s->count; first = next) {
		uint64_t limit = run_limit(m, first);

		for (end = first + 1;; end = next + 1) {
			next = set_next(s, end);
			if (next >= limit || next - end > gap)
				break;
		}
		if (runs)
			runs[count] = (struct gmem_run){
				.offset = first * PAGE, .size = (end - first) * PAGE};
		count++;
	}
	return count;
}

int pages_runs(struct page_set *s, const struct gmem *m, uint32_t max, struct gmem_run **ret_runs,
	uint32_t *ret_count, struct err *e)
{
	uint64_t gap = RUN_GAP, count = runs_find(s, m, gap, NULL);

	CHECK(max >= m->region_count);
	while (count > max) {
		gap *= 2;
		count = runs_find(s, m, gap, NULL);
	}
	*ret_runs = count ? calloc(count, sizeof(**ret_runs)) : NULL;
	*ret_count = (uint32_t)count;
	if (count && !*ret_runs)
		return err_set_os(e, -ENOMEM, "the runs of pages");
	(void)runs_find(s, m, gap, *ret_runs);
	for (uint64_t i = 0; i < count; i++)
		set_add(s, (*ret_runs)[i].offset / PAGE,
			((*ret_runs)[i].offset + (*ret_runs)[i].size) / PAGE);
	return 0;
}

void pages_add_dirty(struct page_set *s, const struct gmem *m)
{
	for (uint64_t i = 0; i < (s->count + WORD_BITS - 1) / WORD_BITS; i++)
		s->words[i] |= __atomic_load_n(&m->dirty[i], __ATOMIC_ACQUIRE);
}

/* ---- writing ---- */

struct page_writer {
	const struct page_set *set;
	int fd;
	enum pages_mode mode;
	struct pages_written *counts;
};

static bool page_is_zero(const void *page)
{
	const uint64_t *w = page;
	uint64_t any = 0;

	for (unsigned i = 0; i < GMEM_PAGE_SIZE / sizeof(*w); i += 8) {
		any = w[i] | w[i + 1] | w[i + 2] | w[i + 3] | w[i + 4] | w[i + 5] | w[i + 6] |
		      w[i + 7];
		if (any)
			return false;
	}
	return true;
}

/*
 * A file system that keeps a file in large folios makes one of each write, and a clone that writes to a page locks
 * the folio in which the original lies, while the kernel copies the page. With folios of 2 MiB and more, clones that
 * begin at once wait for each other (docs/benchmarks.md).
 *
 * #syscalls:main pwrite64
 */
int pages_write_bytes(int fd, const void *data, uint64_t len, uint64_t off)
{
	const char *from = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, from, MIN(len, WRITE_SIZE - off % WRITE_SIZE), (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		from += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* #syscalls:main fallocate:1=FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE */
static int writer_zeroes(const struct page_writer *w, const char *from, uint64_t off, uint64_t len)
{
	if (w->mode == PAGES_FULL)
		return 0; /* a hole already */
	if (w->mode == PAGES_DIFF)
		return pages_write_bytes(w->fd, from, len, off);
	if (fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) ==
		0)
		return 0;
	return errno == EOPNOTSUPP ? pages_write_bytes(w->fd, from, len, off) : -errno;
}

/* Pages [first, end) are in the set and in one region, whose byte 0 of the file is at base. */
static int writer_run(const struct page_writer *w, const char *base, uint64_t first, uint64_t end)
{
	int rc = 0;

	while (rc == 0 && first < end) {
		bool zero = page_is_zero(base + first * PAGE);
		uint64_t next = first + 1;

		/* What is written in one piece is looked at just before, and still in the cache. */
		while (next < end && (zero || next % (WRITE_SIZE / PAGE) != 0) &&
			page_is_zero(base + next * PAGE) == zero)
			next++;
		if (zero)
			rc = writer_zeroes(
				w, base + first * PAGE, first * PAGE, (next - first) * PAGE);
		else
			rc = pages_write_bytes(
				w->fd, base + first * PAGE, (next - first) * PAGE, first * PAGE);
		*(zero ? &w->counts->zeroes : &w->counts->pages) += next - first;
		first = next;
	}
	return rc;
}

static int writer_region(const struct page_writer *w, const struct gmem_region *r)
{
	uint64_t first = r->file_offset / PAGE, end = first + r->size / PAGE;
	const char *base = (const char *)gmem_host_addr(r->host) - r->file_offset;
	int rc = 0;

	while (rc == 0 && first < end) {
		uint64_t next;

		if (w->set->words[first / WORD_BITS] == 0) {
			first = (first / WORD_BITS + 1) * WORD_BITS;
			continue;
		}
		if (!set_has(w->set, first)) {
			first++;
			continue;
		}
		for (next = first + 1; next < end && set_has(w->set, next);)
			next++;
		rc = writer_run(w, base, first, next);
		first = next;
	}
	return rc;
}

int pages_write(const struct page_set *s, const struct gmem *m, int fd, enum pages_mode mode,
	struct pages_written *ret, struct err *e)
{
	struct page_writer w = {.set = s, .fd = fd, .mode = mode, .counts = ret};
	int rc = 0;

	CHECK(s->count == m->size / PAGE);
	*ret = (struct pages_written){0};
	for (uint32_t i = 0; rc == 0 && i < m->region_count; i++)
		rc = writer_region(&w, &m->regions[i]);
	return rc == 0 ? 0 : err_set_os(e, rc, "cannot write the memory file");
}
