/* SPDX-License-Identifier: Apache-2.0 */
/* Listening on a Unix socket. See unix_listen.h. */
#include "vmm/base/unix_listen.h"

#include "vmm/base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int listen_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd >= 0 ? fd : -errno;
}

static int listen_at(int fd, const struct sockaddr_un *at, int backlog)
{
	if (bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0)
		return -errno;
	return listen(fd, backlog) < 0 ? -errno : 0;
}

/* Whether the socket file has a listener: a full backlog is one too. */
static bool listen_served(const struct sockaddr_un *at)
{
	CLEANUP_FD
	int fd = listen_socket();

	return fd < 0 || connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0 ||
	       (errno != ECONNREFUSED && errno != ENOENT);
}

/* Removes what a process that is gone has left behind. */
static int listen_remove_stale(const struct sockaddr_un *at, struct err *e)
{
	struct stat st;

	if (lstat(at->sun_path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return err_set_os(e, -EADDRINUSE,
			"%s exists and is no socket; remove it or give another path", at->sun_path);
	if (listen_served(at))
		return err_set_os(e, -EADDRINUSE, "another process serves %s; give another path",
			at->sun_path);
	if (unlink(at->sun_path) < 0 && errno != ENOENT)
		return err_set_os(e, -errno, "cannot replace the unused socket %s", at->sun_path);
	return 0;
}

int unix_listen(const char *path, int backlog, struct err *e)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	CLEANUP_FD
	int fd = listen_socket();
	int rc;

	if (fd < 0)
		return err_set_os(e, fd, "cannot make a socket");
	if (!path[0] || strlen(path) >= sizeof(at.sun_path))
		return err_set(e, -ENAMETOOLONG,
			"'%s' is no path for a socket; give one of 1 to %zu characters", path,
			sizeof(at.sun_path) - 1);
	memcpy(at.sun_path, path, strlen(path));
	rc = listen_at(fd, &at, backlog);
	if (rc == -EADDRINUSE) {
		rc = listen_remove_stale(&at, e);
		if (rc < 0)
			return rc;
		rc = listen_at(fd, &at, backlog);
	}
	return rc == 0 ? fd_take(&fd) : err_set_os(e, rc, "cannot listen on %s", path);
}
