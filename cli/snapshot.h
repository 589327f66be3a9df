/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mayfly snapshot`: what its actions share. Memory files are read sparsely: only what is not a
 * hole; the state file's reader is that of the monitor.
 */
#pragma once

#include "snapshot/load.h"

#define MEM_CHUNK ((size_t)256 * 1024) /* whole pages */

struct snapshot_options {
	const char *output; /* these may be NULL */
	const char *directory, *state, *memory;
	bool json, memory_only, diff;
};

/* Actions: args as counted by the table in snapshot.c. Return the exit status. */
int snapshot_create_main(const struct snapshot_options *o, char **args, int count);
int snapshot_show_main(const struct snapshot_options *o, char **args, int count);
int snapshot_verify_main(const struct snapshot_options *o, char **args, int count);
int snapshot_diff_main(const struct snapshot_options *o, char **args, int count);
int snapshot_merge_main(const struct snapshot_options *o, char **args, int count);
int snapshot_pack_main(const struct snapshot_options *o, char **args, int count);
int snapshot_unpack_main(const struct snapshot_options *o, char **args, int count);

/* Says e->msg. Returns status. */
int snapshot_failed(const struct err *e, int status);

/* Reads a state file and checks every section of it. Then snapshot_load_close. -errno: *e. */
int state_open(struct snapshot_load *l, const char *path, struct err *e) MUST_USE;

struct mem_file {
	const char *path; /* borrowed */
	int fd;           /* owned, or -1 */
	uint64_t size;
	uint64_t dev, ino;
};

#define MEM_FILE_NONE ((struct mem_file){.fd = -1})

/* A regular file of whole pages. flags: O_RDONLY or O_RDWR. mem_close is idempotent. */
int mem_open(struct mem_file *m, const char *path, int flags, struct err *e) MUST_USE;
void mem_close(struct mem_file *m);

/* The next pages at or after from that are no hole: 1, or 0 if there are none, or -errno. */
int mem_next(const struct mem_file *m, uint64_t from, uint64_t *ret_start, uint64_t *ret_end,
	struct err *e) MUST_USE;

typedef int (*mem_walk_fn)(
	void *ctx, uint64_t offset, const uint8_t *data, size_t len, struct err *e);

/* Calls fn with everything that is no hole, whole pages in pieces of at most MEM_CHUNK. */
int mem_walk(const struct mem_file *m, mem_walk_fn fn, void *ctx, struct err *e) MUST_USE;

/* Splits whole pages into runs that are zero or not. Returns the length of the first, *ret_zero which. */
size_t mem_run(const uint8_t *data, size_t len, bool *ret_zero);

/* Writes whole pages; fresh: the file has holes there already, and keeps them for zeroes. */
int mem_put(int fd, uint64_t offset, const uint8_t *data, size_t len, bool fresh,
	struct err *e) MUST_USE;

/* Shown from 2 s on, if standard error is a terminal; done == all ends the line. */
void progress_show(uint64_t done, uint64_t all);
