/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to spend: cgroup hierarchies, memory, huge pages, resource limits. */
#include "cli/doctor.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define LIST_SIZE         160
#define NOFILE_MIN        1024u
#define MEMLOCK_MIN       (8 * MIB)
#define ADDRESS_SPACE_MIN (8 * GIB)
#define MEMORY_MIN_MIB    256

struct cgroups {
	bool v2;
	bool v2_favours_dynmods;
	char v2_controllers[LIST_SIZE];
	char v1_controllers[LIST_SIZE];
};

static void list_append(char list[LIST_SIZE], const char *word)
{
	size_t used = strlen(list);

	(void)snprintf(list + used, LIST_SIZE - used, "%s%s", used ? " " : "", word);
}

static void v2_controllers_read(struct cgroups *c, const char *mount_point)
{
	CLEANUP_FREE
	char *text = NULL;
	char path[512];
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/cgroup.controllers", mount_point);
	if (io_read_file(path, LIST_SIZE - 1, &text, &len, NULL) == 0)
		(void)snprintf(
			c->v2_controllers, LIST_SIZE, "%.*s", (int)strcspn(text, "\n"), text);
}

/* Options of a v1 mount name its controllers, among a few that do not. */
static void v1_options_read(struct cgroups *c, char *options)
{
	static const char *const controllers[] = {"cpu", "cpuacct", "cpuset", "memory", "devices",
		"freezer", "blkio", "pids", "hugetlb", "rdma", "misc", "net_cls", "net_prio",
		"perf_event"};
	char *save = NULL;

	for (char *w = strtok_r(options, ",\n", &save); w; w = strtok_r(NULL, ",\n", &save)) {
		for (size_t i = 0; i < NELEM(controllers); i++) {
			if (strcmp(w, controllers[i]) == 0)
				list_append(c->v1_controllers, w);
		}
	}
}

static void cgroups_read(struct cgroups *c)
{
	CLEANUP_FCLOSE FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], mount_point[256], type[32], options[512];

	*c = (struct cgroups){0};
	while (f && fgets(line, sizeof(line), f)) {
		/* id parent major:minor root MOUNT-POINT options [optional]... - TYPE source OPTIONS */
		const char *tail = strstr(line, " - ");

		if (!tail || sscanf(line, "%*s %*s %*s %*s %255s", mount_point) != 1 ||
			sscanf(tail, " - %31s %*s %511s", type, options) != 2)
			continue;
		if (strcmp(type, "cgroup2") == 0 && !c->v2) {
			c->v2 = true;
			c->v2_favours_dynmods = strstr(options, "favordynmods") != NULL;
			v2_controllers_read(c, mount_point);
		} else if (strcmp(type, "cgroup") == 0) {
			v1_options_read(c, options);
		}
	}
}

static void check_cgroups(struct doctor_report *r)
{
	struct doctor_finding *f;
	struct cgroups c;

	cgroups_read(&c);
	if (strstr(c.v2_controllers, "memory") && strstr(c.v2_controllers, "cpu")) {
		doctor_add(r, "host", "cgroup-v2", DOCTOR_OK, "controllers: %s%s", c.v2_controllers,
			c.v2_favours_dynmods ? " (favordynmods)" : "");
	} else {
		f = doctor_add(r, "host", "cgroup-v2", DOCTOR_WARN, "%s%s",
			!c.v2 ? "not mounted"
			      : "mounted, without the cpu and memory controllers; it has: ",
			c.v2 && c.v2_controllers[0] ? c.v2_controllers
			: c.v2                      ? "none"
						    : "");
		doctor_remedy(f, "boot with systemd.unified_cgroup_hierarchy=1, or use "
				 "--cgroup-version 1");
	}
	if (!c.v1_controllers[0]) {
		doctor_add(r, "host", "cgroup-v1", DOCTOR_OK, "no controllers (v2 is what counts)");
		return;
	}
	f = doctor_add(r, "host", "cgroup-v1", DOCTOR_WARN,
		"controllers: %s; newer kernels may "
		"delay the start of a VM in a v1 cgroup",
		c.v1_controllers);
	doctor_remedy(f, "boot with systemd.unified_cgroup_hierarchy=1 and use cgroup v2");
}

/* "always [madvise] never" -> "madvise" */
static bool read_choice(const char *path, char *buf, size_t size)
{
	CLEANUP_FREE
	char *text = NULL;
	const char *open, *close;
	size_t len;

	if (io_read_file(path, 4096, &text, &len, NULL) < 0)
		return false;
	open = strchr(text, '[');
	close = open ? strchr(open, ']') : NULL;
	if (!close || (size_t)(close - open) > size)
		return false;
	(void)snprintf(buf, size, "%.*s", (int)(close - open - 1), open + 1);
	return true;
}

