/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor as a child process: found, given its configuration, its supervisor socket and a pipe
 * for its log, and started so that it cannot outlive this process and is reached by none of the
 * signals that a terminal or a service manager sends to all of us at once. Ending it is for
 * run_watch to decide: a monitor that died of the same SIGTERM could not power its guest off.
 */
#include "cli/run_jail.h"

#include "cli/cli.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/unix_listen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define VMM_NAME        "mayfly-vmm"
#define RUN_API_BACKLOG 128

/* What fork leaves to the child; all of it belongs to run_child_start. */
struct spawn {
	char program[PATH_MAX];
	char fork_socket[PATH_MAX]; /* with fork_of */
	int config_fd;              /* with a kernel, otherwise -1 */
	int socket_fd;
	int log_fd;  /* or -1 */
	int api_fd;  /* a listening socket, or -1: the monitor makes its own */
	int exec_fd; /* takes the errno of a failed exec; closed by a good one */
	bool no_stdin;
	pid_t parent;
	struct run_argv args;
};

void run_argv_add(struct run_argv *a, const char *fmt, ...)
{
	char *at = a->text + a->used;
	size_t left = sizeof(a->text) - a->used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(at, left, fmt, ap);
	va_end(ap);
	a->overflow = a->overflow || n < 0 || (size_t)n >= left || a->count + 1 == NELEM(a->argv);
	if (a->overflow)
		return;
	a->argv[a->count++] = at;
	a->used += (size_t)n + 1;
}

static bool path_join(char dst[PATH_MAX], const char *dir, size_t dir_len, const char *name)
{
	int n = snprintf(dst, PATH_MAX, "%.*s/%s", (int)dir_len, dir, name);

	return n > 0 && n < PATH_MAX && access(dst, X_OK) == 0;
}

static bool find_beside(char dst[PATH_MAX], const char *program)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n <= 0)
		return false;
	self[n] = '\0';
	slash = strrchr(self, '/');
	return slash && path_join(dst, self, (size_t)(slash - self), program);
}

static bool find_in_path(char dst[PATH_MAX], const char *program)
{
	const char *dir = getenv("PATH");

	while (dir && *dir) {
		size_t len = strcspn(dir, ":");

		if (len > 0 && len < PATH_MAX && path_join(dst, dir, len, program))
			return true;
		dir += len + (dir[len] == ':' ? 1 : 0);
	}
	return false;
}

int run_find(
	char dst[PATH_MAX], const char *name, const char *option, const char *asked, struct err *e)
{
	if (asked) {
		if (strlen(asked) >= PATH_MAX)
			return err_set(e, -ENAMETOOLONG, "--%s: the path is too long", option);
		if (access(asked, X_OK) < 0)
			return err_set_os(e, -errno, "--%s '%s' cannot be run", option, asked);
		memcpy(dst, asked, strlen(asked) + 1);
		return 0;
	}
	if (find_beside(dst, name) || find_in_path(dst, name))
		return 0;
	return err_set(e, -ENOENT,
		"%s is neither beside this program nor in PATH: install it, or name it with --%s "
		"PATH",
		name, option);
}

int run_vmm_find(char dst[PATH_MAX], const char *asked, struct err *e)
{
	return run_find(dst, VMM_NAME, "vmm", asked, e);
}

/* Only calls that are safe between fork and exec. */
static _Noreturn void child_main(const struct spawn *s, char **argv)
{
	int saved_errno;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != s->parent)
		_exit(VMM_STATUS_ERROR); /* it died before the line above could help */
	(void)signal(SIGPIPE, SIG_DFL);
	run_watch_unblock_for_child();
	if (s->no_stdin) {
		int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		if (null_fd >= 0)
			(void)dup2(null_fd, STDIN_FILENO);
	}
	for (size_t i = 0; i < s->args.keep_count; i++)
		(void)fcntl(s->args.keep[i], F_SETFD, 0);
	(void)execv(s->program, argv);
	saved_errno = errno;
	while (write(s->exec_fd, &saved_errno, sizeof(saved_errno)) < 0 && errno == EINTR)
		;
	_exit(VMM_STATUS_ERROR);
}

