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
	enum pages_mode mode;
};

/* The file of the last full snapshot, into which a diff may punch holes. Main thread. */
static struct gmem_file save_last_full;

static struct gmem_file save_file_id(const struct stat *st)
{
	return (struct gmem_file){.dev = st->st_dev, .ino = st->st_ino};
}

static bool save_file_same(const struct gmem_file *a, const struct gmem_file *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

static void save_memory_close(struct save_memory *s)
{
	aside_close(&s->aside);
	fd_close(&s->merge_fd);
}

/*
 * An old file to merge a diff into, if there is one. It may be a diff itself, in which a hole means "not changed":
 * pages of zeroes become holes only in what is known to be full.
 *
 * #syscalls:main openat newfstatat close
 */
static int save_open_base(
	struct save_memory *s, const struct gmem *m, const char *path, struct err *e)
{
	CLEANUP_FD
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct gmem_file file;
	struct stat st;
	bool loaded;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != m->size)
		return 0;
	file = save_file_id(&st);
	loaded = save_file_same(&file, &m->file);
	if (loaded && m->base_is_lent)
		return err_set(e, -EBUSY,
			"forks of this VM have it mapped, and a diff would change it under them: "
			"give another path");
	s->mode = loaded || save_file_same(&file, &save_last_full) ? PAGES_MERGE : PAGES_DIFF;
	s->merge_fd = fd_take(&fd);
	return 0;
}

/* #syscalls:main ftruncate */
static int save_open_memory(struct save_memory *s, const struct machine *m,
	const struct snapshot_save_options *o, struct err *e)
{
	int rc;

	s->mode = o->diff ? PAGES_DIFF : PAGES_FULL;
	rc = o->diff ? save_open_base(s, &m->mem, o->mem_path, e) : 0;
	s->fd = s->merge_fd;
	if (rc < 0 || s->fd >= 0)
		return rc;
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
	int rc = page_set_init(&set, &m->mem, e);

	if (rc == 0)
		rc = save_collect(&set, m, o, e);
	if (rc == 0)
		rc = save_open_memory(s, m, o, e);
	if (rc == 0)
		rc = pages_write(&set, &m->mem, s->fd, s->mode, ret, e);
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

/* One file under both names, or the one where the other is written aside, would lose both. */
static int save_check_names(const struct snapshot_save_options *o, struct err *e)
{
	struct stat state, mem;

	if (aside_names_collide(o->state_path, o->mem_path) ||
		(stat(o->state_path, &state) == 0 && stat(o->mem_path, &mem) == 0 &&
			state.st_dev == mem.st_dev && state.st_ino == mem.st_ino))
		return err_set(e, -EINVAL,
			"snapshot_path %s and mem_file_path %s must be two files of different "
			"names",
			o->state_path, o->mem_path);
	return 0;
}

int snapshot_save(struct machine *m, const struct snapshot_save_options *o,
	struct pages_written *ret, struct err *e)
{
	struct save_memory memory = {.aside = ASIDE_NONE, .fd = -1, .merge_fd = -1};
	struct aside state = ASIDE_NONE;
	struct stat st;
	int rc = save_check_names(o, e);

	CHECK(m->paused);
	if (rc == 0)
		rc = save_state(&state, m, o, e);
	if (rc == 0)
		rc = save_memory(&memory, m, o, ret, e);
	if (rc == 0 && memory.aside.fd >= 0)
		rc = aside_commit(&memory.aside, "mem_file_path", e);
	if (rc == 0 && (rc = aside_commit(&state, "snapshot_path", e)) < 0)
		aside_revert(&memory.aside);
	if (rc == 0 && m->mem.dirty)
		memset(m->mem.dirty, 0, m->mem.dirty_size);
	if (rc == 0 && memory.mode == PAGES_FULL && fstat(memory.fd, &st) == 0)
		save_last_full = save_file_id(&st);
	save_memory_close(&memory);
	aside_close(&state);
	return rc;
}
