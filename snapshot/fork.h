/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live fork: a machine whose memory is frozen for a moment, goes on at once, and is offered on a Unix
 * socket to other monitors, which go on from the same state, each a process of its own that somebody
 * has started and confined.
 *
 * The offer is one message to whoever connects, then the end of the connection:
 *
 *	data   struct fork_message
 *	fds    the manifest, the base of guest memory, the overlays from the oldest on
 *
 * The manifest is a memfd: for each overlay its runs (struct gmem_run), then the state file. Every
 * memfd is sealed against writing; memory files are open for reading only. Main thread.
 */
#pragma once

#include "vmm/core/machine.h"

#include <sys/un.h>

#define FORK_MAGIC        UINT64_C(0x6b726f6679616d31) /* "1mayfork" */
#define FORK_CHILDREN_MAX 10000u
#define FORK_FDS_MAX      (2 + GMEM_OVERLAYS_MAX)

struct fork_message {
	uint64_t magic;
	uint64_t mem_size;
	uint64_t state_size; /* bytes */
	uint32_t overlay_count;
	uint32_t run_counts[GMEM_OVERLAYS_MAX]; /* zero from overlay_count on */
	uint32_t reserved;                      /* zero */
};

#define FORK_CLONES_MAX 1024u

/* A copy of a disk as it is at the fork: see blk_clone. */
struct fork_clone {
	struct virtio_dev *disk; /* borrowed, a block device */
	const char *path;
};

struct fork_options {
	const char *socket_path;
	const char *config;              /* JSON text of the machine's configuration */
	uint32_t children;               /* how many may collect, 1 .. FORK_CHILDREN_MAX */
	uint32_t timeout_ms;             /* after which the offer ends */
	const struct fork_clone *clones; /* removed again if the fork fails */
	uint32_t clone_count;
};

struct fork_report {
	uint64_t pause_ns; /* for which the guest stood still; 0 if it was paused before */
	uint64_t pages;    /* copied */
	uint32_t clones;   /* of disks, made */
};

/* What is being offered; at most one at a time. */
struct fork_offer {
	struct machine *machine; /* borrowed; NULL: nothing is offered */
	struct loop *loop;       /* borrowed */
	struct loop_source source, timer;
	int manifest_fd; /* owned */
	uint32_t left;
	struct fork_message message;
	struct sockaddr_un at;
};

/*
 * Freezes and offers m, which is running or paused afterwards as it was before, also after a
 * failure. 0, or -errno with *e.
 */
int fork_begin(struct fork_offer *f, struct machine *m, const struct fork_options *o,
	struct fork_report *ret, struct err *e) MUST_USE;

/* Starts to serve f->message and f->manifest_fd. For fork.c; listen_fd is taken over. */
int fork_offer_start(
	struct fork_offer *f, int listen_fd, uint32_t timeout_ms, struct err *e) MUST_USE;
/* The socket, with its file, for the owner only. -errno: *e. */
int fork_offer_listen(struct fork_offer *f, const char *path, struct err *e) MUST_USE;
/* Ends the offer, if there is one: socket and file are gone. */
void fork_offer_end(struct fork_offer *f);

/* ---- the other end ---- */

/* What a fork has been given. */
struct fork_gift {
	uint8_t *state; /* owned: a state file */
	size_t state_size;
	uint64_t mem_size;
	int base_fd; /* owned */
	uint32_t overlay_count;
	struct gmem_overlay overlays[GMEM_OVERLAYS_MAX];
};

#define FORK_GIFT_NONE ((struct fork_gift){.base_fd = -1})

/* Connects and takes. 0, or -errno with *e. */
int fork_collect(struct fork_gift *g, const char *path, struct err *e) MUST_USE;
/*
 * Makes a gift of a message with its descriptors; takes those over, also on failure. Anything may be
 * in them. For fork_collect and the fuzzer.
 */
int fork_unpack(struct fork_gift *g, const struct fork_message *msg, size_t len, int *fds,
	uint32_t fd_count, struct err *e) MUST_USE;
void fork_gift_fini(struct fork_gift *g);
