/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits, user, group and capabilities. libcap-ng empties the sets, the bounding set too, and is
 * asked afterwards whether they are; its capng_change_id would read the password file, which there
 * is none of here.
 */
#include "jailer/jail.h"

#include "vmm/base/io.h"
#include "vmm/base/cleanup.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int creds_limit_one(int which, const char *name, uint64_t value, bool asked, struct err *e)
{
	struct rlimit l;

	if (getrlimit((__rlimit_resource_t)which, &l) < 0)
		return err_set_os(e, -errno, "Failed to get limit for resource: %s", name);
	if (!asked && value > l.rlim_max)
		value = l.rlim_max;
	if (setrlimit((__rlimit_resource_t)which,
		    &(struct rlimit){.rlim_cur = value, .rlim_max = value}) < 0)
		return err_set_os(e, -errno,
			"Failed to set limit for resource: --resource-limit %s=%llu, where our own "
			"limit is %llu, and only a higher number needs CAP_SYS_RESOURCE",
			name, (unsigned long long)value, (unsigned long long)l.rlim_max);
	return 0;
}

int creds_limit(struct jail *j, struct err *e)
{
	int rc = creds_limit_one(RLIMIT_NOFILE, "no-file", j->opt.no_file, j->opt.has_no_file, e);

	if (rc == 0 && j->opt.has_fsize)
		rc = creds_limit_one(RLIMIT_FSIZE, "fsize", j->opt.fsize, true, e);
	return rc;
}

static int creds_write(const struct jail *j, const char *file, const char *text, struct err *e)
{
	char path[32];
	CLEANUP_FD
	int fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "self/%s", file);
	fd = openat(j->proc_fd, path, O_WRONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : write(fd, text, strlen(text));
	return n < 0 ? err_set_os(e, -errno, "Failed to write %s of the user namespace", file) : 0;
}

/* A namespace in which no user but ours exists; made by that user, so it owns nothing of the host. */
static int creds_user_ns(struct jail *j, struct err *e)
{
	char text[64];
	int rc;

	/* After the change of the user /proc/self belongs to root until this. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || unshare(CLONE_NEWUSER) < 0)
		return err_set_os(e, -errno,
			"Failed to unshare into new user namespace; leave out --new-user-ns, or "
			"allow it (user.max_user_namespaces)");
	rc = creds_write(j, "setgroups", "deny", e);
	(void)snprintf(text, sizeof(text), "%u %u 1\n", j->opt.uid, j->opt.uid);
	if (rc == 0)
		rc = creds_write(j, "uid_map", text, e);
	(void)snprintf(text, sizeof(text), "%u %u 1\n", j->opt.gid, j->opt.gid);
	return rc < 0 ? rc : creds_write(j, "gid_map", text, e);
}

/* Not the starter's session keyring, which an exec and a change of the user keep, with its keys. */
static int creds_session(struct err *e)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) < 0 &&
		errno != ENOSYS && errno != EPERM) /* where none may be used, none can be read */
		return err_set_os(e, -errno, "Failed to join a new session keyring");
	return 0;
}

static int creds_caps(struct err *e, capng_select_t which)
{
	capng_clear(CAPNG_SELECT_ALL);
	errno = 0;
	if (capng_apply(which) < 0)
		return err_set_os(e, -(errno ? errno : EPERM), "Failed to drop capabilities");
	return 0;
}

/* Asks the kernel, not ourselves. */
static int creds_verify(const struct jail *j, struct err *e)
{
	uid_t u[3];
	gid_t g[3];

	if (getresuid(&u[0], &u[1], &u[2]) < 0 || getresgid(&g[0], &g[1], &g[2]) < 0)
		return err_set_os(e, -errno, "getresuid");
	for (int i = 0; i < 3; i++)
		if (u[i] != j->opt.uid || g[i] != j->opt.gid)
			return err_set(e, -EPERM, "user or group did not change");
	if (getgroups(0, NULL) != 0)
		return err_set(e, -EPERM, "supplementary groups are left");
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return err_set(e, -EPERM, "no_new_privs did not change");
	if (capng_get_caps_process() < 0 ||
		capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE)
		return err_set(e, -EPERM, "capabilities are left");
	for (int cap = 0; cap < 64; cap++) {
		int bound = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

		if (bound < 0)
			break; /* past the last that the kernel knows */
		if (bound || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) > 0)
			return err_set(e, -EPERM, "capability %d is left in a set", cap);
	}
	return 0;
}

/* The kernel's own count: /proc, where libcap-ng looks for the last one, is out of sight. */
static int creds_bounding(struct err *e)
{
	for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_set_os(e, -errno,
				"Failed to drop capability %d from the bounding set", cap);
	return 0;
}

int creds_drop(struct jail *j, struct err *e)
{
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
				   SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
				   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
	int rc;

	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
		return err_set_os(e, -errno, "Failed to lock the privileges of root");
	rc = creds_bounding(e);
	if (rc < 0)
		return rc;
	/* As root, whose quota of keys it counts for. */
	rc = creds_session(e);
	if (rc < 0 || (!j->opt.new_user_ns && (rc = ns_enter_root(j, e)) < 0))
		return rc;
	if (setgroups(0, NULL) < 0)
		return err_set_os(e, -errno, "Failed to leave the supplementary groups");
	if (setresgid(j->opt.gid, j->opt.gid, j->opt.gid) < 0)
		return err_set_os(e, -errno, "Failed to become group %u", j->opt.gid);
	if (setresuid(j->opt.uid, j->opt.uid, j->opt.uid) < 0)
		return err_set_os(e, -errno, "Failed to become user %u", j->opt.uid);
	if (j->opt.new_user_ns) {
		rc = creds_user_ns(j, e);
		if (rc == 0)
			rc = ns_enter_root(j, e); /* from there none could be made */
		if (rc == 0)
			rc = creds_bounding(e);
		if (rc < 0)
			return rc;
	}
	rc = creds_caps(e, CAPNG_SELECT_CAPS);
	if (rc < 0)
		return rc;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set_os(e, -errno, "Failed to set no_new_privs");
	return creds_verify(j, e);
}
