/* SPDX-License-Identifier: Apache-2.0 */
/* Where the figures of `mayfly stats` come from. See stats.h. */
#include "cli/stats.h"

#include "cli/vm.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/io.h"

#include <errno.h>
#include <string.h>

#define STAT_SIZE_MAX 4096u

static const struct {
	enum stats_column column;
	const char *family;
} families[] = {
	{STATS_EXITS, "mayfly_vcpu_exit_io_in_total"},
	{STATS_EXITS, "mayfly_vcpu_exit_io_out_total"},
	{STATS_EXITS, "mayfly_vcpu_exit_mmio_read_total"},
	{STATS_EXITS, "mayfly_vcpu_exit_mmio_write_total"},
	{STATS_BLOCK_READ, "mayfly_block_read_bytes_total"},
	{STATS_BLOCK_WRITE, "mayfly_block_write_bytes_total"},
	{STATS_NET_RX, "mayfly_net_rx_bytes_count_total"},
	{STATS_NET_TX, "mayfly_net_tx_bytes_count_total"},
};

uint64_t stats_page_sum(const char *page, const char *family)
{
	size_t len = strlen(family);
	uint64_t sum = 0;

	while (*page) {
		size_t line = strcspn(page, "\n");

		if (line > len && strncmp(page, family, len) == 0 &&
			(page[len] == ' ' || page[len] == '{')) {
			const char *space = memrchr(page, ' ', line);

			sum += space ? strtoull(space, NULL, 10) : 0;
		}
		page += line + (page[line] == '\n' ? 1 : 0);
	}
	return sum;
}

/* Fields of /proc/PID/stat, counted from 1; the second is a name in parentheses. */
static uint64_t stat_field(const char *text, int number)
{
	const char *s = strrchr(text, ')');

	for (int field = 2; s && field < number; field++)
		s = strchr(s + 1, ' ');
	return s ? strtoull(s, NULL, 10) : 0;
}

static int take_process(const struct runtime_vm *vm, struct stats_sample *ret, struct err *e)
{
	char path[32];
	CLEANUP_FREE
	char *text = NULL;
	size_t len;
	int rc;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)vm->monitor.pid);
	rc = io_read_file(path, STAT_SIZE_MAX, &text, &len, NULL);
	if (rc < 0 || !runtime_process_lives(&vm->monitor))
		return err_set(e, -ESRCH, "%s has ended", vm->name);
	ret->value[STATS_CPU_MS] = (stat_field(text, 14) + stat_field(text, 15)) * 1000 /
				   (uint64_t)sysconf(_SC_CLK_TCK);
	ret->value[STATS_RSS_KIB] = stat_field(text, 24) * (uint64_t)sysconf(_SC_PAGESIZE) / KIB;
	return 0;
}

int stats_take(const struct runtime_vm *vm, struct stats_sample *ret, struct err *e)
{
	struct http_answer a = {0};
	int rc;

	*ret = (struct stats_sample){.at_ns = clock_mono_ns()};
	rc = take_process(vm, ret, e);
	if (rc == 0)
		rc = vm_call(vm, "GET", "/metrics", NULL, &a, e);
	for (size_t i = 0; rc == 0 && a.body && i < NELEM(families); i++)
		ret->value[families[i].column] += stats_page_sum(a.body, families[i].family);
	http_answer_fini(&a);
	return rc;
}
