/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock. See landlock.h. The C library has no wrappers, and its headers may be older than the kernel. */
#include "vmm/core/landlock.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Each version of the ABI adds rights; 2 is what the oldest supported headers know. */
#define FS_ABI_1        ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define FS_ABI_2        (FS_ABI_1 | LANDLOCK_ACCESS_FS_REFER)
#define FS_TRUNCATE     (UINT64_C(1) << 14) /* 3 */
#define FS_IOCTL_DEV    (UINT64_C(1) << 15) /* 5 */
#define NET_BIND_TCP    (UINT64_C(1) << 0)  /* 4 */
#define NET_CONNECT_TCP (UINT64_C(1) << 1)  /* 4 */
#define SCOPE_ABSTRACT  (UINT64_C(1) << 0)  /* 6 */
#define SCOPE_SIGNAL    (UINT64_C(1) << 1)  /* 6 */
#define ERRATUM_THREADS (1L << 1)

#ifndef LANDLOCK_CREATE_RULESET_ERRATA
#define LANDLOCK_CREATE_RULESET_ERRATA (1U << 1)
#endif

/* What the API's requests may do below a directory: no programs, no device nodes. */
#define FS_DENIED_BELOW                                                                            \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)

struct landlock_attr {
	uint64_t fs, net, scoped;
};

static struct landlock_attr landlock_attr_of(long abi)
{
	struct landlock_attr a = {.fs = abi >= 2 ? FS_ABI_2 : FS_ABI_1};

	if (abi >= 3)
		a.fs |= FS_TRUNCATE;
	if (abi >= 4)
		a.net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (abi >= 5)
		a.fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		a.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
	return a;
}

static int landlock_allow(int ruleset, const char *dir, uint64_t rights, struct err *e)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = rights};
	CLEANUP_FD
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set_os(e, -errno, "cannot open the directory '%s'", dir);
	rule.parent_fd = fd;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return err_set_os(e, -errno, "cannot allow '%s'", dir);
	return 0;
}

static int landlock_allow_all(
	const struct landlock_config *c, int ruleset, uint64_t rights, struct err *e)
{
	char path[PATH_MAX];
	int rc = 0;

	for (const char *at = c->dirs; rc == 0 && at;) {
		const char *colon = strchr(at, ':');
		size_t len = colon ? (size_t)(colon - at) : strlen(at);

		if (len == 0 || len >= sizeof(path))
			return err_set(e, -EINVAL,
				"'%s' has a directory without a name, or too long", c->dirs);
		memcpy(path, at, len);
		path[len] = '\0';
		rc = landlock_allow(ruleset, path, rights & ~(uint64_t)FS_DENIED_BELOW, e);
		at = colon ? colon + 1 : NULL;
	}
	return rc;
}

/* Linux 6.15, and what took its fix, let threads that were restricted one by one signal each other. */
static bool landlock_threads_may_signal(void)
{
	long fixed = syscall(
		SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_ERRATA);

	return fixed >= 0 && (fixed & ERRATUM_THREADS) != 0;
}

int landlock_open(struct landlock *l, const struct landlock_config *c, struct err *e)
{
	struct landlock_attr a;
	CLEANUP_FD
	int fd = -1;
	long abi;
	int rc;

	*l = LANDLOCK_NONE;
	if (!c->on)
		return 0;
	abi = syscall(
		SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 0 && c->required)
		return err_set_os(e, -errno, "landlock: this kernel has none");
	if (abi < 0) {
		log_info("landlock: this kernel has none; files have no second wall");
		return 0;
	}
	a = landlock_attr_of(abi);
	if (!landlock_threads_may_signal())
		a.scoped &= ~SCOPE_SIGNAL;
	fd = (int)syscall(SYS_landlock_create_ruleset, &a, sizeof(a), 0);
	if (fd < 0)
		return err_set_os(e, -errno, "landlock: cannot make rules");
	rc = landlock_allow_all(c, fd, a.fs, e);
	if (rc < 0)
		return err_wrap(e, "landlock");
	l->fd = fd_take(&fd);
	return 0;
}

int landlock_restrict(const struct landlock *l, struct err *e)
{
	if (!l || l->fd < 0)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		syscall(SYS_landlock_restrict_self, l->fd, 0) < 0)
		return err_set_os(e, -errno, "landlock: cannot be put on");
	return 0;
}

void landlock_close(struct landlock *l)
{
	fd_close(&l->fd);
}
