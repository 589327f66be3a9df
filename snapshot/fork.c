/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freezing a machine for a fork. See fork.h.
 *
 * The first fork of a VM that was started: its memory is a memfd; that becomes the base, and the VM
 * goes on over a private mapping of it. Nothing is copied. Page tables are taken away before the
 * pause, so that the pause does not depend on how much memory is in use.
 *
 * Later forks, and those of a VM that was loaded or is a fork itself: the pages that it has of its
 * own are copied into an overlay, which is mapped over them. The pause depends on their number. When
 * there are too many layers, all of memory is copied into a new base.
 */
#include "snapshot/fork.h"

#include "snapshot/image.h"
#include "snapshot/pages.h"
#include "virtio/blk.h"
#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/io.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Overlays may have so many runs before they are merged; a new one takes the rest at most. */
#define FORK_RUNS_MERGE (GMEM_RUNS_MAX - 1024u)

#define FORK_PASSES_MAX    6
#define FORK_PASS_SHORT_NS (200 * CLOCK_NS_PER_US)

static int fork_check(const struct fork_offer *f, const struct machine *m,
	const struct fork_options *o, struct err *e)
{
	if (f->machine)
		return err_set(e, -EBUSY,
			"an earlier fork is still offered on %s to %u more; wait for them or for "
			"its timeout_ms",
			f->at.sun_path, f->left);
	if (m->mem.pages == GMEM_PAGES_2M)
		return err_set(e, -ENOTSUP,
			"machine-config.huge_pages is 2M: such memory cannot be forked; use None "
			"or Transparent");
	if (m->mem.backing == GMEM_BACKING_ANON)
		return err_set(e, -ENOTSUP,
			"mem_backend was Uffd: memory behind a userfaultfd cannot be forked; load "
			"with File");
	CHECK(o->children > 0 && o->children <= FORK_CHILDREN_MAX);
	return 0;
}

/* #syscalls:main memfd_create:1=MFD_CLOEXEC|MFD_ALLOW_SEALING ftruncate close */
static int fork_memfd(const char *name, uint64_t size, struct err *e)
{
	CLEANUP_FD
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return err_set_os(e, -errno, "cannot make a memfd of %llu MiB",
			(unsigned long long)(size / MIB));
	return fd_take(&fd);
}

/* All of memory into one new base. */
static int fork_freeze_whole(
	struct page_set *set, struct gmem *m, uint64_t *ret_pages, struct err *e)
{
	struct pages_written written = {0};
	CLEANUP_FD
	int fd = fork_memfd("fork-base", m->size, e);
	int rc = fd < 0 ? fd : pages_add_used(set, m, e);

	if (rc == 0)
		rc = pages_write(set, m, fd, false, &written, e);
	*ret_pages = written.pages;
	return rc == 0 ? gmem_replace_base(m, fd_take(&fd), e) : rc;
}

/* The pages of our own into a new overlay. */
static int fork_freeze_own(struct page_set *set, struct gmem *m, uint64_t *ret_pages, struct err *e)
{
	struct gmem_overlay o = {.fd = -1};
	struct pages_written written = {0};
	uint32_t max = GMEM_RUNS_MAX - gmem_run_count(m);
	int rc = pages_runs(set, m, max, &o.runs, &o.run_count, e);

	if (rc < 0 || o.run_count == 0)
		return rc;
	o.fd = fork_memfd("fork-overlay", m->size, e);
	rc = o.fd < 0 ? o.fd : pages_write(set, m, o.fd, false, &written, e);
	*ret_pages = written.pages;
	if (rc == 0)
		rc = gmem_freeze_overlay(m, &o, e);
	else
		gmem_overlay_fini(&o);
	return rc;
}

static int fork_freeze(struct gmem *m, uint64_t *ret_pages, struct err *e)
{
	struct page_set set = {0};
	int rc;

	*ret_pages = 0;
	if (m->backing == GMEM_BACKING_MEMFD)
		return gmem_freeze_base(m, e);
	rc = page_set_init(&set, m, e);
	if (rc == 0)
		pages_add_private(&set, m);
	if (rc == 0 &&
		(m->overlay_count == GMEM_OVERLAYS_MAX || gmem_run_count(m) > FORK_RUNS_MERGE))
		rc = fork_freeze_whole(&set, m, ret_pages, e);
	else if (rc == 0)
		rc = fork_freeze_own(&set, m, ret_pages, e);
	page_set_fini(&set);
	return rc;
}

/*
 * While a pass runs, the guest brings back what it uses. So there are passes as long as each is much
 * shorter than the one before: what the last one took is about what is left for the pause.
 */
