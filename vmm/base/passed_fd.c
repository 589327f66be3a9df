/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors in the place of paths. See passed_fd.h. */
#include "vmm/base/passed_fd.h"

#include "vmm/base/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PASSED_PREFIX     "fd:"
#define PASSED_NUMBER_MAX 255
#define PASSED_TEXT_MAX   (PASSED_FD_MAX * (PASSED_FD_NAME_MAX + 1))
#define PASSED_WAIT_S     10

static struct {
	uint64_t inherited[(PASSED_NUMBER_MAX + 1) / 64]; /* a bit each */
	uint32_t count;
	struct {
		char name[PASSED_FD_NAME_MAX + 1];
		int fd; /* owned */
	} sent[PASSED_FD_MAX];
} passed;

void passed_fd_init(int own)
{
	struct pollfd fds[PASSED_NUMBER_MAX + 1];

	for (int i = 0; i <= PASSED_NUMBER_MAX; i++)
		fds[i] = (struct pollfd){.fd = i};
	/* One call tells which of them are open; or one for each, if the limit of files is lower. */
	if (poll(fds, NELEM(fds), 0) < 0)
		for (int i = 0; i <= PASSED_NUMBER_MAX; i++)
			fds[i].revents = fcntl(i, F_GETFD) < 0 ? POLLNVAL : 0;
	for (int i = STDERR_FILENO + 1; i <= PASSED_NUMBER_MAX; i++)
		if (i != own && !(fds[i].revents & POLLNVAL))
			passed.inherited[i / 64] |= UINT64_C(1) << (i % 64);
	(void)syscall(SYS_close_range, STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC);
}

bool passed_fd_is(const char *path)
{
	return strncmp(path, PASSED_PREFIX, strlen(PASSED_PREFIX)) == 0;
}

static int passed_find_number(const char *text)
{
	char *end;
	unsigned long n;

	if (!isdigit((unsigned char)text[0]))
		return -1;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || n > PASSED_NUMBER_MAX ||
		!(passed.inherited[n / 64] & UINT64_C(1) << (n % 64)))
		return -1;
	return (int)n;
}

static int passed_find_name(const char *text)
{
	for (uint32_t i = 0; i < passed.count; i++)
		if (strcmp(passed.sent[i].name, text) == 0)
			return passed.sent[i].fd;
	return -1;
}

static int passed_find(const char *path)
{
	const char *text = path + strlen(PASSED_PREFIX);
	int fd = passed_find_name(text);

	return fd >= 0 ? fd : passed_find_number(text);
}

bool passed_fd_has(const char *path)
{
	return passed_find(path) >= 0;
}

/* #syscalls:main fcntl:1=F_DUPFD_CLOEXEC */
int passed_fd_open(const char *path, struct err *e)
{
	int fd = passed_find(path);

	if (fd < 0)
		return err_set(e, -EBADF,
			"'%s': no descriptor of that name was passed to this process", path);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd >= 0 ? fd : err_set_os(e, -errno, "'%s'", path);
}

/* #syscalls:main openat */
int passed_fd_or_file(const char *path, int flags, struct err *e)
{
	int fd;

	if (passed_fd_is(path))
		return passed_fd_open(path, e);
	fd = open(path, flags);
	return fd >= 0 ? fd : -errno;
}

static int passed_connect(const char *path, struct err *e)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	CLEANUP_FD
	int fd = -1;

	if (passed_fd_is(path))
		return passed_fd_open(path, e);
	if (!path[0] || strlen(path) >= sizeof(at.sun_path))
		return err_set(e, -ENAMETOOLONG, "'%s' is no path of a socket", path);
	memcpy(at.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return err_set_os(e, -errno, "cannot connect to '%s'", path);
	return fd_take(&fd);
}

static bool passed_name_ok(const char *name, size_t len)
{
	if (len == 0 || len > PASSED_FD_NAME_MAX || isdigit((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
			return false;
	return true;
}

/* Takes over the descriptors that get a name; the others stay the caller's. */
static int passed_store(const char *text, size_t len, int *fds, uint32_t count, struct err *e)
{
	uint32_t i = 0;

	while (passed.count > 0)
		fd_close(&passed.sent[--passed.count].fd);
	for (const char *at = text, *end; at < text + len; at = end + 1, i++) {
		end = memchr(at, '\n', (size_t)(text + len - at));
		if (!end || !passed_name_ok(at, (size_t)(end - at)))
			return err_set(e, -EINVAL,
				"name %u is not of 1 to %u letters, digits, - and _, with a "
				"newline",
				i, PASSED_FD_NAME_MAX);
		if (i == count)
			return err_set(e, -EINVAL, "more names than the %u descriptors", count);
		memcpy(passed.sent[i].name, at, (size_t)(end - at));
		passed.sent[i].name[end - at] = '\0';
		for (uint32_t k = 0; k < i; k++)
			if (strcmp(passed.sent[k].name, passed.sent[i].name) == 0)
				return err_set(
					e, -EINVAL, "the name %s comes twice", passed.sent[i].name);
		passed.sent[i].fd = fd_take(&fds[i]);
		passed.count = i + 1;
	}
	if (i != count)
		return err_set(e, -EINVAL, "%u names for %u descriptors", i, count);
	return 0;
}

static int passed_take(int sock, struct err *e)
{
	union {
		struct cmsghdr align;
		unsigned char bytes[CMSG_SPACE(sizeof(int) * PASSED_FD_MAX)];
	} control;
	char text[PASSED_TEXT_MAX];
	struct iovec iov = {.iov_base = text, .iov_len = sizeof(text)};
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	int fds[PASSED_FD_MAX];
	uint32_t count = 0;
	ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	int rc;

	if (n < 0)
		return err_set_os(e, -errno, "nothing came");
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (; count < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) && count < PASSED_FD_MAX;
			count++)
			memcpy(&fds[count], CMSG_DATA(c) + count * sizeof(int), sizeof(int));
	}
	rc = (m.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0 || n == 0
		     ? err_set(e, -EINVAL, "it sent no message of at most %u descriptors and names",
			       PASSED_FD_MAX)
		     : passed_store(text, (size_t)n, fds, count, e);
	for (uint32_t i = 0; i < count; i++)
		fd_close(&fds[i]);
	return rc;
}

int passed_fd_receive(const char *path, struct err *e)
{
	struct timeval limit = {.tv_sec = PASSED_WAIT_S};
	CLEANUP_FD
	int sock = passed_connect(path, e);
	int rc = sock;

	if (sock >= 0 && setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		rc = err_set_os(e, -errno, "'%s' is no socket", path);
	if (rc >= 0)
		rc = passed_take(sock, e);
	return rc < 0 ? err_wrap(e, "--fds-from") : 0;
}
