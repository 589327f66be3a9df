/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroups. <mount>/<parent>/<id>, where version 1 has a mount for each controller, and version 2
 * one for all, in which a controller must be switched on in each folder on the way. With version
 * 2, --parent-cgroup and no --cgroup, the monitor joins the parent, if it is there.
 */
#include "jailer/cgroup.h"

#include "jailer/mountinfo.h"
#include "jailer/path.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define CGROUP_SELF_MAX  (1 << 20)
#define CGROUP_REMOVE_NS (5 * CLOCK_NS_PER_S)

/* The mount of a hierarchy, opened. -ENOENT if this host has none. */
static int cgroup_mount(unsigned version, const char *controller, size_t len, struct err *e)
{
	CLEANUP_FREE
	char *text = NULL;
	char path[PATH_MAX];
	size_t size;
	int rc = io_read_file("/proc/self/mountinfo", MOUNTINFO_SIZE_MAX, &text, &size, e);

	if (rc < 0)
		return rc;
	if (!mountinfo_cgroup(text, version, controller, len, path))
		return version == 2
			       ? err_set(e, -ENOENT,
					 "Hierarchy not found: cgroup2 is not mounted here")
			       : err_set(e, -ENOENT,
					 "Hierarchy not found: no cgroup of version 1 with "
					 "the controller %.*s is mounted; try --cgroup-version 2",
					 (int)len, controller);
	rc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return rc < 0 ? err_set_os(e, -errno, "Failed to open %s", path) : rc;
}

/* The number of a hierarchy in the record, or -1. */
static int cgroup_find(const struct record *r, const char *controller, size_t len)
{
	for (size_t i = 0; i < r->hierarchy_count; i++)
		if (r->hierarchies[i].version == 2 ||
			(strlen(r->hierarchies[i].controller) == len &&
				memcmp(r->hierarchies[i].controller, controller, len) == 0))
			return (int)i;
	return -1;
}

static bool cgroup_word_in(const char *text, const char *word, size_t len)
{
	for (const char *at = text; *at;) {
		size_t n = strcspn(at, " \n");

		if (n == len && memcmp(at, word, len) == 0)
			return true;
		at += n + (at[n] != '\0');
	}
	return false;
}

static int cgroup_plan_one(struct jail *j, const struct jailer_cgroup *c, struct err *e)
{
	struct record *r = &j->record;
	struct record_hierarchy *h = &r->hierarchies[r->hierarchy_count];
	CLEANUP_FD
	int mount = -1, fd = -1;
	char text[1024];
	ssize_t n;

	if (j->opt.cgroup_version == 1 && cgroup_find(r, c->file, c->controller_len) >= 0)
		return 0;
	mount = cgroup_mount(j->opt.cgroup_version, c->file, c->controller_len, e);
	if (mount < 0)
		return mount;
	if (j->opt.cgroup_version == 2) {
		fd = path_open(mount, "cgroup.controllers", O_RDONLY, 0);
		n = fd < 0 ? fd : path_read(fd, text, sizeof(text));
		if (n < 0)
			return err_set_os(e, (int)n, "Failed to open file cgroup.controllers");
		if (!cgroup_word_in(text, c->file, c->controller_len))
			return err_set(e, -ENOENT,
				"Controller %.*s is unavailable; there are: %.*s",
				(int)c->controller_len, c->file, (int)strcspn(text, "\n"), text);
		if (r->hierarchy_count)
			return 0;
	}
	if (r->hierarchy_count == RECORD_HIERARCHIES_MAX ||
		c->controller_len > RECORD_CONTROLLER_MAX)
		return err_set(
			e, -E2BIG, "--cgroup: more than %d controllers", RECORD_HIERARCHIES_MAX);
	h->version = j->opt.cgroup_version;
	(void)snprintf(h->controller, sizeof(h->controller), "%.*s",
		h->version == 2 ? 1 : (int)c->controller_len, h->version == 2 ? "-" : c->file);
	r->hierarchy_count++;
	return 0;
}

int cgroup_plan(struct jail *j, struct err *e)
{
	const char *parent = j->opt.parent_cgroup ? j->opt.parent_cgroup : j->name;

	if (!j->opt.parent_cgroup && j->opt.cgroup_count && strpbrk(j->name, " \t\n"))
		return err_set(e, -EINVAL,
			"--exec-file: \"%s\" cannot name a cgroup; give --parent-cgroup", j->name);
	for (size_t i = 0; i < j->opt.cgroup_count; i++) {
		int rc = cgroup_plan_one(j, &j->opt.cgroups[i], e);

		if (rc < 0)
			return rc;
	}
	if (j->opt.cgroup_count)
		(void)snprintf(
			j->record.cgroup, sizeof(j->record.cgroup), "%s/%s", parent, j->opt.id);
	return 0;
}

