/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: where it is in the guest, where in the monitor, and the only ways to touch it.
 *
 * Layout: RAM from 0 up to the 32-bit hole [3 GiB, 4 GiB), the rest from 4 GiB on. One memfd (or
 * hugetlb memfd) backs all of it; file offsets are the regions laid one after the other.
 *
 * Copy, check, use: what the monitor interprets is copied once into a local (gmem_read,
 * gmem_load16_acq), then checked, then only the local is used. What is merely moved stays in
 * place behind a `__guest` pointer from gmem_window, for preadv and the like.
 *
 * Threads: the table is built before any vCPU runs and is read-only afterwards. Contents may be
 * read and written by any thread at any time, the guest's included. The dirty bitmap is atomic.
 */
#pragma once

#include "vmm/base/err.h"

#include <string.h>

typedef struct {
	uint64_t v;
} gpa_t; /* guest physical address */

#define GPA(x) ((gpa_t){(x)})

#define GMEM_REGIONS_MAX 4
#define GMEM_HOLE_START  (3 * GIB)
#define GMEM_HOLE_END    (4 * GIB)
#define GMEM_SIZE_MAX    (256 * GIB)
#define GMEM_PAGE_SIZE   4096u

enum gmem_pages { GMEM_PAGES_4K, GMEM_PAGES_TRANSPARENT, GMEM_PAGES_2M };

/*
 * What is behind the memory of a VM: a memfd of its own; a snapshot's memory file, mapped privately,
 * so that pages come from the page cache until they are written; or nothing, for a userfaultfd.
 */
enum gmem_backing { GMEM_BACKING_MEMFD, GMEM_BACKING_FILE, GMEM_BACKING_ANON };

/*
 * Memory that was forked (snapshot/fork.h) has layers: behind all of it the base, a memfd or a memory
 * file, and over that overlays, later ones over earlier ones, each of which has some runs of pages,
 * at the offsets that they have in the base. All are mapped privately and never change again.
 */
#define GMEM_OVERLAYS_MAX 12
#define GMEM_RUNS_MAX     8192 /* of all overlays: each run takes two mappings at most */

struct gmem_run {
	uint64_t offset, size; /* bytes of the memory file, multiples of the page size */
};

struct gmem_overlay {
	int fd;                /* owned */
	uint32_t run_count;    /* at least 1 */
	struct gmem_run *runs; /* owned; ascending, apart, each within a region */
};

struct gmem_config {
	uint64_t size; /* bytes, a multiple of the page size, 1 .. GMEM_SIZE_MAX */
	enum gmem_pages pages;
	bool track_dirty; /* keep the monitor's own dirty bitmap */
	enum gmem_backing backing;
	int file_fd; /* GMEM_BACKING_FILE: at least size bytes; taken over on success */
	/* GMEM_BACKING_FILE: over it; what they own is taken over on success. Checked by gmem_init. */
	struct gmem_overlay *overlays;
	uint32_t overlay_count;
};

struct gmem_region {
	gpa_t start;
	uint64_t size;
	uint64_t file_offset;
	unsigned char __guest *host; /* owned mapping */
};

/* Which file it is, whatever its name is by now. */
struct gmem_file {
	uint64_t dev, ino; /* both 0: none */
};

struct gmem {
	int fd; /* owned: what is behind it; -1 with GMEM_BACKING_ANON */
	enum gmem_backing backing;
	enum gmem_pages pages;
	void *reserved; /* owned address range around all regions and their guards, or NULL */
	uint64_t reserved_size;
	uint64_t size;
	uint32_t region_count;
	struct gmem_region regions[GMEM_REGIONS_MAX]; /* ascending */
	uint64_t *dirty;     /* owned; a bit per 4 KiB page of the backing file, or NULL */
	uint64_t dirty_size; /* bytes of the mapping behind dirty */
	uint32_t overlay_count;
	struct gmem_overlay overlays[GMEM_OVERLAYS_MAX];
	bool base_is_new; /* the base holds changes since the VM was started or loaded */
	bool base_is_lent; /* forks of this VM, or those that it is one of, may have the base mapped */
	struct gmem_file file; /* that memory was loaded from; the base, until that was replaced */
};

/* Maps the memory. 0, or -errno with *e. Main thread. On failure *m is as gmem_fini leaves it. */
int gmem_init(struct gmem *m, const struct gmem_config *c, struct err *e) MUST_USE;

/* For tests: one region at start over memory that the caller owns and keeps. */
void gmem_init_borrowed(struct gmem *m, gpa_t start, void *host, uint64_t size);