/* Forks and waits for the exec. The pid, or -errno. */
static pid_t child_spawn(struct spawn *s, char **argv, struct err *e)
{
	int pipe_fds[2], child_errno;
	ssize_t n;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_set_os(e, -errno, "cannot start " VMM_NAME " (pipe)");
	s->exec_fd = pipe_fds[1];
	s->parent = getpid();
	pid = fork();
	if (pid == 0)
		child_main(s, argv);
	fd_close(&pipe_fds[1]);
	if (pid < 0) {
		pid = err_set_os(e, -errno, "cannot start " VMM_NAME " (fork)");
		fd_close(&pipe_fds[0]);
		return pid;
	}
	do {
		n = read(pipe_fds[0], &child_errno, sizeof(child_errno));
	} while (n < 0 && errno == EINTR);
	fd_close(&pipe_fds[0]);
	if (n != (ssize_t)sizeof(child_errno))
		return pid;
	(void)waitpid(pid, NULL, 0);
	return err_set_os(e, -child_errno, "cannot run %s", s->program);
}

static void run_name(const struct run_options *o, char ret[RUNTIME_NAME_SIZE])
{
	if (o->name)
		(void)snprintf(ret, RUNTIME_NAME_SIZE, "%s", o->name);
	else
		(void)snprintf(ret, RUNTIME_NAME_SIZE, "run-%d", (int)getpid());
}

/* For the monitor, behind the jailer's if there is one. In a jail there is no /proc. */
static void arguments_add(struct spawn *s, const struct run_options *o,
	const struct runtime_vm *entry, const char *id)
{
	const char *at = o->jail ? "fd:" : "/proc/self/fd/";
	struct run_argv *a = &s->args;

	if (!o->jail) { /* the jailer says the id itself */
		run_argv_add(a, "--id");
		run_argv_add(a, "%s", id);
	}
	if (s->config_fd >= 0) {
		run_argv_add(a, "--config-file");
		run_argv_add(a, "%s%d", at, s->config_fd);
	} else {
		run_argv_add(a, o->restore ? "--restore" : "--fork-from");
		run_argv_add(a, "%s", o->restore ? o->restore : s->fork_socket);
	}
	if (o->restore) {
		run_argv_add(a, "--memory");
		run_argv_add(a, "%s", o->restore_memory);
	}
	if (o->clock_realtime)
		run_argv_add(a, "--clock-realtime");
	run_argv_add(a, "--supervisor-fd");
	run_argv_add(a, "%d", s->socket_fd);
	run_argv_add(a, "--level");
	run_argv_add(a, "%s", o->log_level);
	run_argv_add(a, "--log-path");
	if (s->log_fd >= 0)
		run_argv_add(a, "%s%d", at, s->log_fd);
	else
		run_argv_add(a, "%s", o->log_path);
	run_argv_add(a, entry->name[0] ? "--api-sock" : "--no-api");
	if (entry->name[0] && s->api_fd >= 0)
		run_argv_add(a, "fd:%d", s->api_fd);
	else if (entry->name[0])
		run_argv_add(a, "%s", entry->socket);
}

static pid_t child_spawn_with_args(struct spawn *s, const struct run_options *o,
	const struct runtime_vm *entry, struct run_jail *jail, struct err *e)
{
	const int fds[] = {s->config_fd, s->socket_fd, s->log_fd, s->api_fd};
	struct run_argv *a = &s->args;
	char id[RUNTIME_NAME_SIZE];
	pid_t pid;

	for (size_t i = 0; i < NELEM(fds); i++)
		if (fds[i] >= 0)
			a->keep[a->keep_count++] = fds[i];
	run_name(o, id);
	if (jail)
		run_jail_arguments(jail, a, s->program);
	else
		run_argv_add(a, VMM_NAME);
	arguments_add(s, o, entry, id);
	if (a->overflow)
		return err_set(e, -E2BIG, "cannot start " VMM_NAME ": its arguments are too long");
	pid = child_spawn(s, a->argv, e);
	return pid < 0 || !jail ? pid : run_jail_entered(jail, pid, e);
}

/*
 * An entry in the runtime directory. Only who asked for a name is refused one; without a directory
 * a VM runs as well, unseen.
 */
