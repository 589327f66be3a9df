/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a snapshot, and its memory. See load.h; what goes into the machine is in restore.c. */
#include "snapshot/load.h"

#include "snapshot/cpu_check.h"
#include "snapshot/pages.h"
#include "snapshot/prefetch.h"
#include "snapshot/restore.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"
#include "vmm/base/log.h"
#include "vmm/base/passed_fd.h"
#include "vmm/base/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <string.h>

static int load_config_text(struct snapshot_load *l, struct err *e)
{
	const struct snapshot_section *s = snapshot_find(&l->reader, SNAPSHOT_CONFIG, 0);

	if (!s)
		return err_set(e, -EINVAL, "section config is missing");
	l->config = malloc((size_t)s->len + 1);
	if (!l->config)
		return err_set_os(e, -ENOMEM, "the configuration");
	memcpy(l->config, s->data, s->len);
	l->config[s->len] = '\0';
	return strlen(l->config) == s->len ? 0 : err_set(e, -EINVAL, "section config is no text");
}

static int load_parse(struct snapshot_load *l, size_t len, struct err *e)
{
	int rc = snapshot_open(&l->reader, l->data, len, snapshot_section_known, e);

	if (rc == 0)
		rc = snapshot_get_table(
			&l->reader, SNAPSHOT_INFO, 0, &snapshot_info_table, &l->info, e);
	if (rc == 0)
		rc = snapshot_get_table(
			&l->reader, SNAPSHOT_CPUID, 0, &snapshot_cpuid_table, &l->cpuid, e);
	return rc == 0 ? load_config_text(l, e) : rc;
}

void load_phase(struct snapshot_load *l, struct latency *to)
{
	uint64_t now = clock_mono_ns();

	if (to)
		latency_add(to, now - l->phase_ns);
	l->phase_ns = now;
}

static int load_open_fork(struct snapshot_load *l, struct err *e)
{
	int rc = fork_collect(&l->gift, l->o.fork_path, e);

	if (rc < 0)
		return rc;
	l->data = l->gift.state;
	l->gift.state = NULL;
	rc = load_parse(l, l->gift.state_size, e);
	if (rc < 0) {
		snapshot_load_close(l);
		return err_wrap(e, "fork_from %s", l->o.fork_path);
	}
	load_phase(l, l->o.phases ? &l->o.phases->state_file_agg : NULL);
	return 0;
}

int snapshot_load_open(
	struct snapshot_load *l, const struct snapshot_load_options *o, struct err *e)
{
	char *data = NULL;
	size_t len = 0;
	int rc;

	memset(l, 0, offsetof(struct snapshot_load, reader));
	l->o = *o;
	l->uffd = UFFD_NONE;
	l->gift = FORK_GIFT_NONE;
	load_phase(l, NULL);
	if (o->fork_path)
		return load_open_fork(l, e);
	rc = io_read_image(o->state_path, SNAPSHOT_FILE_MAX, &data, &len, e);
	if (rc < 0)
		return err_wrap(e, "Failed to get snapshot state from file");
	l->data = (uint8_t *)data;
	rc = load_parse(l, len, e);
	if (rc < 0) {
		snapshot_load_close(l);
		return err_wrap(e, "Failed to get snapshot state from file: %s", o->state_path);
	}
	load_phase(l, o->phases ? &o->phases->state_file_agg : NULL);
	return 0;
}

void snapshot_load_close(struct snapshot_load *l)
{
	uffd_close(&l->uffd);
	fork_gift_fini(&l->gift);
	free(l->config);
	free(l->data);
	l->config = NULL;
	l->data = NULL;
}

void snapshot_load_forget(struct snapshot_load *l)
{
	free(l->config);
	free(l->data);
	l->config = NULL;
	l->data = NULL;
	scratch_drop(&l->reader, sizeof(*l) - offsetof(struct snapshot_load, reader));
	(void)malloc_trim(0);
}

/* ---- the machine's source ---- */