void gmem_fini(struct gmem *m);

/*
 * Freezing, for a fork. Main thread, and but for gmem_unmap_pages with everything that touches guest
 * memory at a stand. Host addresses stay what they are.
 *
 * gmem_unmap_pages: takes the page tables of memory that is a shared memfd away, not the pages, so that
 * gmem_freeze_base has nothing left to do but for what was touched since. The guest may run.
 *
 * gmem_freeze_base: memory that is a shared memfd is from now on mapped privately: the memfd keeps
 * what is in it. On failure all is as it was.
 *
 * gmem_freeze_overlay: *o has what the runs hold: they are mapped from it, *o is taken over. On
 * failure too: what is mapped then is the same to the guest. There must be room for it.
 *
 * gmem_replace_base: fd has all that memory holds: it is the only layer from now on, and taken over,
 * on failure too.
 *
 * gmem_seal: nobody can write to a layer any more, nor make it shorter. A memory file stays as it is.
 */
void gmem_unmap_pages(const struct gmem *m);
int gmem_freeze_base(struct gmem *m, struct err *e) MUST_USE;
int gmem_freeze_overlay(struct gmem *m, struct gmem_overlay *o, struct err *e) MUST_USE;
int gmem_replace_base(struct gmem *m, int fd, struct err *e) MUST_USE;
int gmem_seal(int fd, struct err *e) MUST_USE;
uint32_t gmem_run_count(const struct gmem *m);

/* For gmem_init and the above: maps the runs, which must have been checked. */
int gmem_map_runs(const struct gmem *m, const struct gmem_overlay *o) MUST_USE;
int gmem_check_overlays(const struct gmem *m, const struct gmem_config *c, struct err *e) MUST_USE;
void gmem_overlay_fini(struct gmem_overlay *o);

/* Copies len bytes out of / into guest RAM; all or -EFAULT. May cross regions that touch. */
int gmem_read(const struct gmem *m, gpa_t at, void *dst, uint64_t len) MUST_USE;
int gmem_write(struct gmem *m, gpa_t at, const void *src, uint64_t len) MUST_USE; /* marks dirty */
int gmem_zero(struct gmem *m, gpa_t at, uint64_t len) MUST_USE;                   /* marks dirty */

/* The host address of [at, at+len) if it lies in one region and len > 0, else NULL. */
void __guest *gmem_window(const struct gmem *m, gpa_t at, uint64_t len);

/*
 * As gmem_window, for as much of [at, at+len) as its first region holds: *ret_len bytes, at least
 * one. NULL if at is outside RAM or len is 0. For buffers that may cross into the next region.
 */
void __guest *gmem_window_part(const struct gmem *m, gpa_t at, uint64_t len, uint64_t *ret_len);

/*
 * Ring words: one access of the natural size each, never a memcpy. at must be aligned; -EFAULT
 * if it is not, or if it lies outside RAM. Stores mark dirty.
 */
int gmem_load16_acq(const struct gmem *m, gpa_t at, uint16_t *ret_value) MUST_USE;
int gmem_store16_rel(struct gmem *m, gpa_t at, uint16_t value) MUST_USE;

/* For writes that the kernel made into guest RAM on our behalf (readv and the like). */
void gmem_mark_dirty(struct gmem *m, gpa_t at, uint64_t len);

/*
 * Behind a window. The address itself is for the kernel only (iovecs, memory slots): never
 * dereference it. The copies end in a compiler barrier, so that no later use of the copy can be
 * turned back into a second load from memory that the guest may have changed.
 */
static inline void *gmem_host_addr(const void __guest *at)
{
	return (void *)(uintptr_t)at;
}

static inline void gmem_copy_from(void *dst, const void __guest *src, size_t len)
{
	memcpy(dst, gmem_host_addr(src), len);
	__asm__ volatile("" ::: "memory");
}

static inline void gmem_copy_to(void __guest *dst, const void *src, size_t len)
{
	memcpy(gmem_host_addr(dst), src, len);
	__asm__ volatile("" ::: "memory");
}

/* Ring words behind a window: 2-byte aligned, one access each. */
static inline uint16_t gmem_window_load16_acq(const void __guest *at)
{
	return __atomic_load_n((const uint16_t *)gmem_host_addr(at), __ATOMIC_ACQUIRE);
}

static inline void gmem_window_store16_rel(void __guest *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)gmem_host_addr(at), value, __ATOMIC_RELEASE);
}