static void fork_unmap_ahead(const struct gmem *m)
{
	uint64_t before = UINT64_MAX;

	for (int pass = 0; pass < FORK_PASSES_MAX && before > FORK_PASS_SHORT_NS; pass++) {
		uint64_t start_ns = clock_mono_ns(), took;

		gmem_unmap_pages(m);
		took = clock_mono_ns() - start_ns;
		if (took > before / 4 * 3)
			break;
		before = took;
	}
}

/* *made: how many there are, also after a failure. */
static int fork_clone_disks(const struct fork_options *o, uint32_t *made, struct err *e)
{
	int rc = 0;

	for (*made = 0; rc == 0 && *made < o->clone_count; *made += rc == 0)
		rc = blk_clone(o->clones[*made].disk, o->clones[*made].path, e);
	return rc;
}

/* #syscalls:main unlink */
static void fork_remove_clones(const struct fork_options *o, uint32_t made)
{
	for (uint32_t i = 0; i < made; i++)
		(void)unlink(o->clones[i].path);
}

/* The guest stands still in here only. */
static int fork_take(struct machine *m, const struct fork_options *o, uint8_t **ret_state,
	size_t *ret_len, struct fork_report *ret, struct err *e)
{
	bool ran = !m->paused;
	uint64_t start_ns = clock_mono_ns();
	int rc;

	machine_pause(m);
	rc = fork_clone_disks(o, &ret->clones, e);
	if (rc == 0)
		rc = image_make(m, o->config, ret_state, ret_len, e);
	if (rc == 0)
		rc = fork_freeze(&m->mem, &ret->pages, e);
	if (ran)
		machine_resume(m);
	ret->pause_ns = ran ? clock_mono_ns() - start_ns : 0;
	return rc;
}

/* A base that is a memory file is open for reading only, and must not change anyhow. */
static int fork_seal(const struct gmem *m, struct err *e)
{
	int rc = gmem_seal(m->fd, e);

	for (uint32_t i = 0; rc == 0 && i < m->overlay_count; i++)
		rc = gmem_seal(m->overlays[i].fd, e);
	return rc;
}

static int fork_write_manifest(struct fork_offer *f, const struct gmem *m, const uint8_t *state,
	size_t state_len, struct err *e)
{
	CLEANUP_FD
	int fd = fork_memfd("fork-manifest", 0, e);
	int rc = fd < 0 ? fd : 0;

	f->message = (struct fork_message){
		.magic = FORK_MAGIC,
		.mem_size = m->size,
		.state_size = state_len,
		.overlay_count = m->overlay_count,
	};
	for (uint32_t i = 0; rc == 0 && i < m->overlay_count; i++) {
		const struct gmem_overlay *o = &m->overlays[i];

		f->message.run_counts[i] = o->run_count;
		rc = io_write_full(fd, o->runs, o->run_count * sizeof(o->runs[0]));
	}
	if (rc == 0)
		rc = io_write_full(fd, state, state_len);
	if (rc == 0)
		rc = gmem_seal(fd, e);
	else if (fd >= 0)
		(void)err_set_os(e, rc, "cannot write the state");
	if (rc == 0)
		f->manifest_fd = fd_take(&fd);
	return rc;
}

/* Listening comes first: what can fail by a wrong path fails before anything is done. */
int fork_begin(struct fork_offer *f, struct machine *m, const struct fork_options *o,
	struct fork_report *ret, struct err *e)
{
	CLEANUP_FREE
	uint8_t *state = NULL;
	size_t len = 0;
	int rc = fork_check(f, m, o, e), listen_fd;

	*ret = (struct fork_report){0};
	if (rc < 0)
		return rc;
	listen_fd = fork_offer_listen(f, o->socket_path, e);
	if (listen_fd < 0)
		return listen_fd;
	f->machine = m;
	f->loop = m->control;
	f->left = o->children;
	if (!m->paused)
		fork_unmap_ahead(&m->mem);
	rc = fork_take(m, o, &state, &len, ret, e);
	if (rc == 0)
		rc = fork_seal(&m->mem, e);
	if (rc == 0)
		rc = fork_write_manifest(f, &m->mem, state, len, e);
	if (rc == 0)
		rc = fork_offer_start(f, listen_fd, o->timeout_ms, e);
	else {
		f->source.fd = listen_fd;
		fork_offer_end(f);
	}
	if (rc < 0)
		fork_remove_clones(o, ret->clones);
	else
		m->mem.base_is_lent = true;
	return rc;
}