static int cgroup_write(int dir, const char *file, const char *value)
{
	CLEANUP_FD
	int fd = path_open(dir, file, O_WRONLY, 0);
	size_t len = strlen(value);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = write(fd, value, len);
	return n < 0 ? -errno : (size_t)n != len ? -EIO : 0;
}

/* A new cpuset of version 1 has neither CPUs nor memory nodes, and takes no process so. */
static int cgroup_inherit(int above, int below, struct err *e)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};

	for (size_t i = 0; i < NELEM(files); i++) {
		CLEANUP_FD
		int from = path_open(above, files[i], O_RDONLY, 0);
		CLEANUP_FD
		int to = path_open(below, files[i], O_RDONLY, 0);
		char value[4096], own[64];
		ssize_t n = from < 0 ? from : path_read(from, value, sizeof(value));
		ssize_t has = to < 0 ? to : path_read(to, own, sizeof(own));

		if (has > 1)
			continue;
		n = n < 0 ? n : has < 0 ? has : cgroup_write(below, files[i], value);
		if (n < 0)
			return err_set_os(e, (int)n,
				"Failed to inherit cgroups configurations from file %s in path "
				"<parent>",
				files[i]);
	}
	return 0;
}

/* Version 2: the controllers of all --cgroup are switched on for the folders in dir. */
static int cgroup_enable(const struct jail *j, int dir, struct err *e)
{
	for (size_t i = 0; i < j->opt.cgroup_count; i++) {
		const struct jailer_cgroup *c = &j->opt.cgroups[i];
		char text[136];
		int rc;

		(void)snprintf(text, sizeof(text), "+%.*s", (int)c->controller_len, c->file);
		rc = cgroup_write(dir, "cgroup.subtree_control", text);
		if (rc < 0)
			return err_set_os(e, rc,
				"Failed to write %s to cgroup.subtree_control on the way to %s%s",
				text, j->record.cgroup,
				rc == -EBUSY ? " (a parent has processes of its own)" : "");
	}
	return 0;
}

static bool cgroup_in_use(int dir, unsigned version)
{
	CLEANUP_FD
	int fd = path_open(dir, version == 1 ? "tasks" : "cgroup.procs", O_RDONLY, 0);
	char text[32];

	return fd < 0 || path_read(fd, text, sizeof(text)) != 0;
}

/* left: how many of the path's folders there are from this one on. */
static int cgroup_make_one(struct jail *j, struct record_hierarchy *h, int dir, const char *name,
	unsigned left, struct err *e)
{
	int rc;

	if (!h->made) {
		h->made = left;
		rc = tree_save(j, e);
		if (rc < 0)
			return rc;
	}
	if (mkdirat(dir, name, 0755) == 0)
		return 0;
	rc = -errno;
	if (rc != -EEXIST)
		return err_set_os(e, rc, "Failed to create directory %s", j->record.cgroup);
	/* The default parent is only ever made by jailers, and goes with the last of its jails. */
	if (left > 1 && !j->opt.parent_cgroup)
		return 0;
	h->made = 0;
	return tree_save(j, e);
}

/*
 * Makes the folders of the jail's cgroup in one hierarchy. The parents are shared with other jails,
 * which may remove an empty one at any moment: the caller tries again after -ENOENT.
 */
static int cgroup_make(
	struct jail *j, struct record_hierarchy *h, int mount, int *ret, struct err *e)
{
	CLEANUP_FD
	int dir = fcntl(mount, F_DUPFD_CLOEXEC, 3);
	unsigned left = 1;
	char name[NAME_MAX + 1];
	int rc = 0;

