/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets of vsock. See vsock_unix.h. */
#include "virtio/vsock_unix.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/passed_fd.h"
#include "vmm/base/unix_listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

#define UNIX_BACKLOG      128
#define UNIX_GREETING_MAX 32

static int unix_socket(void)
{
	/* #syscalls:main socket:0=AF_UNIX,1=SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC,2=0 */
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd >= 0 ? fd : -errno;
}

/* A socket that somebody else has bound and listens on. */
static int vsock_unix_adopt(const char *path, struct err *e)
{
	CLEANUP_FD
	int fd = passed_fd_open(path, e);
	int listening = 0, domain = 0, flags;
	socklen_t len = sizeof(int);

	if (fd < 0)
		return fd;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening ||
		getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || domain != AF_UNIX)
		return err_set(e, -EINVAL, "%s is no Unix socket that listens", path);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_set_os(e, -errno, "%s", path);
	return fd_take(&fd);
}

int vsock_unix_listen(const char *path, struct err *e)
{
	int fd =
		passed_fd_is(path) ? vsock_unix_adopt(path, e) : unix_listen(path, UNIX_BACKLOG, e);

	if (fd < 0)
		(void)err_wrap(e, "vsock.uds_path");
	return fd;
}

void vsock_unix_name(int listen_fd, struct sockaddr_un *ret)
{
	socklen_t len = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	if (getsockname(listen_fd, (struct sockaddr *)ret, &len) < 0)
		ret->sun_path[0] = '\0';
}

/* #syscalls:main accept4:3=SOCK_NONBLOCK|SOCK_CLOEXEC */
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
	int len = path[0] ? 0 : -ENOENT;

	if (len < 0)
		return len;
	len = snprintf(at.sun_path, sizeof(at.sun_path), "%s_%u", path, port);

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
 * #syscalls:main recvfrom:3=MSG_PEEK,4=0 recvfrom:3=0,4=0
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

/* #syscalls:main sendto:3=MSG_NOSIGNAL,4=0 */
int vsock_unix_greet(int fd, uint32_t local_port)
{
	char line[UNIX_GREETING_MAX];
	int len = snprintf(line, sizeof(line), "OK %u\n", local_port);
	ssize_t n = send(fd, line, (size_t)len, MSG_NOSIGNAL);

	return n == len ? 0 : n < 0 ? -errno : -EPIPE;
}
