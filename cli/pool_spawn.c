/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A clone's process. It dies with the pool, by the kernel's doing, and is in a session of its own, so
 * that no terminal ends it before the pool. What goes wrong before the monitor runs is said in its log,
 * which is where the pool looks for the monitor's own words.
 */
#include "cli/pool.h"

#include "vmm/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

/* The clone's end of it all: where it finds the socket of its API. */
#define LISTEN_AT   3
#define LISTEN_TEXT "fd:3"

/* What fork leaves to the child. fds belong to pool_spawn. */
struct spawn {
	const char *vmm;
	int listen_fd, log_fd, console_fd;
	pid_t parent;
};

/* Only calls that are safe between fork and exec. */
static _Noreturn void child_main(const struct spawn *s, char **argv)
{
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != s->parent)
		_exit(1); /* it died before the line above could help */
	(void)setsid();
	sigemptyset(&none);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)dup2(s->console_fd, STDIN_FILENO); /* write-only: nothing can be read */
	(void)dup2(s->console_fd, STDOUT_FILENO);
	(void)dup2(s->log_fd, STDERR_FILENO);
	if (s->listen_fd == LISTEN_AT)
		(void)fcntl(LISTEN_AT, F_SETFD, 0);
	else
		(void)dup2(s->listen_fd, LISTEN_AT);
	(void)execv(s->vmm, argv);
	(void)dprintf(STDERR_FILENO, "cannot run %s: %s\n", s->vmm, strerrordesc_np(errno));
	_exit(1);
}

static int console_open(const struct pool_clone *c, struct err *e)
{
	const char *pattern = c->pool->o->console;
	char path[PATH_MAX];
	int fd, rc;

	if (!pattern)
		fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	else if ((rc = pool_pattern_expand(pattern, c, path, e)) < 0)
		return rc;
	else
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
			0600);
	return fd >= 0 ? fd
		       : err_set_os(e, -errno, "--console: cannot open %s",
				 pattern ? path : "/dev/null");
}

pid_t pool_spawn(const struct pool_clone *c, int listen_fd, struct err *e)
{
	struct spawn s = {.vmm = c->pool->vmm, .listen_fd = listen_fd, .parent = getpid()};
	char log[PATH_MAX], api[] = LISTEN_TEXT, id[POOL_ID_SIZE];
	char *argv[] = {"mayfly-vmm", "--id", id, "--api-sock", api, "--log-path", log, "--level",
		"Warning", NULL};
	CLEANUP_FD
	int log_fd = -1;
	CLEANUP_FD
	int console_fd = console_open(c, e);
	pid_t pid;

	if (console_fd < 0)
		return console_fd;
	pool_dir_path(c->pool, c->id, "log", log);
	log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log_fd < 0)
		return err_set_os(e, -errno, "cannot make %s", log);
	memcpy(id, c->id, sizeof(id));
	s.log_fd = log_fd;
	s.console_fd = console_fd;
	pid = fork();
	if (pid == 0)
		child_main(&s, argv);
	return pid > 0 ? pid : err_set_os(e, -errno, "cannot start a clone (fork)");
}