static void check_huge_pages(struct doctor_report *r)
{
	static const char dir[] = "/sys/kernel/mm/hugepages/hugepages-2048kB";
	struct doctor_finding *f;
	int64_t total = 0, unused = 0;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/nr_hugepages", dir);
	(void)doctor_read_number(path, &total);
	(void)snprintf(path, sizeof(path), "%s/free_hugepages", dir);
	(void)doctor_read_number(path, &unused);
	f = doctor_add(r, "host", "huge-pages", total > 0 ? DOCTOR_OK : DOCTOR_WARN,
		"pool of %lld 2 MiB pages, %lld free", (long long)total, (long long)unused);
	doctor_value(f, unused);
	if (total == 0)
		doctor_remedy(f, "for machine-config.huge_pages 2M: sysctl vm.nr_hugepages=N");
}

/* Guest memory is a memfd, so the mode for shared memory decides. */
static void check_transparent_huge_pages(struct doctor_report *r)
{
	char anonymous[32] = "absent", shared[32] = "absent";
	struct doctor_finding *f;
	bool good;

	(void)read_choice(
		"/sys/kernel/mm/transparent_hugepage/enabled", anonymous, sizeof(anonymous));
	(void)read_choice(
		"/sys/kernel/mm/transparent_hugepage/shmem_enabled", shared, sizeof(shared));
	good = strcmp(shared, "absent") != 0 && strcmp(shared, "never") != 0 &&
	       strcmp(shared, "deny") != 0;
	f = doctor_add(r, "host", "transparent-huge-pages", good ? DOCTOR_OK : DOCTOR_WARN,
		"shared memory: %s, anonymous memory: %s", shared, anonymous);
	if (!good)
		doctor_remedy(f, "for machine-config.huge_pages Transparent: echo advise > "
				 "/sys/kernel/mm/transparent_hugepage/shmem_enabled");
}

static void check_memory(struct doctor_report *r)
{
	CLEANUP_FCLOSE FILE *f = fopen("/proc/meminfo", "re");
	struct doctor_finding *found;
	char line[256];
	long long kib = -1;

	while (kib < 0 && f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "MemAvailable:", 13) == 0)
			kib = strtoll(line + 13, NULL, 10);
	}
	found = doctor_add(r, "host", "memory",
		kib / 1024 < MEMORY_MIN_MIB ? DOCTOR_WARN : DOCTOR_OK, "%lld MiB available",
		kib / 1024);
	doctor_value(found, kib / 1024);
	if (found->verdict != DOCTOR_OK)
		doctor_remedy(found,
			"a VM has 256 MiB unless --memory says less; end something, or "
			"use a larger host");
}

static void check_limit(
	struct doctor_report *r, const char *id, int resource, uint64_t min, const char *remedy)
{
	struct doctor_finding *f;
	struct rlimit limit = {0};

	(void)getrlimit((__rlimit_resource_t)resource, &limit);
	if (limit.rlim_cur == RLIM_INFINITY) {
		doctor_add(r, "host", id, DOCTOR_OK, "unlimited");
		return;
	}
	f = doctor_add(r, "host", id, limit.rlim_cur >= min ? DOCTOR_OK : DOCTOR_WARN,
		limit.rlim_max == RLIM_INFINITY ? "%llu (hard limit: unlimited)"
						: "%llu (hard limit: %llu)",
		(unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
	doctor_value(f, (int64_t)limit.rlim_cur);
	if (limit.rlim_cur < min)
		doctor_remedy(f, "%s", remedy);
}

void doctor_check_limits(struct doctor_report *r)
{
	check_cgroups(r);
	check_memory(r);
	check_huge_pages(r);
	check_transparent_huge_pages(r);
	check_limit(r, "limit-nofile", RLIMIT_NOFILE, NOFILE_MIN,
		"ulimit -n 1024: a monitor sizes its table of files once, at the start");
	check_limit(r, "limit-memlock", RLIMIT_MEMLOCK, MEMLOCK_MIN,
		"ulimit -l 8192: registered disk buffers count into it");
	check_limit(r, "limit-as", RLIMIT_AS, ADDRESS_SPACE_MIN,
		"ulimit -v unlimited: the memory of a guest counts into it, used or not");
}
