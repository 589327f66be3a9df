/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pages of guest memory go into a memory file, and their way into it. The file has guest RAM
 * page by page at its offsets, the regions one after the other; pages of zeroes are holes, but in a
 * diff that is not merged yet.
 *
 * A set of pages has a bit for each 4 KiB of the memory file, lowest first. Main thread, with the
 * guest paused.
 */
#pragma once

#include "vmm/mem/gmem.h"

struct page_set {
	uint64_t *words; /* owned */
	uint64_t count;  /* of pages */
};

int page_set_init(struct page_set *s, const struct gmem *m, struct err *e) MUST_USE;
void page_set_fini(struct page_set *s);

/* Adds every page that may be other than zero. */
int pages_add_used(struct page_set *s, const struct gmem *m, struct err *e) MUST_USE;

/*
 * Adds every page that may have changed since the VM was started or loaded: for diffs of a VM
 * whose writes are not tracked. More than needed, never less.
 */
int pages_add_changed(struct page_set *s, const struct gmem *m, struct err *e) MUST_USE;

/* Adds the pages that this process has of its own, or, without /proc, all. */
void pages_add_private(struct page_set *s, const struct gmem *m);

/*
 * The runs that hold all pages of the set, at most max of them: pages that lie near enough for that
 * are joined, and what is between them becomes part of the set. *ret_runs is the caller's; NULL if
 * there are none.
 */
int pages_runs(struct page_set *s, const struct gmem *m, uint32_t max, struct gmem_run **ret_runs,
	uint32_t *ret_count, struct err *e) MUST_USE;

/* Marks in m's dirty bitmap what pages_add_changed would add. -errno: *e, and some of it is marked. */
int pages_mark_changed(struct gmem *m, struct err *e) MUST_USE;

/* Adds the dirty bitmap of m. */
void pages_add_dirty(struct page_set *s, const struct gmem *m);

struct pages_written {
	uint64_t pages; /* other than zero */
	uint64_t zeroes;
};

enum pages_mode {
	PAGES_FULL,  /* the file is new and stands for itself: pages of zeroes are holes */
	PAGES_DIFF,  /* the file is new and will be merged: a hole means "not changed" */
	PAGES_MERGE, /* the file holds older pages: pages of zeroes become holes where they can */
};

/*
 * Writes all of it, a little at a time, so that many clones can use the file at once. 0, or -errno; -EIO if the
 * file takes no more.
 */
int pages_write_bytes(int fd, const void *data, uint64_t len, uint64_t off) MUST_USE;

/* Writes the pages of the set to the file, which has guest RAM's size. */
int pages_write(const struct page_set *s, const struct gmem *m, int fd, enum pages_mode mode,
	struct pages_written *ret, struct err *e) MUST_USE;