	if (dir < 0)
		return err_set_os(e, -errno, "cgroup");
	for (const char *at = j->record.cgroup; *at; at++)
		left += *at == '/';
	for (const char *at = j->record.cgroup; *at; at += *at == '/') {
		size_t len = strcspn(at, "/");
		CLEANUP_FD
		int sub = -1;

		if (snprintf(name, sizeof(name), "%.*s", (int)len, at) >= (int)sizeof(name))
			return err_set(e, -ENAMETOOLONG,
				"a name in the path of the cgroup %.128s has more than %d "
				"characters",
				j->record.cgroup, NAME_MAX);
		at += len;
		rc = h->version == 2 ? cgroup_enable(j, dir, e) : 0;
		if (rc < 0)
			return rc;
		rc = cgroup_make_one(j, h, dir, name, left--, e);
		if (rc < 0)
			return rc;
		sub = path_open(dir, name, O_RDONLY | O_DIRECTORY, 0);
		if (sub < 0)
			return err_set_os(e, sub, "cgroup %s", j->record.cgroup);
		if (!*at && !h->made && cgroup_in_use(sub, h->version))
			return err_set(e, -EEXIST,
				"the cgroup %s is there already, with processes in it: end them, "
				"or choose another --id",
				j->record.cgroup);
		if (strcmp(h->controller, "cpuset") == 0)
			rc = cgroup_inherit(dir, sub, e);
		if (rc < 0)
			return rc;
		fd_close(&dir);
		dir = fd_take(&sub);
	}
	*ret = fd_take(&dir);
	return 0;
}

static int cgroup_set(
	const struct jail *j, int dir, const struct record_hierarchy *h, struct err *e)
{
	for (size_t i = 0; i < j->opt.cgroup_count; i++) {
		const struct jailer_cgroup *c = &j->opt.cgroups[i];
		char file[NAME_MAX + 1];
		int rc;

		if (&j->record.hierarchies[cgroup_find(&j->record, c->file, c->controller_len)] !=
			h)
			continue;
		(void)snprintf(file, sizeof(file), "%.*s", (int)c->file_len, c->file);
		rc = cgroup_write(dir, file, c->value);
		if (rc < 0)
			return err_set_os(e, rc, "Failed to write %s to %s of cgroup %s", c->value,
				file, j->record.cgroup);
	}
	return 0;
}

/* "0" is the process that writes, whatever process namespace it is in. */
static int cgroup_attach(int dir, unsigned version, const char *path, struct err *e)
{
	int rc = cgroup_write(dir, version == 1 ? "tasks" : "cgroup.procs", "0");

	return rc < 0 ? err_set_os(e, rc, "Failed to move process to cgroup (%s)", path) : 0;
}

static int cgroup_enter_one(struct jail *j, struct record_hierarchy *h, struct err *e)
{
	CLEANUP_FD
	int mount = cgroup_mount(h->version, h->controller, strlen(h->controller), e);
	CLEANUP_FD
	int dir = -1;
	int rc = mount < 0 ? mount : -ENOENT;

	for (int i = 0; i < 10 && (rc == -ENOENT || rc == -ENODEV); i++) {
		h->made = 0;
		rc = cgroup_make(j, h, mount, &dir, e);
	}
	if (rc == 0)
		rc = cgroup_set(j, dir, h, e);
	return rc < 0 ? rc : cgroup_attach(dir, h->version, j->record.cgroup, e);
}

static int cgroup_join_parent(const struct jail *j, struct err *e)
{
	CLEANUP_FD
	int mount = cgroup_mount(2, "", 0, e);
	CLEANUP_FD
	int dir = -1;

	if (mount < 0)
		return mount;
	dir = path_open(mount, j->opt.parent_cgroup, O_RDONLY | O_DIRECTORY, 0);
	if (dir == -ENOENT)
		return 0; /* as Firecracker */
	if (dir < 0)
		return err_set_os(e, dir, "--parent-cgroup: %s", j->opt.parent_cgroup);
	return cgroup_attach(dir, 2, j->opt.parent_cgroup, e);
}

