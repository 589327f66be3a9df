/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor as a child process: found, given its configuration, its supervisor socket and a pipe
 * for its log, and started so that it cannot outlive this process and is reached by none of the
 * signals that a terminal or a service manager sends to all of us at once. Ending it is for
 * run_watch to decide: a monitor that died of the same SIGTERM could not power its guest off.
 */
#include "cli/run.h"

#include "cli/cli.h"
#include "vmm/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define VMM_NAME "mayfly-vmm"

/* What fork leaves to the child; all of it belongs to run_child_start. */
struct spawn {
	char vmm[PATH_MAX];
	int config_fd;
	int socket_fd;
	int log_fd;  /* or -1 */
	int exec_fd; /* takes the errno of a failed exec; closed by a good one */
	bool no_stdin;
	pid_t parent;
};

static bool path_join(char dst[PATH_MAX], const char *dir, size_t dir_len)
{
	int n = snprintf(dst, PATH_MAX, "%.*s/" VMM_NAME, (int)dir_len, dir);

	return n > 0 && n < PATH_MAX && access(dst, X_OK) == 0;
}

static bool vmm_find_beside(char dst[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n <= 0)
		return false;
	self[n] = '\0';
	slash = strrchr(self, '/');
	return slash && path_join(dst, self, (size_t)(slash - self));
}

static bool vmm_find_in_path(char dst[PATH_MAX])
{
	const char *dir = getenv("PATH");

	while (dir && *dir) {
		size_t len = strcspn(dir, ":");

		if (len > 0 && len < PATH_MAX && path_join(dst, dir, len))
			return true;
		dir += len + (dir[len] == ':' ? 1 : 0);
	}
	return false;
}

int run_vmm_find(char dst[PATH_MAX], const char *asked, struct err *e)
{
	if (asked) {
		if (strlen(asked) >= PATH_MAX)
			return err_set(e, -ENAMETOOLONG, "--vmm: the path is too long");
		if (access(asked, X_OK) < 0)
			return err_set_os(e, -errno, "--vmm '%s' cannot be run", asked);
		memcpy(dst, asked, strlen(asked) + 1);
		return 0;
	}
	if (vmm_find_beside(dst) || vmm_find_in_path(dst))
		return 0;
	return err_set(e, -ENOENT,
		VMM_NAME " is neither beside this program nor in PATH: install "
			 "it, or name it with --vmm PATH");
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
	(void)fcntl(s->config_fd, F_SETFD, 0);
	(void)fcntl(s->socket_fd, F_SETFD, 0);
	if (s->log_fd >= 0)
		(void)fcntl(s->log_fd, F_SETFD, 0);
	(void)execv(s->vmm, argv);
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
	return err_set_os(e, -child_errno, "cannot run %s", s->vmm);
}

static void run_name(const struct run_options *o, char ret[RUNTIME_NAME_SIZE])
{
	if (o->name)
		(void)snprintf(ret, RUNTIME_NAME_SIZE, "%s", o->name);
	else
		(void)snprintf(ret, RUNTIME_NAME_SIZE, "run-%d", (int)getpid());
}

static pid_t child_spawn_with_args(
	struct spawn *s, const struct run_options *o, struct runtime_vm *entry, struct err *e)
{
	char id[RUNTIME_NAME_SIZE], config[32], sock[16], log[32];
	char *argv[] = {VMM_NAME, "--id", id, "--config-file", config, "--supervisor-fd", sock,
		"--level", o->log_level, "--log-path", o->log_path ? o->log_path : log,
		entry->name[0] ? "--api-sock" : "--no-api", entry->name[0] ? entry->socket : NULL,
		NULL};

	run_name(o, id);
	(void)snprintf(config, sizeof(config), "/proc/self/fd/%d", s->config_fd);
	(void)snprintf(sock, sizeof(sock), "%d", s->socket_fd);
	(void)snprintf(log, sizeof(log), "/proc/self/fd/%d", s->log_fd);
	return child_spawn(s, argv, e);
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

/*
 * The log does not go to /dev/stderr itself: the monitor opens its log target anew, which is
 * impossible for a socket and would write over the start of a file.
 */
int run_child_start(struct run_child *c, const struct run_options *o, bool no_stdin, struct err *e)
{
	struct spawn s = {.no_stdin = no_stdin};
	int sock[2] = {-1, -1}, log[2] = {-1, -1}, r;
	CLEANUP_FD
	int config_fd = -1;
	pid_t pid;

	*c = (struct run_child){.socket_fd = -1, .log_fd = -1, .log_copy_fd = -1};
	r = run_vmm_find(s.vmm, o->vmm_path, e);
	if (r < 0)
		return r;
	config_fd = run_config_create(o, e);
	if (config_fd < 0)
		return config_fd;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
		return err_set_os(e, -errno, "cannot make the supervisor socket");
	if (!o->log_path && pipe2(log, O_CLOEXEC) < 0) {
		r = err_set_os(e, -errno, "cannot make the log pipe");
		goto err_close_sockets;
	}
	s.config_fd = config_fd;
	s.socket_fd = sock[1];
	s.log_fd = log[1];
	r = entry_make(c, o, e);
	if (r < 0)
		goto err_close_log;
	pid = child_spawn_with_args(&s, o, &c->entry, e);
	fd_close(&sock[1]);
	fd_close(&log[1]);
	if (pid < 0) {
		r = pid;
		goto err_release;
	}
	c->pid = pid;
	c->socket_fd = sock[0];
	c->log_fd = log[0];
	/* Without it the entry names this process: the VM is found all the same. */
	if (c->entry.name[0])
		(void)!runtime_update(&c->entry, pid, e);
	return 0;

err_release:
	runtime_release(&c->entry);
	fd_close(&c->log_copy_fd);
err_close_log:
	fd_close(&log[1]);
	fd_close(&log[0]);
err_close_sockets:
	fd_close(&sock[0]);
	fd_close(&sock[1]);
	return r;
}

void run_child_fini(struct run_child *c)
{
	fd_close(&c->socket_fd);
	fd_close(&c->log_fd);
	fd_close(&c->log_copy_fd);
	runtime_release(&c->entry);
}
