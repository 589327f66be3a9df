/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in front of the jailer's calls in a build for tests only. The environment says what
 * happens at the Nth of them, counted over all processes of a run but the undoer:
 *
 *	FAULT_FAIL=N    it fails with EIO, without being made
 *	FAULT_NAME=CALL every call of that name does
 *	FAULT_KILL=N    the process is killed before it (FAULT_AFTER=1: after it)
 *	FAULT_KILL_ALL=1    and so is the undoer, before that
 *	FAULT_STOP=CALL the process stops after its first call of that name
 *	FAULT_LOG=FILE  its name is written there, and NULs behind it
 *
 * Past the last call nothing happens and the monitor runs: then the test has seen them all.
 */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fault {
	unsigned seen, fail, kill;
	bool after, all;
	pid_t undoer;
	char name[32], stop[32];
} * fault;

#define FAULT_LOG_SIZE 64
static char
	*fault_log; /* a mapping: no path leads out of the jail, and no descriptor is left open */

static bool fault_off;    /* in the undoer */
static unsigned fault_at; /* the number of the call that this process is in */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) the linker's --wrap wants these names */
int __real_openat(int dir, const char *path, int flags, ...);

__attribute__((constructor)) static void fault_init(void)
{
	const char *n;

	fault = mmap(
		NULL, sizeof(*fault), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fault == MAP_FAILED)
		abort();
	n = getenv("FAULT_FAIL");
	fault->fail = n ? (unsigned)strtoul(n, NULL, 10) : 0;
	n = getenv("FAULT_NAME");
	(void)snprintf(fault->name, sizeof(fault->name), "%s", n ? n : "");
	n = getenv("FAULT_KILL");
	fault->kill = n ? (unsigned)strtoul(n, NULL, 10) : 0;
	n = getenv("FAULT_STOP");
	(void)snprintf(fault->stop, sizeof(fault->stop), "%s", n ? n : "");
	fault->after = getenv("FAULT_AFTER") != NULL;
	fault->all = getenv("FAULT_KILL_ALL") != NULL;
	n = getenv("FAULT_LOG");
	if (n) {
		int fd = __real_openat(AT_FDCWD, n, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

		if (fd < 0 || ftruncate(fd, FAULT_LOG_SIZE) < 0)
			abort();
		fault_log = mmap(NULL, FAULT_LOG_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (fault_log == MAP_FAILED)
			abort();
		(void)close(fd);
	}
}

static void fault_die(void)
{
	if (fault->all && fault->undoer) {
		(void)kill(fault->undoer, SIGKILL);
		fault->undoer = 0;
	}
	(void)raise(SIGKILL);
}

static bool fault_hit(const char *name, bool before)
{
	unsigned at;

	if (fault_off || !fault)
		return false;
	if (before)
		fault_at = ++fault->seen;
	at = fault_at;
	if (before && (at == fault->fail || at == fault->kill) && fault_log)
		(void)snprintf(fault_log, FAULT_LOG_SIZE, "%s", name);
	if (at == fault->kill && before == !fault->after)
		fault_die();
	if (!before && strcmp(name, fault->stop) == 0) {
		fault->stop[0] = '\0';
		(void)raise(SIGSTOP);
	}
	if (!before || (at != fault->fail && strcmp(name, fault->name) != 0))
		return false;
	errno = EIO;
	return true;
}

/* Declares the wrapper of a call that returns -1 on failure. */
#define FAULT(type, name, params, args)                                                            \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		type rc;                                                                           \
		int saved;                                                                         \
		if (fault_hit(#name, true))                                                        \
			return (type)-1;                                                           \
		rc = __real_##name args;                                                           \
		saved = errno;                                                                     \
		(void)fault_hit(#name, false);                                                     \
		errno = saved;                                                                     \
		return rc;                                                                         \
	}

/* clang-format off */
FAULT(int, open, (const char *p, int f, mode_t m), (p, f, m))
FAULT(int, open64, (const char *p, int f, mode_t m), (p, f, m))
FAULT(int, openat64, (int d, const char *p, int f, mode_t m), (d, p, f, m))
FAULT(int, mkdirat, (int d, const char *p, mode_t m), (d, p, m))
FAULT(int, mknodat, (int d, const char *p, mode_t m, dev_t v), (d, p, m, v))
FAULT(int, unlinkat, (int d, const char *p, int f), (d, p, f))
FAULT(int, fchown, (int fd, uid_t u, gid_t g), (fd, u, g))
FAULT(int, fchmod, (int fd, mode_t m), (fd, m))
FAULT(int, fchownat, (int d, const char *p, uid_t u, gid_t g, int f), (d, p, u, g, f))
FAULT(int, fstat, (int fd, struct stat *s), (fd, s))
FAULT(int, fstatat, (int d, const char *p, struct stat *s, int f), (d, p, s, f))
FAULT(int, flock, (int fd, int op), (fd, op))
FAULT(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o))
FAULT(ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n))
FAULT(ssize_t, read, (int fd, void *b, size_t n), (fd, b, n))
FAULT(ssize_t, copy_file_range, (int a, off_t *x, int b, off_t *y, size_t n, unsigned f), (a, x, b, y, n, f))
FAULT(int, setrlimit, (int w, const struct rlimit *l), (w, l))
FAULT(int, getrlimit, (int w, struct rlimit *l), (w, l))
FAULT(int, unshare, (int f), (f))
FAULT(int, setns, (int fd, int t), (fd, t))
FAULT(int, mount, (const char *s, const char *t, const char *y, unsigned long f, const void *d), (s, t, y, f, d))
FAULT(int, open_tree, (int d, const char *p, unsigned f), (d, p, f))
FAULT(int, move_mount, (int a, const char *p, int b, const char *q, unsigned f), (a, p, b, q, f))
FAULT(int, fchdir, (int fd), (fd))
FAULT(int, chdir, (const char *p), (p))
FAULT(int, chroot, (const char *p), (p))
FAULT(int, umount2, (const char *p, int f), (p, f))
FAULT(int, sethostname, (const char *n, size_t l), (n, l))
FAULT(long, syscall, (long n, long a, long b, long c, long d, long e, long f), (n, a, b, c, d, e, f))
FAULT(pid_t, fork, (void), ())
FAULT(pid_t, setsid, (void), ())
FAULT(int, dup2, (int a, int b), (a, b))
FAULT(int, pipe2, (int p[2], int f), (p, f))
FAULT(int, setgroups, (size_t n, const gid_t *g), (n, g))
FAULT(int, setresuid, (uid_t a, uid_t b, uid_t c), (a, b, c))
FAULT(int, setresgid, (gid_t a, gid_t b, gid_t c), (a, b, c))
FAULT(int, getresuid, (uid_t *a, uid_t *b, uid_t *c), (a, b, c))
FAULT(int, getresgid, (gid_t *a, gid_t *b, gid_t *c), (a, b, c))
FAULT(int, execve, (const char *p, char *const *a, char *const *e), (p, a, e))
FAULT(int, close_range, (unsigned a, unsigned b, int f), (a, b, f))
FAULT(int, capng_apply, (capng_select_t s), (s))
FAULT(pid_t, waitpid, (pid_t p, int *s, int o), (p, s, o))
/* clang-format on */

int __wrap_openat(int d, const char *p, int f, mode_t m);
int __wrap_openat(int d, const char *p, int f, mode_t m)
{
	int rc;

	if (fault_hit("openat", true))
		return -1;
	rc = __real_openat(d, p, f, m);
	(void)fault_hit("openat", false);
	return rc;
}

int __real_prctl(int op, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int __wrap_prctl(int op, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int __wrap_prctl(int op, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	int rc;

	if (op == PR_SET_NAME) { /* only the undoer takes a name */
		fault_off = true;
		fault->undoer = getpid();
	}
	/* Asked until it fails: what the kernel does not know is its end. */
	if (op == PR_CAPBSET_READ || op == PR_CAP_AMBIENT)
		return __real_prctl(op, a, b, c, d);
	if (fault_hit("prctl", true))
		return -1;
	rc = __real_prctl(op, a, b, c, d);
	(void)fault_hit("prctl", false);
	return rc;
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	void *p;

	if (fault_hit("calloc", true))
		return NULL;
	p = __real_calloc(n, size);
	(void)fault_hit("calloc", false);
	return p;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
