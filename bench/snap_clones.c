/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many clones at once: see snap.h. What each takes, on average: the guest's pages that are its own, PSS
 * of all else that the process has mapped (shared pages are divided among those that share them), and
 * what the kernel took meanwhile by its own account, /proc/meminfo, other processes included. The last
 * two are what a clone takes beyond the pages that it dirtied.
 */
#include "bench/snap.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLONES_AT_A_TIME 4 /* that have not answered yet */

struct clone {
	pid_t pid;
	int out;
};

/* Sums over all clones. */
struct usage {
	long guest_kib, monitor_kib, dirty_kib, fds;
};

static FILE *clones_open(const char *path)
{
	FILE *f = fopen(path, "re");

	if (!f)
		snap_die(path);
	return f;
}

/* The number of a line "name: N kB" of /proc, or -1 if it has another name. */
static long clones_field(const char *line, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(line, name, len) != 0 || line[len] != ':')
		return -1;
	return strtol(line + len + 1, NULL, 10);
}

/* Stacks are not counted: they are vmalloc's. */
static long clones_kernel_kib(void)
{
	static const char *const kernel[] = {
		"Slab", "PageTables", "SecPageTables", "VmallocUsed", "Percpu"};
	FILE *f = clones_open("/proc/meminfo");
	char line[128];
	long sum = 0;

	while (fgets(line, sizeof(line), f))
		for (size_t i = 0; i < sizeof(kernel) / sizeof(kernel[0]); i++) {
			long kib = clones_field(line, kernel[i]);

			sum += kib > 0 ? kib : 0;
		}
	(void)fclose(f);
	return sum;
}

static long clones_count_fds(pid_t pid)
{
	char path[64];
	struct dirent *entry;
	long count = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		snap_die(path);
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	(void)closedir(dir);
	return count;
}

/* dirty: of the mappings of the memory file, which are the guest's pages. */
static void clones_add_usage(struct usage *u, pid_t pid, const char *memory)
{
	char path[64], line[PATH_MAX + 128];
	bool is_guest = false;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	f = clones_open(path);
	while (fgets(line, sizeof(line), f)) {
		long pss = clones_field(line, "Pss"), dirty = clones_field(line, "Private_Dirty");

		if (!isupper((unsigned char)line[0])) /* the address: another mapping */
			is_guest = strstr(line, memory) != NULL;
		else if (pss > 0)
			*(is_guest ? &u->guest_kib : &u->monitor_kib) += pss;
		else if (dirty > 0 && is_guest)
			u->dirty_kib += dirty;
	}
	(void)fclose(f);
	u->fds += clones_count_fds(pid);
}

static void clones_start(struct clone *c, int count, char **argv)
{
	int waiting = 0;

	for (int i = 0; i < count; i++) {
		if (i - waiting == CLONES_AT_A_TIME)
			(void)snap_wait_byte(c[waiting++].out, 'A');
		c[i].pid = snap_spawn(argv, &c[i].out);
	}
	while (waiting < count)
		(void)snap_wait_byte(c[waiting++].out, 'A');
}

/* Returns the time it took. */
static uint64_t clones_end(const struct clone *c, int count)
{
	uint64_t start = snap_now_ns();

	for (int i = 0; i < count; i++)
		(void)kill(c[i].pid, SIGKILL);
	for (int i = 0; i < count; i++)
		if (waitpid(c[i].pid, NULL, 0) != c[i].pid)
			snap_die("waitpid");
	return snap_now_ns() - start;
}

static void clones_row(const char *bench, const char *program, double value, const char *unit)
{
	(void)printf("{\"bench\":\"snapshot_clones_%s\",\"program\":\"%s\",\"value\":%.2f,"
		     "\"unit\":\"%s\"}\n",
		bench, program, value, unit);
}

int snap_clones(int count, const char *program, const char *memory, char **argv)
{
	struct rlimit fds = {.rlim_cur = (rlim_t)count + 64, .rlim_max = (rlim_t)count + 64}, now;
	struct clone *clones = calloc((size_t)count, sizeof(*clones));
	double n = count;
	struct usage usage = {0};
	uint64_t start;
	long kernel_kib;

	if (!clones)
		snap_die("memory");
	if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur < fds.rlim_cur &&
		setrlimit(RLIMIT_NOFILE, &fds) < 0)
		snap_die("too few file descriptors: raise ulimit -n");
	kernel_kib = clones_kernel_kib();
	start = snap_now_ns();
	clones_start(clones, count, argv);
	clones_row("each", program, (double)(snap_now_ns() - start) / 1e3 / n, "us");
	kernel_kib = clones_kernel_kib() - kernel_kib;
	for (int i = 0; i < count; i++)
		clones_add_usage(&usage, clones[i].pid, memory);
	clones_row("end_each", program, (double)clones_end(clones, count) / 1e3 / n, "us");
	clones_row("pss", program, (double)(usage.guest_kib + usage.monitor_kib) / n, "KiB");
	clones_row("dirtied", program, (double)usage.dirty_kib / n, "KiB");
	clones_row("monitor", program, (double)usage.monitor_kib / n, "KiB");
	clones_row("kernel", program, (double)kernel_kib / n, "KiB");
	clones_row("beyond", program, (double)(usage.monitor_kib + kernel_kib) / n, "KiB");
	clones_row("fds", program, (double)usage.fds / n, "fds");
	return 0;
}