static int entry_make(struct run_child *c, const struct run_options *o, struct err *e)
{
	char name[RUNTIME_NAME_SIZE];
	int rc;

	run_name(o, name);
	rc = runtime_claim(&c->entry, name, e);
	if (rc < 0) {
		c->entry = (struct runtime_vm){0};
		if (o->name)
			return rc;
		cli_say("run", "%s; 'mayfly ps' will not show this VM", e->msg);
		return 0;
	}
	if (o->log_path) {
		if (!realpath(o->log_path, c->entry.log))
			(void)!snprintf(c->entry.log, sizeof(c->entry.log), "%s", o->log_path);
		return 0;
	}
	c->log_copy_fd =
		open(c->entry.log, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return 0;
}

/* In a jail the monitor reaches no path: it gets what is there, opened. */
static int jail_prepare(
	struct run_child *c, struct spawn *s, const struct run_options **o, struct err *e)
{
	char id[RUNTIME_NAME_SIZE];
	int rc;

	run_name(*o, id);
	rc = run_jail_open(&c->jail, *o, id, s->program, e);
	if (rc < 0)
		return rc;
	*o = run_jail_options(c->jail);
	if (c->entry.name[0]) {
		s->api_fd = unix_listen(c->entry.socket, RUN_API_BACKLOG, e);
		if (s->api_fd < 0)
			return err_wrap(e, "cannot make the API socket");
	}
	if (!(*o)->log_path) {
		(void)fcntl(s->log_fd, F_SETFL, O_NONBLOCK);
		return 0;
	}
	s->log_fd = open((*o)->log_path,
		O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
	return s->log_fd >= 0 ? 0 : err_set_os(e, -errno, "--log-path '%s'", (*o)->log_path);
}

/*
 * The log does not go to /dev/stderr itself: the monitor opens its log target anew, which is
 * impossible for a socket and would write over the start of a file.
 */
static int child_start(
	struct run_child *c, struct spawn *s, const struct run_options *o, struct err *e)
{
	int pair[2], r;
	pid_t pid;

	r = run_vmm_find(s->program, o->vmm_path, e);
	if (r == 0)
		r = entry_make(c, o, e);
	if (r < 0)
		return r;
	if (!o->log_path) {
		if (pipe2(pair, O_CLOEXEC) < 0)
			return err_set_os(e, -errno, "cannot make the log pipe");
		c->log_fd = pair[0];
		s->log_fd = pair[1];
	}
	if (o->jail && (r = jail_prepare(c, s, &o, e)) < 0)
		return r;
	/* After the jail's janitor has been started, which must not hold an end of it. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set_os(e, -errno, "cannot make the supervisor socket");
	c->socket_fd = pair[0];
	s->socket_fd = pair[1];
	if (o->kernel && (s->config_fd = run_config_create(o, e)) < 0)
		return s->config_fd;
	if (o->fork_of && (r = run_fork_offer(s->fork_socket, o->fork_of, e)) < 0)
		return r;
	pid = child_spawn_with_args(s, o, &c->entry, c->jail, e);
	if (pid < 0)
		return pid;
	c->pid = pid;
	/* Without it the entry names this process: the VM is found all the same. */
	if (c->entry.name[0])
		(void)!runtime_update(&c->entry, pid, e);
	return 0;
}

int run_child_start(struct run_child *c, const struct run_options *o, bool no_stdin, struct err *e)
{
	struct spawn s = {
		.no_stdin = no_stdin, .config_fd = -1, .socket_fd = -1, .log_fd = -1, .api_fd = -1};
	int r;

	*c = (struct run_child){.socket_fd = -1, .log_fd = -1, .log_copy_fd = -1};
	r = child_start(c, &s, o, e);
	fd_close(&s.config_fd);
	fd_close(&s.socket_fd);
	fd_close(&s.log_fd);
	fd_close(&s.api_fd);
	if (r < 0)
		run_child_fini(c);
	return r;
}

void run_child_fini(struct run_child *c)
{
	fd_close(&c->socket_fd);
	fd_close(&c->log_fd);
	fd_close(&c->log_copy_fd);
	run_jail_close(c->jail);
	c->jail = NULL;
	runtime_release(&c->entry);
}
