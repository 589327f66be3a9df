/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the command with its output going through pipes into virtio-serial ports, byte for byte and
 * as it comes. Pipes stand between because a port can be opened only once, and programs do reopen
 * /dev/stdout.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define DRAIN_STEPS_MAX 16 /* times 64 KiB: the largest pipe an unprivileged user may have */

/* One direction of flow; from and to are owned, -1 once closed. */
struct flow {
	int from, to;
};

enum { FLOW_OUT, FLOW_ERR, FLOW_IN, FLOW_COUNT };

static void flow_close(struct flow *flow)
{
	if (flow->from >= 0)
		(void)close(flow->from);
	if (flow->to >= 0)
		(void)close(flow->to);
	flow->from = flow->to = -1;
}

/* Moves what is there now; returns 1 if something moved. Closes the flow at end of file. */
static int flow_step(struct flow *flow)
{
	static char buf[65536];
	ssize_t got = read(flow->from, buf, sizeof(buf));

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got <= 0) {
		flow_close(flow);
		return 0;
	}
	for (ssize_t done = 0; done < got;) {
		ssize_t put = write(flow->to, buf + done, (size_t)(got - done));

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0) {
			flow_close(flow);
			return 0;
		}
		done += put;
	}
	return 1;
}

_Noreturn static void child_exec(const struct spec *spec, int in, int out, int err)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)setsid();
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(125);
	if (chdir(spec->cwd) < 0) {
		dprintf(2, "testbed: cannot enter %s: %s\n", spec->cwd, strerror(errno));
		_exit(125);
	}
	if (clearenv() != 0)
		_exit(125);
	for (int i = 0; i < spec->env_count; i++)
		(void)putenv(spec->env[i]);
	execvp(spec->argv[0], spec->argv);
	dprintf(2, "testbed: cannot run %s: %s\n", spec->argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Pipes and ports; the command's ends go to ret_child. */
static void flows_open(const struct spec *spec, struct flow flows[FLOW_COUNT], int ret_child[3])
{
	int out[2], err[2], in[2] = {-1, -1};

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		die("pipe");
	(void)fcntl(out[0], F_SETFL, O_NONBLOCK);
	(void)fcntl(err[0], F_SETFL, O_NONBLOCK);
	flows[FLOW_OUT] = (struct flow){out[0], port_open("stdout", O_WRONLY)};
	flows[FLOW_ERR] = (struct flow){err[0], port_open("stderr", O_WRONLY)};
	flows[FLOW_IN] = (struct flow){-1, -1};
	if (spec->has_stdin) {
		if (pipe2(in, O_CLOEXEC) < 0)
			die("pipe");
		flows[FLOW_IN] = (struct flow){port_open("stdin", O_RDONLY), in[1]};
	} else {
		in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	ret_child[0] = in[0];
	ret_child[1] = out[1];
	ret_child[2] = err[1];
}

/* Collects every dead child, as PID 1 must; returns 1 when the command is among them. */
static int reap(pid_t cmd, int *ret_status)
{
	int status, found = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != cmd)
			continue;
		found = 1;
		*ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
	return found;
}

static void wait_and_move(struct flow flows[FLOW_COUNT], int sig_fd)
{
	struct pollfd poll_fds[FLOW_COUNT + 1];
	struct signalfd_siginfo info;

	for (int i = 0; i < FLOW_COUNT; i++)
		poll_fds[i] = (struct pollfd){.fd = flows[i].from, .events = POLLIN};
	poll_fds[FLOW_COUNT] = (struct pollfd){.fd = sig_fd, .events = POLLIN};
	if (poll(poll_fds, FLOW_COUNT + 1, -1) < 0)
		return;
	for (int i = 0; i < FLOW_COUNT; i++)
		if (poll_fds[i].revents)
			(void)flow_step(&flows[i]);
	if (poll_fds[FLOW_COUNT].revents && read(sig_fd, &info, sizeof(info)) < 0)
		die("read signals");
}

int relay_command(const struct spec *spec)
{
	struct flow flows[FLOW_COUNT];
	int child[3], sig_fd, status = 125;
	sigset_t set;
	pid_t pid;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	sig_fd = signalfd(-1, &set, SFD_CLOEXEC);
	flows_open(spec, flows, child);
	pid = fork();
	if (sig_fd < 0 || pid < 0)
		die("fork");
	if (pid == 0)
		child_exec(spec, child[0], child[1], child[2]);
	for (int i = 0; i < 3; i++)
		(void)close(child[i]);

	while (!reap(pid, &status))
		wait_and_move(flows, sig_fd);
	/*
	 * What the command wrote is in the pipes by now. What it left running is not waited for,
	 * nor may it keep us here by writing on.
	 */
	for (int i = FLOW_OUT; i <= FLOW_ERR; i++)
		for (int n = 0; n < DRAIN_STEPS_MAX && flows[i].from >= 0 && flow_step(&flows[i]);
			n++)
			continue;
	(void)kill(-1, SIGKILL);
	return status;
}
