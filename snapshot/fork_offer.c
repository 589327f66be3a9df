/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serving a fork. See fork.h. Each peer gets one message, which fits into the buffer of a new
 * connection, and is closed: none of them can make us wait.
 */
#include "snapshot/fork.h"
#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"
#include "vmm/base/unix_listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define OFFER_BACKLOG 128

/*
 * The mask is the process's; no other thread makes files.
 *
 * #syscalls:main umask socket:0=AF_UNIX,1=SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC,2=0
 * #syscalls:main bind listen connect newfstatat unlink close
 */
int fork_offer_listen(struct fork_offer *f, const char *path, struct err *e)
{
	mode_t old = umask(0177);
	int fd = unix_listen(path, OFFER_BACKLOG, e);

	(void)umask(old);
	if (fd < 0)
		return err_wrap(e, "socket_path");
	*f = (struct fork_offer){
		.source.fd = -1, .timer.fd = -1, .manifest_fd = -1, .at.sun_family = AF_UNIX};
	memcpy(f->at.sun_path, path, strlen(path));
	return fd;
}

/* #syscalls:main unlink close */
void fork_offer_end(struct fork_offer *f)
{
	if (!f->machine)
		return;
	if (f->source.fn)
		loop_del(f->loop, &f->source);
	if (f->timer.fn)
		loop_del(f->loop, &f->timer);
	fd_close(&f->source.fd);
	fd_close(&f->timer.fd);
	fd_close(&f->manifest_fd);
	(void)unlink(f->at.sun_path);
	f->machine = NULL;
}

/* The control message takes as many descriptors as there are layers, and the manifest. */
static int offer_send(const struct fork_offer *f, int fd)
{
	const struct gmem *m = &f->machine->mem;
	union {
		struct cmsghdr align;
		unsigned char bytes[CMSG_SPACE(sizeof(int) * FORK_FDS_MAX)];
	} control = {.bytes = {0}};
	struct fork_message message = f->message;
	struct iovec iov = {.iov_base = &message, .iov_len = sizeof(message)};
	int fds[FORK_FDS_MAX] = {f->manifest_fd, m->fd};
	size_t size = sizeof(int) * (2 + f->message.overlay_count);
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(size),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	ssize_t n;

	CHECK(m->overlay_count == f->message.overlay_count);
	for (uint32_t i = 0; i < m->overlay_count; i++)
		fds[2 + i] = m->overlays[i].fd;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), fds, size);
	n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n < 0 ? -errno : (n == (ssize_t)sizeof(message) ? 0 : -EIO);
}

/*
 * #syscalls:main accept4:3=SOCK_NONBLOCK|SOCK_CLOEXEC getsockopt:1=SOL_SOCKET,2=SO_PEERCRED
 * #syscalls:main sendmsg:2=MSG_NOSIGNAL|MSG_DONTWAIT geteuid close
 */
static void offer_on_peer(void *ctx, uint32_t events)
{
	struct fork_offer *f = ctx;
	CLEANUP_FD
	int fd = accept4(f->source.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int rc;

	(void)events;
	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
		(peer.uid != geteuid() && peer.uid != 0)) {
		log_warn("fork: refused a peer of another user");
		return;
	}
	rc = offer_send(f, fd);
	if (rc < 0) {
		log_warn("fork: process %d went away: %s", (int)peer.pid, strerrordesc_np(-rc));
		return;
	}
	log_info("fork: given to process %d", (int)peer.pid);
	if (--f->left == 0)
		fork_offer_end(f);
}

static void offer_on_timeout(void *ctx, uint32_t events)
{
	struct fork_offer *f = ctx;

	(void)events;
	log_warn("fork: %u of the children did not collect in time", f->left);
	fork_offer_end(f);
}

/* #syscalls:main timerfd_create:0=CLOCK_MONOTONIC,1=TFD_CLOEXEC|TFD_NONBLOCK timerfd_settime */
int fork_offer_start(struct fork_offer *f, int listen_fd, uint32_t timeout_ms, struct err *e)
{
	struct itimerspec when = {
		.it_value = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L}};
	int rc = 0;

	f->source.fd = listen_fd;
	f->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (f->timer.fd < 0 || timerfd_settime(f->timer.fd, 0, &when, NULL) < 0)
		rc = -errno;
	f->source.ctx = f->timer.ctx = f;
	if (rc == 0) {
		f->source.fn = offer_on_peer;
		rc = loop_add(f->loop, &f->source, EPOLLIN);
	}
	if (rc == 0) {
		f->timer.fn = offer_on_timeout;
		rc = loop_add(f->loop, &f->timer, EPOLLIN);
	}
	if (rc == 0)
		return 0;
	fork_offer_end(f);
	return err_set_os(e, rc, "cannot watch the socket of the fork");
}