/* What the configuration says of the machine must be what the state was saved of. */
static int source_check_shape(const struct snapshot_load *l, const struct machine *m, struct err *e)
{
	const struct vm_config *c = m->config;

	if (l->info.vcpu_count != c->vcpu_count || l->info.mem_size != c->mem_size_mib * MIB)
		return err_set(e, -EINVAL,
			"the state file contradicts itself: %u vCPUs and %llu MiB, or %u and %llu",
			l->info.vcpu_count, (unsigned long long)(l->info.mem_size / MIB),
			c->vcpu_count, (unsigned long long)c->mem_size_mib);
	return 0;
}

static int source_memory(void *ctx, struct machine *m, struct gmem_config *c, struct err *e)
{
	struct snapshot_load *l = ctx;
	int rc = source_check_shape(l, m, e);

	if (rc < 0)
		return rc;
	rc = cpu_check(&l->info, &l->cpuid, m->vm.kvm_fd, e);
	if (rc < 0 && !l->o.force)
		return err_wrap(
			e, "cpu (--force, or `force` of the request, loads it all the same)");
	if (rc < 0)
		log_warn("loaded by force: %s", e->msg);
	c->backing = l->o.uffd ? GMEM_BACKING_ANON : GMEM_BACKING_FILE;
	if (l->o.uffd)
		return 0;
	if (l->o.fork_path) {
		if (l->gift.mem_size != c->size)
			return err_set(e, -EINVAL, "the fork's memory has another size");
		c->file_fd = fd_take(&l->gift.base_fd);
		c->overlays = l->gift.overlays;
		c->overlay_count = l->gift.overlay_count;
	}
	if (c->pages == GMEM_PAGES_2M)
		return err_set(e, -EINVAL,
			"huge_pages: Failed to load guest memory: pages of 2 MiB need the Uffd "
			"backend");
	if (l->o.fork_path)
		return 0;
	rc = c->file_fd = io_open_image(l->o.mem_path, e);
	if (rc >= 0)
		return 0;
	if (passed_fd_is(l->o.mem_path) || rc == -EINVAL)
		return err_wrap(e, "Failed to load guest memory");
	return err_set(e, rc,
		"Failed to load guest memory: Error creating guest memory from file: Failed to "
		"load guest memory: %s (os error %d): %s",
		strerrordesc_np(-rc), -rc, l->o.mem_path);
}

/* A fork has no file that a diff could be merged into: everything counts as changed. */
static int source_count_all(struct machine *m, struct err *e)
{
	m->mem.base_is_new = true;
	m->mem.base_is_lent = true;
	return m->mem.dirty ? pages_mark_changed(&m->mem, e) : 0;
}

/* The regions follow from the size; a layout of another version would be another machine. */
static int source_mapped(void *ctx, struct machine *m, struct err *e)
{
	struct snapshot_load *l = ctx;
	int rc;

	if (l->info.region_count != m->mem.region_count)
		return err_set(e, -EINVAL, "the memory was in %u regions, it would be in %u",
			l->info.region_count, m->mem.region_count);
	for (uint32_t i = 0; i < m->mem.region_count; i++)
		if (l->info.regions[i].start != m->mem.regions[i].start.v ||
			l->info.regions[i].size != m->mem.regions[i].size ||
			l->info.regions[i].file_offset != m->mem.regions[i].file_offset)
			return err_set(e, -EINVAL, "region %u of the memory was elsewhere", i);
	if (l->o.fork_path) {
		rc = source_count_all(m, e);
		if (rc < 0)
			return rc;
	}
	if (l->o.uffd) {
		rc = uffd_hand_over(&l->uffd, &m->mem, l->o.mem_path, e);
		if (rc < 0)
			return rc;
	}
	if (l->o.prefetch_path) {
		rc = prefetch_pages(&m->mem, l->o.prefetch_path, e);
		if (rc < 0)
			return rc;
	}
	load_phase(l, l->o.phases ? &l->o.phases->memory_agg : NULL);
	return 0;
}

static int source_restore(void *ctx, struct machine *m, struct err *e)
{
	return restore_machine(ctx, m, e);
}

const struct machine_source snapshot_source = {
	.memory = source_memory,
	.mapped = source_mapped,
	.restore = source_restore,
};
