/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folders of a jail: BASE/NAME/ID/root, and dev, dev/net, run in it. BASE/NAME is shared with
 * other jails; ID holds the record, whose exclusive creation claims the id; the client may have
 * made ID and root before, with files in them.
 */
#include "jailer/jail.h"
#include "jailer/path.h"

#include "vmm/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

/* Below the root. */
static const char *const tree_names[JAIL_DIR_COUNT] = {
	[JAIL_ROOT] = "",
	[JAIL_DEV] = "dev",
	[JAIL_DEV_NET] = "dev/net",
	[JAIL_RUN] = "run",
};

/* *made is true if it is ours; while we do not know yet, too: removing takes only an empty one. */
static int tree_mkdir(int dir, const char *name, bool *made, const char *path, struct err *e)
{
	*made = true;
	if (mkdirat(dir, name, 0755) < 0) {
		*made = false;
		if (errno != EEXIST)
			return err_set_os(e, -errno, "Failed to create directory %s", path);
	}
	return 0;
}

int tree_save(struct jail *j, struct err *e)
{
	char text[RECORD_SIZE_MAX];
	int rc = record_print(&j->record, text, e);

	if (rc < 0)
		return rc;
	if (pwrite(j->record_fd, text, RECORD_SIZE_MAX - 1, 0) != RECORD_SIZE_MAX - 1)
		return err_set_os(e, -(errno ? errno : EIO), "Failed to write to " JAIL_RECORD);
	return 0;
}

/* BASE/NAME/ID. Another jail's end may remove NAME between the two steps. */
static int tree_open_id(struct jail *j, struct err *e)
{
	for (int i = 0;; i++) {
		CLEANUP_FD
		int name_fd = -1;
		int rc = tree_mkdir(j->base_fd, j->name, &j->made_name, j->name, e);

		if (rc < 0)
			return rc;
		name_fd = path_open(j->base_fd, j->name, O_RDONLY | O_DIRECTORY, 0);
		if (name_fd == -ENOENT && i < 10)
			continue;
		if (name_fd < 0)
			return err_set_os(e, name_fd, "Failed to open %s/%s", j->base, j->name);
		rc = tree_mkdir(name_fd, j->opt.id, &j->made_id, j->opt.id, e);
		if (rc == -ENOENT && i < 10)
			continue;
		if (rc < 0)
			return rc;
		j->id_fd = path_open(name_fd, j->opt.id, O_RDONLY | O_DIRECTORY, 0);
		if (j->id_fd < 0)
			return err_set_os(e, j->id_fd, "Failed to open %s/%s/%s", j->base, j->name,
				j->opt.id);
		return 0;
	}
}