int cgroup_enter(struct jail *j, struct err *e)
{
	if (j->opt.cgroup_version == 2 && j->opt.parent_cgroup && !j->opt.cgroup_count)
		return cgroup_join_parent(j, e);
	for (size_t i = 0; i < j->record.hierarchy_count; i++) {
		int rc = cgroup_enter_one(j, &j->record.hierarchies[i], e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int cgroup_remove_one(
	const struct record *r, const struct record_hierarchy *h, struct err *e)
{
	uint64_t until = clock_mono_ns() + CGROUP_REMOVE_NS;
	CLEANUP_FD
	int mount = cgroup_mount(h->version, h->controller, strlen(h->controller), e);
	char path[RECORD_CGROUP_MAX + 1], *slash = path;

	if (mount < 0)
		return mount == -ENOENT ? 0 : mount;
	(void)snprintf(path, sizeof(path), "%s", r->cgroup);
	for (unsigned i = 0; slash && i < h->made; i++) {
		char *name;
		CLEANUP_FD
		int dir = -1;

		slash = strrchr(path, '/');
		name = slash ? slash + 1 : path;
		if (slash)
			*slash = '\0';
		dir = slash ? path_open(mount, path, O_RDONLY | O_DIRECTORY, 0)
			    : fcntl(mount, F_DUPFD_CLOEXEC, 3);
		if (dir == -ENOENT)
			continue;
		if (dir < 0)
			return err_set_os(e, dir, "cgroup %s", r->cgroup);
		/* Those above the first are shared: what is in use stays. */
		while (unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT && i == 0) {
			if (errno != EBUSY || clock_mono_ns() > until)
				return err_set_os(e, -errno, "cannot remove the cgroup %s (%s)%s",
					r->cgroup, h->controller,
					errno == EBUSY ? "; processes are in it" : "");
			(void)usleep(1000);
		}
	}
	return 0;
}

int cgroup_remove(const struct record *r, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < r->hierarchy_count; i++) {
		int one = cgroup_remove_one(r, &r->hierarchies[i], e);

		rc = rc < 0 ? rc : one;
	}
	return rc;
}

/* The path in a line of /proc/self/cgroup, NUMBER:CONTROLLERS:PATH, if it is of this hierarchy, or NULL. */
static const char *cgroup_line(const char *line, const struct record_hierarchy *h)
{
	const char *at = line + strcspn(line, ":"), *path = *at ? strchr(at + 1, ':') : NULL;
	size_t len = strlen(h->controller);

	if (path && h->version == 2)
		return strncmp(line, "0::", 3) == 0 ? path + 1 : NULL;
	while (path && at < path) {
		size_t n = strcspn(++at, ",:");

		if (n == len && memcmp(at, h->controller, len) == 0)
			return path + 1;
		at += n;
	}
	return NULL;
}

/* The cgroup of this process, which is that of whoever started the jailer; or -errno. */
static int cgroup_origin(int mount, const struct record_hierarchy *h)
{
	CLEANUP_FREE
	char *text = NULL;
	size_t size;
	int rc = io_read_file("/proc/self/cgroup", CGROUP_SELF_MAX, &text, &size, NULL);

	if (rc < 0)
		return rc;
	for (char *at = text, *end; *at; at = end) {
		const char *path;

		end = strchrnul(at, '\n');
		if (*end)
			*end++ = '\0';
		path = cgroup_line(at, h);
		if (!path)
			continue;
		path += strspn(path, "/");
		return path_open(mount, *path ? path : ".", O_RDONLY | O_DIRECTORY, 0);
	}
	return -ENOENT;
}

/*
 * The processes of a run that failed wait for the undoer inside of what it has to remove. They go
 * where they came from: the root of a mount takes none if it is a cgroup namespace's and has
 * controllers switched on. Where that cannot be found below the mount, the root has to do.
 */
static void cgroup_evict(const struct record *r, const struct record_hierarchy *h)
{
	const char *file = h->version == 1 ? "tasks" : "cgroup.procs";
	CLEANUP_FD
	int mount = cgroup_mount(h->version, h->controller, strlen(h->controller), NULL);
	CLEANUP_FD
	int dir = mount < 0 ? -1 : path_open(mount, r->cgroup, O_RDONLY | O_DIRECTORY, 0);
	CLEANUP_FD
	int fd = dir < 0 ? -1 : path_open(dir, file, O_RDONLY, 0);
	CLEANUP_FD
	int origin = fd < 0 ? -1 : cgroup_origin(mount, h);
	char text[4096];

	if (fd < 0 || path_read(fd, text, sizeof(text)) <= 0)
		return;
	for (char *at = text, *end; *at; at = end) {
		end = strchrnul(at, '\n');
		if (*end)
			*end++ = '\0';
		if (origin < 0 || cgroup_write(origin, file, at) < 0)
			(void)cgroup_write(mount, file, at);
	}
}

void cgroup_leave(struct jail *j)
{
	struct record made = j->record;
	struct err e;

	made.hierarchy_count = 0;
	for (size_t i = 0; i < j->record.hierarchy_count; i++) {
		if (!j->record.hierarchies[i].made)
			continue;
		cgroup_evict(&j->record, &j->record.hierarchies[i]);
		made.hierarchies[made.hierarchy_count++] = j->record.hierarchies[i];
	}
	if (cgroup_remove(&made, &e) < 0)
		j->left_behind = true;
}
