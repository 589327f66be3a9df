/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of mayfly-jailer: Firecracker's flags, and what mayfly adds. */
#pragma once

#include "vmm/base/err.h"

#include <sys/types.h>

#define JAILER_ID_MAX      64
#define JAILER_CGROUPS_MAX 64 /* --cgroup, given so often at most */
#define JAILER_PASS_FD_MAX 255

enum jailer_action {
	JAILER_RUN,
	JAILER_CLEANUP,
	JAILER_VERSION,
	JAILER_HELP,
	JAILER_DESCRIBE_OPTIONS,
};

/* One --cgroup FILE=VALUE, checked. Borrowed from argv. */
struct jailer_cgroup {
	const char
		*file; /* not terminated: file_len bytes, [a-z0-9._]+ from a controller's name on */
	size_t file_len, controller_len;
	const char *value; /* not empty */
};

/* Strings are borrowed from argv. */
struct jailer_options {
	enum jailer_action action;
	const char *id; /* checked; of the jail to make, or to remove */
	const char *exec_file, *chroot_base, *netns, *parent_cgroup;
	uid_t uid;
	gid_t gid;
	bool has_uid, has_gid, daemonize, new_pid_ns, new_net_ns, new_user_ns;
	unsigned cgroup_version; /* 1 or 2 */
	struct jailer_cgroup cgroups[JAILER_CGROUPS_MAX];
	size_t cgroup_count;
	bool has_no_file, has_fsize;
	uint64_t no_file, fsize;
	bool pass_fd[JAILER_PASS_FD_MAX + 1];
	char **extra; /* what stands behind --, up to a NULL */
	size_t extra_count;
};

/* 0, or -EINVAL with a message that names the flag, its value and the rule. */
int jailer_options_parse(struct jailer_options *o, int argc, char **argv, struct err *e) MUST_USE;
void jailer_options_help(void);
/* The table as tab-separated text; tools/man/README.md says how. */
void jailer_options_describe(void);