int tree_claim(struct jail *j, struct err *e)
{
	int rc = tree_open_id(j, e);

	if (rc < 0)
		return rc;
	j->made_record = true;
	j->record_fd = path_open(j->id_fd, JAIL_RECORD, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (j->record_fd < 0) {
		j->made_record = false;
		if (j->record_fd != -EEXIST)
			return err_set_os(e, j->record_fd, "Failed to create %s/%s/%s/" JAIL_RECORD,
				j->base, j->name, j->opt.id);
		return err_set(e, -EEXIST,
			"--id: the jail %s/%s/%s exists already; choose another id, or end its VM "
			"and run mayfly-jailer --cleanup %s",
			j->base, j->name, j->opt.id, j->opt.id);
	}
	if (flock(j->record_fd, LOCK_EX | LOCK_NB) < 0)
		return err_set_os(e, -errno, "cannot lock " JAIL_RECORD);
	return tree_save(j, e);
}

/* A jail that was used, by whatever jailer, does not start again. */
static int tree_refuse_used(const struct jail *j, struct err *e)
{
	static const char *const nodes[] = {
		"dev/net/tun", "dev/kvm", "dev/urandom", "dev/userfaultfd"};
	char pid_file[NAME_MAX + 8];
	struct stat st;

	(void)snprintf(pid_file, sizeof(pid_file), "%s.pid", j->name);
	if (fstatat(j->root_fd, pid_file, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(e, -EEXIST,
			"Failed to open file %s: File exists (os error 17): a jail is used once; "
			"remove it first",
			jail_path(j, pid_file));
	for (size_t i = 0; i < NELEM(nodes); i++) {
		CLEANUP_FD
		int fd = path_open(j->root_fd, nodes[i], O_PATH | O_NOFOLLOW, 0);

		if (fd == -ELOOP)
			return err_set(e, -ELOOP, "%s is or is behind a symbolic link; remove it",
				jail_path(j, nodes[i]));
		if (fd >= 0)
			return err_set(e, -EEXIST,
				"Failed to create %s via mknod inside the jail: File exists (os "
				"error 17): a jail is used once; remove it first",
				nodes[i]);
	}
	return 0;
}

int tree_make_root(struct jail *j, struct err *e)
{
	int rc = tree_mkdir(j->id_fd, "root", &j->dirs[JAIL_ROOT].made, jail_path(j, ""), e);

	if (rc < 0)
		return rc;
	j->root_fd = path_open(j->id_fd, "root", O_RDONLY | O_DIRECTORY, 0);
	if (j->root_fd < 0)
		return err_set_os(e, j->root_fd, "Failed to open %s", jail_path(j, ""));
	return tree_refuse_used(j, e);
}

static int tree_open(const struct jail *j, enum jail_dir which)
{
	return which == JAIL_ROOT
		       ? fcntl(j->root_fd, F_DUPFD_CLOEXEC, 3)
		       : path_open(j->root_fd, tree_names[which], O_RDONLY | O_DIRECTORY, 0);
}

static int tree_set_owner(
	const struct jail *j, int fd, enum jail_dir which, uid_t uid, gid_t gid, struct err *e)
{
	if (fchown(fd, uid, gid) < 0)
		return err_set_os(e, -errno, "Failed to change owner for %s",
			jail_path(j, tree_names[which]));
	return 0;
}

/* A folder for the monitor, as yet root's alone. What it was before is kept for the undoer. */
static int tree_take(struct jail *j, enum jail_dir which, struct err *e)
{
	struct jail_dir_state *d = &j->dirs[which];
	const char *name = tree_names[which];
	CLEANUP_FD
	int fd = -1;
	struct stat st;
	int rc = 0;

	if (which != JAIL_ROOT)
		rc = tree_mkdir(j->root_fd, name, &d->made, jail_path(j, name), e);
	if (rc < 0)
		return rc;
	fd = tree_open(j, which);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set_os(
			e, fd < -1 ? fd : -errno, "Failed to open %s", jail_path(j, name));
	d->uid = st.st_uid;
	d->gid = st.st_gid;
	d->mode = st.st_mode & 07777;
	d->changed = true;
	rc = tree_set_owner(j, fd, which, 0, 0, e);
	if (rc == 0 && fchmod(fd, 0700) < 0)
		rc = err_set_os(
			e, -errno, "Failed to change permissions on %s", jail_path(j, name));
	return rc;
}

/* The root first: whoever its owner was can then reach nothing below it. */
int tree_fill(struct jail *j, struct err *e)
{
	int rc = 0;

	for (int i = 0; i < JAIL_DIR_COUNT && rc == 0; i++)
		rc = tree_take(j, (enum jail_dir)i, e);
	return rc;
}

/* The root last, for the same reason. */
int tree_give(struct jail *j, struct err *e)
{
	int rc = 0;

	for (int i = JAIL_DIR_COUNT - 1; i >= 0 && rc == 0; i--) {
		CLEANUP_FD
		int fd = tree_open(j, (enum jail_dir)i);

		rc = fd < 0 ? err_set_os(e, fd < -1 ? fd : -errno, "Failed to open %s",
				      jail_path(j, tree_names[i]))
			    : tree_set_owner(j, fd, (enum jail_dir)i, j->opt.uid, j->opt.gid, e);
	}
	return rc;
}

/* In the undoer: the jail's folder, or -errno. */
static int tree_reopen(const struct jail *j, const char *rest)
{
	char path[2 * PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s/%s", j->name, j->opt.id, rest);
	return path_open(j->base_fd, path, O_RDONLY | O_DIRECTORY, 0);
}

void tree_undo_fill(struct jail *j)
{
	CLEANUP_FD
	int root = tree_reopen(j, "root");

	/* Nobody exchanges folders of it meanwhile. */
	if (root >= 0 && j->dirs[JAIL_ROOT].changed &&
		(fchown(root, 0, 0) < 0 || fchmod(root, 0700) < 0))
		return;
	for (int i = JAIL_DIR_COUNT - 1; root >= 0 && i >= 0; i--) {
		const struct jail_dir_state *d = &j->dirs[i];
		CLEANUP_FD
		int fd = -1;

		if (d->made && i != JAIL_ROOT)
			(void)unlinkat(root, tree_names[i], AT_REMOVEDIR);
		else if (d->changed)
			fd = i == JAIL_ROOT
				     ? fcntl(root, F_DUPFD_CLOEXEC, 3)
				     : path_open(root, tree_names[i], O_RDONLY | O_DIRECTORY, 0);
		if (fd >= 0 && (fchown(fd, d->uid, d->gid) < 0 || fchmod(fd, d->mode) < 0))
			return;
	}
}

void tree_undo_root(struct jail *j)
{
	CLEANUP_FD
	int id = tree_reopen(j, ".");

	if (id >= 0 && j->dirs[JAIL_ROOT].made)
		(void)unlinkat(id, "root", AT_REMOVEDIR);
}

void tree_unclaim(struct jail *j)
{
	CLEANUP_FD
	int id = tree_reopen(j, ".");
	CLEANUP_FD
	int name = path_open(j->base_fd, j->name, O_RDONLY | O_DIRECTORY, 0);

	/* Only with its record is there something that --cleanup can go on with. */
	if (j->left_behind && j->made_record)
		return;
	if (id >= 0 && j->made_record)
		(void)unlinkat(id, JAIL_RECORD, 0);
	if (name >= 0 && j->made_id)
		(void)unlinkat(name, j->opt.id, AT_REMOVEDIR);
	if (j->made_name)
		(void)unlinkat(j->base_fd, j->name, AT_REMOVEDIR);
}
