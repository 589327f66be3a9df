/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets of vsock. See vsock_unix.h. */
#include "virtio/vsock_unix.h"

#include "vmm/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define UNIX_BACKLOG      128
#define UNIX_GREETING_MAX 32

static int unix_socket(void)
{
	/* #syscalls:main socket:0=AF_UNIX */
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd >= 0 ? fd : -errno;
}

static int unix_bind(int fd, const struct sockaddr_un *at)
{
	if (bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0)
		return -errno;
	return listen(fd, UNIX_BACKLOG) < 0 ? -errno : 0;
}

/* Whether the socket file has a listener: a full backlog is one too. */
static bool unix_served(const struct sockaddr_un *at)
{
	CLEANUP_FD
	int fd = unix_socket();

	return fd < 0 || connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0 ||
	       (errno != ECONNREFUSED && errno != ENOENT);
}

/* Removes what a monitor that is gone has left behind. */
static int unix_remove_stale(const struct sockaddr_un *at, struct err *e)
{
	struct stat st;

	if (lstat(at->sun_path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return err_set_os(e, -EADDRINUSE,
			"vsock.uds_path: %s exists and is no socket; remove it or give another "
			"path",
			at->sun_path);
	if (unix_served(at))
		return err_set_os(e, -EADDRINUSE,
			"vsock.uds_path: another process serves %s; give another path",
			at->sun_path);
	if (unlink(at->sun_path) < 0 && errno != ENOENT)
		return err_set_os(e, -errno, "vsock.uds_path: cannot replace the unused socket %s",
			at->sun_path);
	return 0;
}

int vsock_unix_listen(const char *path, struct err *e)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	CLEANUP_FD
	int fd = unix_socket();
	int rc;

	if (fd < 0)
		return err_set_os(e, fd, "vsock: cannot make a socket");
	if (strlen(path) >= sizeof(at.sun_path))
		return err_set(e, -ENAMETOOLONG,
			"vsock.uds_path: %s is too long; a socket's path has at most %zu "
			"characters",
			path, sizeof(at.sun_path) - 1);
	memcpy(at.sun_path, path, strlen(path));
	rc = unix_bind(fd, &at);
	if (rc == -EADDRINUSE) {
		rc = unix_remove_stale(&at, e);
		if (rc < 0)
			return rc;
		rc = unix_bind(fd, &at);
	}
	return rc == 0 ? fd_take(&fd)
		       : err_set_os(e, rc, "vsock.uds_path: cannot listen on %s", path);
}

/* #syscalls:main accept4 */
int vsock_unix_accept(int listen_fd)
{
	int fd;

	do {
		fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	return fd >= 0 ? fd : -errno;
}

/*
 * A Unix socket connects at once or not at all: a full backlog is EAGAIN.
 * #syscalls:main connect
 */
int vsock_unix_connect(const char *path, uint32_t port)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	CLEANUP_FD
	int fd = -1;
	int len = snprintf(at.sun_path, sizeof(at.sun_path), "%s_%u", path, port);

	if (len < 0 || (size_t)len >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	fd = unix_socket();
	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	return fd_take(&fd);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

bool vsock_greeting_parse(const char *line, size_t len, uint32_t *ret_port)
{
	static const char word[] = "CONNECT";
	const size_t word_len = sizeof(word) - 1;
	uint64_t port = 0;
	size_t i = word_len, digits;

	if (len <= word_len || strncasecmp(line, word, word_len) != 0 || !is_blank(line[i]))
		return false;
	while (i < len && is_blank(line[i]))
		i++;
	digits = i;
	for (; i < len && line[i] >= '0' && line[i] <= '9' && port <= UINT32_MAX; i++)
		port = port * 10 + (uint64_t)(line[i] - '0');
	if (i == digits || port > UINT32_MAX)
		return false;
	while (i < len && is_blank(line[i]))
		i++;
	if (i != len)
		return false;
	*ret_port = (uint32_t)port;
	return true;
}

/*
 * Looks first and takes then: what follows the line belongs to the stream.
 * #syscalls:main recvfrom
 */
int vsock_unix_greeting(int fd, uint32_t *ret_port)
{
	char line[UNIX_GREETING_MAX];
	ssize_t n = recv(fd, line, sizeof(line), MSG_PEEK);
	const char *end;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	end = memchr(line, '\n', (size_t)n);
	if (!end)
		return (size_t)n < sizeof(line) ? 0 : -EPROTO;
	if (!vsock_greeting_parse(line, (size_t)(end - line), ret_port))
		return -EPROTO;
	n = recv(fd, line, (size_t)(end - line) + 1, 0);
	return n == end - line + 1 ? 1 : -EPROTO;
}

/* #syscalls:main sendto */
int vsock_unix_greet(int fd, uint32_t local_port)
{
	char line[UNIX_GREETING_MAX];
	int len = snprintf(line, sizeof(line), "OK %u\n", local_port);
	ssize_t n = send(fd, line, (size_t)len, MSG_NOSIGNAL);

	return n == len ? 0 : n < 0 ? -errno : -EPIPE;
}
