/* SPDX-License-Identifier: Apache-2.0 */
/* Making a snapshot. See save.h. */
#include "snapshot/save.h"

#include "snapshot/aside.h"
#include "snapshot/image.h"
#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"
#include "vmm/core/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Where the memory goes: a new file, or an old one that it is merged into. */
struct save_memory {
	struct aside aside;
	int fd; /* borrowed from aside, or merge_fd */
	int merge_fd;
};

static void save_memory_close(struct save_memory *s)
{
	aside_close(&s->aside);
	fd_close(&s->merge_fd);
}

/*
 * An old file to merge a diff into, or -1.
 *
 * #syscalls:main openat newfstatat close
 */
static int save_open_base(const struct machine *m, const char *path)
{
	CLEANUP_FD
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		(uint64_t)st.st_size != m->mem.size)
		return -1;
	return fd_take(&fd);
}

/* #syscalls:main ftruncate */
static int save_open_memory(struct save_memory *s, const struct machine *m,
	const struct snapshot_save_options *o, struct err *e)
{
	int rc;

	s->merge_fd = o->diff ? save_open_base(m, o->mem_path) : -1;
	s->fd = s->merge_fd;
	if (s->fd >= 0)
		return 0;
	rc = aside_open(&s->aside, o->mem_path, "mem_file_path", e);
	if (rc < 0)
		return rc;
	s->fd = s->aside.fd;
	if (ftruncate(s->fd, (off_t)m->mem.size) < 0)
		return err_set_os(e, -errno, "mem_file_path: cannot size %s", s->aside.part);
	return 0;
}

/* From here on, KVM's log is in the bitmap, and stays there until a snapshot has succeeded. */
static int save_collect(struct page_set *set, struct machine *m,
	const struct snapshot_save_options *o, struct err *e)
{
	int rc = m->mem.dirty ? kvm_vm_collect_dirty(&m->vm, &m->mem, e) : 0;

	if (rc < 0)
		return rc;
	if (!o->diff)
		return pages_add_used(set, &m->mem, e);
	if (!m->mem.dirty)
		return pages_add_changed(set, &m->mem, e);
	pages_add_dirty(set, &m->mem);
	return 0;
}

/* #syscalls:main fsync */
static int save_memory(struct save_memory *s, struct machine *m,
	const struct snapshot_save_options *o, struct pages_written *ret, struct err *e)
{
	struct page_set set = {0};
	enum pages_mode mode = o->diff ? PAGES_DIFF : PAGES_FULL;
	int rc = page_set_init(&set, &m->mem, e);

	if (rc == 0)
		rc = save_collect(&set, m, o, e);
	if (rc == 0)
		rc = save_open_memory(s, m, o, e);
	if (rc == 0)
		rc = pages_write(
			&set, &m->mem, s->fd, s->merge_fd >= 0 ? PAGES_MERGE : mode, ret, e);
	page_set_fini(&set);
	if (rc == 0 && fsync(s->fd) < 0)
		rc = err_set_os(e, -errno, "fsync");
	return rc < 0 ? err_wrap(e, "mem_file_path %s", o->mem_path) : 0;
}

static int save_state(
	struct aside *a, struct machine *m, const struct snapshot_save_options *o, struct err *e)
{
	CLEANUP_FREE
	uint8_t *data = NULL;
	size_t len = 0;
	int rc = image_make(m, o->config, &data, &len, e);

	if (rc == 0)
		rc = aside_open(a, o->state_path, "snapshot_path", e);
	if (rc < 0)
		return rc;
	rc = io_write_full(a->fd, data, len);
	if (rc < 0)
		return err_set_os(e, rc, "snapshot_path: cannot write %s", o->state_path);
	return aside_sync(a, "snapshot_path", e);
}

int snapshot_save(struct machine *m, const struct snapshot_save_options *o,
	struct pages_written *ret, struct err *e)
{
	struct save_memory memory = {.aside = ASIDE_NONE, .fd = -1, .merge_fd = -1};
	struct aside state = ASIDE_NONE;
	int rc;

	CHECK(m->paused);
	rc = save_state(&state, m, o, e);
	if (rc == 0)
		rc = save_memory(&memory, m, o, ret, e);
	if (rc == 0 && memory.aside.fd >= 0)
		rc = aside_commit(&memory.aside, "mem_file_path", e);
	if (rc == 0)
		rc = aside_commit(&state, "snapshot_path", e);
	if (rc == 0 && m->mem.dirty)
		memset(m->mem.dirty, 0, m->mem.dirty_size);
	save_memory_close(&memory);
	aside_close(&state);
	return rc;
}
