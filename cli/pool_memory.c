/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much memory the clones take: their proportional set size, in which a page that K clones share
 * counts as 1/K for each of them. The kernel walks page tables to tell it, so that only some clones are
 * looked at each time.
 */
#include "cli/pool.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"
#include "vmm/base/layout.h"

#include <string.h>

#define LOOK_MAX      32u
#define FILE_SIZE_MAX 8192u

uint64_t pool_clone_memory(const struct pool_clone *c)
{
	char path[64];
	CLEANUP_FREE
	char *text = NULL;
	const char *line;
	size_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)c->pid);
	if (io_read_file(path, FILE_SIZE_MAX, &text, &len, NULL) == 0) {
		line = strstr(text, "\nPss:");
		return line ? strtoull(line + 5, NULL, 10) * KIB : 0;
	}
	/* Of another user's process only this can be read; shared pages count in full. */
	(void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)c->pid);
	if (io_read_file(path, FILE_SIZE_MAX, &text, &len, NULL) < 0)
		return 0;
	line = strchr(text, ' ');
	return line ? strtoull(line, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

uint64_t pool_memory(const struct pool *p)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < p->o->max; i++)
		if (p->clones[i].state != POOL_FREE)
			sum += p->clones[i].memory;
	return sum;
}

/* Those that start count as if they were ready. */
bool pool_memory_fits(const struct pool *p)
{
	uint64_t room = p->o->memory_max, used = pool_memory(p);

	if (room == 0)
		return true;
	return used <= room && (p->count[POOL_STARTING] + 1) * p->clone_cost <= room - used;
}

void pool_memory_look(struct pool *p)
{
	uint32_t looked = 0;

	for (uint32_t i = 0; i < p->o->max && looked < LOOK_MAX; i++) {
		struct pool_clone *c = &p->clones[p->measure_next];

		p->measure_next = (p->measure_next + 1) % p->o->max;
		if (c->state != POOL_READY && c->state != POOL_RESUMING && c->state != POOL_TAKEN)
			continue;
		c->memory = pool_clone_memory(c);
		looked++;
	}
}
