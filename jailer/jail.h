/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A jail in the making. One struct, in memory that the processes of a run share: the jailer, what
 * it forks, and the undoer, which takes back what the others made if they end before the monitor
 * runs (undo.h). Every step says here what it is about to make *before* it makes it, and takes
 * that back if it turns out to have been there already; so the undoer knows at any moment.
 *
 * Files are reached by file descriptors and by openat2 without symbolic links: base_fd is opened
 * before anything else, all of the jail is below it.
 */
#pragma once

#include "jailer/options.h"
#include "jailer/record.h"

#include <limits.h>
#include <sys/stat.h>

#define JAIL_RECORD "mayfly-jail" /* in BASE/NAME/ID; its presence claims the id */

enum jail_dir { JAIL_ROOT, JAIL_DEV, JAIL_DEV_NET, JAIL_RUN, JAIL_DIR_COUNT };
enum jail_node { JAIL_TUN, JAIL_KVM, JAIL_URANDOM, JAIL_UFFD, JAIL_NODE_COUNT };

/* A folder inside the jail: made by us, or there before with this owner and mode. */
struct jail_dir_state {
	bool made, changed;
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

struct jail {
	struct jailer_options opt;

	/* The plan: read only, nothing made yet. */
	char base[PATH_MAX];     /* without symbolic links */
	char name[NAME_MAX + 1]; /* of the exec file */
	char exec_path[PATH_MAX];
	int base_fd, exec_fd, null_fd, proc_fd;
	int netns_fd;         /* or -1 */
	unsigned uffd_minor;  /* or 0: the host has no such device */
	struct record record; /* its cgroups are the plan, too */
	uint64_t start_us, start_cpu_us, parent_cpu_us;

	/* What is made. */
	bool made_name, made_id, made_record, made_exec, made_pid;
	struct jail_dir_state dirs[JAIL_DIR_COUNT];
	bool made_nodes[JAIL_NODE_COUNT];

	/* Open in the processes that build, not in the undoer. */
	int id_fd, root_fd, record_fd;
	bool daemonized;

	/* How it ended. */
	bool exec_begun, left_behind; /* the second: something could not be undone */
	struct err error;
};

/* Checks everything that can be checked without making anything. 0 or a negative errno. */
int jail_plan(struct jail *j, struct err *e) MUST_USE;

/* The steps, in order, each with what undoes it (which accepts what is half made, or not at all). */
int tree_claim(struct jail *j, struct err *e) MUST_USE;
void tree_unclaim(struct jail *j);
int tree_make_root(struct jail *j, struct err *e) MUST_USE;
void tree_undo_root(struct jail *j);
int exec_copy(struct jail *j, struct err *e) MUST_USE;
void exec_undo_copy(struct jail *j);
int ns_join_net(struct jail *j, struct err *e) MUST_USE;
int creds_limit(struct jail *j, struct err *e) MUST_USE;
int cgroup_enter(struct jail *j, struct err *e) MUST_USE;
void cgroup_leave(struct jail *j);
int ns_pivot(struct jail *j, struct err *e) MUST_USE;
int tree_fill(struct jail *j, struct err *e) MUST_USE;
void tree_undo_fill(struct jail *j);
int dev_make(struct jail *j, struct err *e) MUST_USE;
void dev_undo(struct jail *j);
int proc_fork(struct jail *j, struct err *e) MUST_USE;
void proc_undo(struct jail *j);
int tree_give(struct jail *j, struct err *e) MUST_USE;
int creds_drop(struct jail *j, struct err *e) MUST_USE;
int exec_run(struct jail *j, struct err *e) MUST_USE;

/*
 * Makes the jail's root the process's: one folder below that of its namespace, because whoever is there
 * can make no user namespace, in which it would hold every capability. CAP_SYS_CHROOT is needed.
 */
int ns_enter_root(struct jail *j, struct err *e) MUST_USE;

/* Writes j->record into the jail's file. */
int tree_save(struct jail *j, struct err *e) MUST_USE;

/* Start time of a process, in clock ticks since the host's; 0 if it is gone or a zombie. */
uint64_t proc_start_time(int proc_fd, int pid);

/* --cleanup: removes the jail of o->id, cgroups and files. 0, also if there is none. */
int jail_cleanup(const struct jailer_options *o, struct err *e) MUST_USE;

/* BASE/NAME/ID/root/path, for messages; one static buffer. */
const char *jail_path(const struct jail *j, const char *path);
