/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly stats`: what VMs do, live or once. */
#include "cli/stats.h"

#include "cli/cli.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#define VMS_MAX        64
#define INTERVAL_S_MAX 3600

static const struct cli_option stats_options[] = {
	{'1', "once", NULL, NULL,
		"print totals since the start once, instead of rates again and again"},
	{'o', "output", "FORMAT", "text json", "text (the default) or json, which needs --once"},
	{'i', "interval", "S", NULL, "seconds between two lines (2)"},
	CLI_OPTION_HELP,
};

static const char *const column_keys[STATS_COLUMNS] = {
	[STATS_CPU_MS] = "cpu_ms",
	[STATS_RSS_KIB] = "rss_kib",
	[STATS_EXITS] = "exits",
	[STATS_BLOCK_READ] = "block_read_bytes",
	[STATS_BLOCK_WRITE] = "block_write_bytes",
	[STATS_NET_RX] = "net_rx_bytes",
	[STATS_NET_TX] = "net_tx_bytes",
};

/* A VM that is watched. */
struct watched {
	struct runtime_vm vm;
	struct stats_sample last;
	bool has_last;
};

static void head_print(bool rates)
{
	(void)printf("%-20s %8s %9s %10s %11s %11s %11s %11s\n", "NAME", rates ? "CPU %" : "CPU S",
		"RSS MIB", rates ? "EXITS/S" : "EXITS", rates ? "READ B/S" : "READ B",
		rates ? "WRITE B/S" : "WRITE B", rates ? "NET RX B/S" : "NET RX B",
		rates ? "NET TX B/S" : "NET TX B");
}

/* Totals, or with an earlier sample what each second between the two saw. */
static void row_print(
	const char *name, const struct stats_sample *s, const struct stats_sample *old)
{
	double seconds = old ? (double)(s->at_ns - old->at_ns) / (double)CLOCK_NS_PER_S : 1;
	double v[STATS_COLUMNS];

	for (int i = 0; i < STATS_COLUMNS; i++)
		v[i] = (double)(s->value[i] - (old ? old->value[i] : 0)) / seconds;
	(void)printf("%-20s %8.1f %9.1f %10.0f %11.0f %11.0f %11.0f %11.0f\n", name,
		v[STATS_CPU_MS] / (old ? 10 : 1000), (double)s->value[STATS_RSS_KIB] / 1024,
		v[STATS_EXITS], v[STATS_BLOCK_READ], v[STATS_BLOCK_WRITE], v[STATS_NET_RX],
		v[STATS_NET_TX]);
}

static json_t *row_json(const char *name, const struct stats_sample *s)
{
	json_t *row = json_pack("{s:s}", "name", name);

	for (int i = 0; i < STATS_COLUMNS; i++)
		(void)json_object_set_new(
			row, column_keys[i], json_integer((json_int_t)s->value[i]));
	return row;
}

static int once_print(struct watched *w, int count, bool json)
{
	json_t *rows = json_array();
	int status = CLI_OK;

	if (!json)
		head_print(false);
	for (int i = 0; i < count; i++) {
		struct err e;

		if (stats_take(&w[i].vm, &w[i].last, &e) < 0) {
			cli_say("stats", "%s: %s", w[i].vm.name, e.msg);
			status = CLI_FAILED;
		} else if (json) {
			(void)json_array_append_new(rows, row_json(w[i].vm.name, &w[i].last));
		} else {
			row_print(w[i].vm.name, &w[i].last, NULL);
		}
	}
	if (json) {
		(void)!json_dumpf(rows, stdout, JSON_INDENT(2));
		(void)putchar('\n');
	}
	json_decref(rows);
	return cli_finish("stats", status);
}

/* Takes out those that have ended. The number left. */
static int turn_print(struct watched *w, int count)
{
	int left = 0;

	for (int i = 0; i < count; i++) {
		struct stats_sample now;
		struct err e;

		if (stats_take(&w[i].vm, &now, &e) < 0) {
			cli_say("stats", "%s: %s", w[i].vm.name, e.msg);
			continue;
		}
		if (w[i].has_last)
			row_print(w[i].vm.name, &now, &w[i].last);
		w[i].last = now;
		w[i].has_last = true;
		if (left != i)
			w[left] = w[i];
		left++;
	}
	return left;
}

static int live_print(struct watched *w, int count, int interval_s)
{
	bool clear = isatty(STDOUT_FILENO);
	bool first = true;

	while (count > 0 && !ferror(stdout)) {
		struct timespec pause = {.tv_sec = interval_s};

		if (!first) {
			if (clear)
				(void)fputs("\033[H\033[J", stdout);
			head_print(true);
		}
		count = turn_print(w, count);
		(void)fflush(stdout);
		if (count > 0)
			(void)nanosleep(&pause, NULL);
		first = false;
	}
	return cli_finish("stats", CLI_OK);
}

/* Those named, or all. The count, or -errno after a message. */
static int find_watched(struct watched *w, char **names, struct err *e)
{
	CLEANUP_FREE
	struct runtime_vm *list = NULL;
	int count = 0, all;

	for (; *names; names++) {
		int rc = count == VMS_MAX ? err_set(e, -E2BIG, "at most %d VMs", VMS_MAX)
					  : runtime_find(&w[count++].vm, *names, e);

		if (rc < 0)
			return rc;
	}
	if (count > 0)
		return count;
	all = runtime_list(&list, e);
	for (; count < all && count < VMS_MAX; count++)
		w[count].vm = list[count];
	return all < 0 ? all : count > 0 ? count : err_set(e, -ENOENT, "no VM runs");
}

static int stats_vms(char **names, bool once, bool json, int interval_s)
{
	static struct watched watched[VMS_MAX];
	struct err e;
	int count = find_watched(watched, names, &e);

	if (count < 0) {
		cli_say("stats", "%s", e.msg);
		return CLI_FAILED;
	}
	return once ? once_print(watched, count, json) : live_print(watched, count, interval_s);
}

static int interval_parse(const char *text, int *ret)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (errno || end == text || *end || v < 1 || v > INTERVAL_S_MAX)
		return cli_usage("stats", "--interval '%s': must be seconds, from 1 to %d", text,
			INTERVAL_S_MAX);
	*ret = (int)v;
	return CLI_OK;
}

static int stats_main(int argc, char **argv)
{
	bool once = false, json = false;
	int opt, interval_s = 2, status = CLI_OK;

	while (status == CLI_OK && (opt = cli_option_next(&cli_stats_command, argc, argv)) != -1) {
		if (opt == 'h')
			return cli_help(&cli_stats_command);
		if (opt == '?')
			return CLI_USAGE;
		if (opt == '1')
			once = true;
		else if (opt == 'o')
			status = cli_format_parse("stats", optarg, &json);
		else
			status = interval_parse(optarg, &interval_s);
	}
	if (status == CLI_OK && json && !once)
		status = cli_usage("stats", "-o json needs --once");
	return status == CLI_OK ? stats_vms(argv + optind, once, json, interval_s) : status;
}

const struct cli_command cli_stats_command = {
	.name = "stats",
	.summary = "Show what VMs do: CPU, memory, exits, disks, network",
	.arguments = "[--once] [-o text|json] [-i S] [VM]...",
	.description = "Shows figures of VMs, all of them unless some are named, as rates that are "
		       "refreshed until they have ended. CPU % is of one host CPU; exits are port "
		       "and MMIO accesses that reached the monitor.",
	.words = "@vm",
	.options = stats_options,
	.option_count = NELEM(stats_options),
	.notes = "Exit status: 0; 1 if there is no such VM or it does not answer; 2 usage.",
	.main = stats_main,
};
