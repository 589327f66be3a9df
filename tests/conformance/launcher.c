/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A launcher that keeps all privilege: opens what a VM needs, gives up everything, and starts the monitor with
 * a socket on descriptor 3, on which the open descriptors are sent.
 *
 *   launcher NAME=KIND:ARG... -- PROGRAM ARG...
 *
 * KIND: ro, rw (a file), listen, connect (a Unix socket), tap (an interface). As root the program is run as
 * user and group 65534 without any other, found by an open descriptor: it need not be able to reach its own file.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define FDS_MAX   16
#define NOBODY    65534
#define PASSED_AT 3

static void die(const char *what)
{
	fprintf(stderr, "launcher: %s: %s\n", what, strerror(errno));
	exit(99);
}

static int open_socket(const char *path, int listening)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	rc = listening ? bind(fd, (struct sockaddr *)&a, sizeof(a))
		       : connect(fd, (struct sockaddr *)&a, sizeof(a));
	if (fd < 0 || rc < 0 || (listening && listen(fd, 16) < 0))
		die(path);
	return fd;
}

static int open_tap(const char *name)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0)
		die(name);
	return fd;
}

static int open_spec(const char *spec)
{
	const char *arg = strchr(spec, ':');
	int fd;

	if (!arg)
		die(spec);
	arg++;
	if (strncmp(spec, "listen:", 7) == 0 || strncmp(spec, "connect:", 8) == 0)
		return open_socket(arg, spec[0] == 'l');
	if (strncmp(spec, "tap:", 4) == 0)
		return open_tap(arg);
	fd = open(arg, (spec[1] == 'w' ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		die(arg);
	return fd;
}

static void send_all(int sock, const char *names, int *fds, size_t count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} control = {.bytes = {0}};
	struct iovec iov = {.iov_base = (void *)names, .iov_len = strlen(names)};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(sizeof(int) * count)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * count);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
	if (sendmsg(sock, &m, 0) < 0)
		die("sendmsg");
}

static void run(int sock, char **argv)
{
	int exe = open(argv[0], O_PATH | O_CLOEXEC);

	if (exe < 0 || dup2(sock, PASSED_AT) < 0)
		die(argv[0]);
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
				      setresuid(NOBODY, NOBODY, NOBODY) < 0))
		die("giving up root");
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the change of user, which clears it */
	execveat(exe, "", argv, environ, AT_EMPTY_PATH);
	die(argv[0]);
}

int main(int argc, char **argv)
{
	char names[512] = "";
	int pair[2], fds[FDS_MAX], i, status;
	size_t count = 0, used = 0;
	pid_t pid;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0 && count < FDS_MAX; i++) {
		const char *equals = strchr(argv[i], '=');

		if (!equals)
			die(argv[i]);
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%.*s\n",
			(int)(equals - argv[i]), argv[i]);
		fds[count++] = open_spec(equals + 1);
	}
	if (i + 1 >= argc || count == 0 ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		die("usage: launcher NAME=KIND:ARG... -- PROGRAM ARG...");
	send_all(pair[0], names, fds, count);
	pid = fork();
	if (pid == 0)
		run(pair[1], argv + i + 1);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("the program");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
