/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking what a fork offers. See fork.h. All of it is checked here or, as any state file and any
 * memory, behind here: who sends it decides what the guest is, and nothing else.
 */
#include "snapshot/format.h"
#include "snapshot/fork.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define COLLECT_TIMEOUT_S 10 /* without an answer */

void fork_gift_fini(struct fork_gift *g)
{
	free(g->state);
	fd_close(&g->base_fd);
	for (uint32_t i = 0; i < g->overlay_count; i++)
		gmem_overlay_fini(&g->overlays[i]);
	*g = FORK_GIFT_NONE;
}

static int unpack_check(
	const struct fork_message *msg, size_t len, uint32_t fd_count, struct err *e)
{
	uint64_t runs = 0;

	if (len != sizeof(*msg) || msg->magic != FORK_MAGIC)
		return err_set(e, -EINVAL, "what it sent is no fork of this version");
	if (msg->overlay_count > GMEM_OVERLAYS_MAX || fd_count != 2 + msg->overlay_count ||
		msg->reserved != 0)
		return err_set(e, -EINVAL, "%u overlays with %u descriptors", msg->overlay_count,
			fd_count);
	for (uint32_t i = 0; i < GMEM_OVERLAYS_MAX; i++) {
		if ((msg->run_counts[i] == 0) != (i >= msg->overlay_count))
			return err_set(e, -EINVAL, "overlay %u has %u runs", i, msg->run_counts[i]);
		runs += msg->run_counts[i];
	}
	if (runs > GMEM_RUNS_MAX || msg->state_size == 0 || msg->state_size > SNAPSHOT_FILE_MAX ||
		msg->mem_size == 0 || msg->mem_size > GMEM_SIZE_MAX)
		return err_set(e, -EINVAL, "%llu runs, a state of %llu bytes, memory of %llu",
			(unsigned long long)runs, (unsigned long long)msg->state_size,
			(unsigned long long)msg->mem_size);
	return 0;
}

/* A manifest that shrinks meanwhile is a short read. Runs are checked by gmem_init. */
static int unpack_manifest(
	struct fork_gift *g, const struct fork_message *msg, int manifest, struct err *e)
{
	uint64_t off = 0;
	struct stat st;
	int rc = 0;

	if (fstat(manifest, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "its manifest is no file");
	for (uint32_t i = 0; rc == 0 && i < g->overlay_count; i++) {
		struct gmem_overlay *o = &g->overlays[i];
		size_t size = msg->run_counts[i] * sizeof(o->runs[0]);

		o->run_count = msg->run_counts[i];
		o->runs = calloc(msg->run_counts[i], sizeof(o->runs[0])); /* not none: checked */
		rc = o->runs ? io_pread_full(manifest, o->runs, size, off) : -ENOMEM;
		off += size;
	}
	if (rc == 0) {
		g->state_size = (size_t)msg->state_size;
		g->state = malloc(g->state_size);
		rc = g->state ? io_pread_full(manifest, g->state, g->state_size, off) : -ENOMEM;
	}
	return rc == 0 ? 0 : err_set_os(e, rc, "its manifest");
}

int fork_unpack(struct fork_gift *g, const struct fork_message *msg, size_t len, int *fds,
	uint32_t fd_count, struct err *e)
{
	int rc = unpack_check(msg, len, fd_count, e);

	*g = FORK_GIFT_NONE;
	if (rc == 0) {
		g->mem_size = msg->mem_size;
		g->base_fd = fd_take(&fds[1]);
		g->overlay_count = msg->overlay_count;
		for (uint32_t i = 0; i < g->overlay_count; i++)
			g->overlays[i] = (struct gmem_overlay){.fd = fd_take(&fds[2 + i])};
		rc = unpack_manifest(g, msg, fds[0], e);
	}
	for (uint32_t i = 0; i < fd_count; i++)
		fd_close(&fds[i]);
	if (rc < 0)
		fork_gift_fini(g);
	return rc;
}

static int collect_connect(const char *path, struct err *e)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = COLLECT_TIMEOUT_S};
	CLEANUP_FD
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (!path[0] || strlen(path) >= sizeof(at.sun_path))
		return err_set(e, -ENAMETOOLONG, "'%s' is no path of a socket", path);
	memcpy(at.sun_path, path, strlen(path));
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
		connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return err_set_os(e, -errno, "cannot connect");
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return err_set_os(e, -errno, "who serves it");
	if (peer.uid != 0 && peer.uid != geteuid())
		return err_set(
			e, -EPERM, "it is served by user %u, we are %u", peer.uid, geteuid());
	return fd_take(&fd);
}

/* All descriptors of a message: those that do not fit are closed by the kernel. */
static uint32_t collect_fds(struct msghdr *msg, int *fds)
{
	uint32_t count = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n && count < FORK_FDS_MAX; i++)
			memcpy(&fds[count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
	return count;
}

int fork_collect(struct fork_gift *g, const char *path, struct err *e)
{
	union {
		struct cmsghdr align;
		unsigned char bytes[CMSG_SPACE(sizeof(int) * FORK_FDS_MAX)];
	} control;
	struct fork_message message = {0};
	struct iovec iov = {.iov_base = &message, .iov_len = sizeof(message)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control),
	};
	int fds[FORK_FDS_MAX];
	CLEANUP_FD
	int fd = collect_connect(path, e);
	ssize_t n;
	int rc;

	*g = FORK_GIFT_NONE;
	if (fd < 0)
		return err_wrap(e, "fork_from %s", path);
	for (unsigned i = 0; i < FORK_FDS_MAX; i++)
		fds[i] = -1;
	n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	if (n < 0)
		rc = err_set_os(e, -errno, "no answer");
	else if (n == 0)
		rc = err_set(e, -ECONNRESET, "closed without an answer: the offer has ended");
	else
		rc = fork_unpack(g, &message, (size_t)n, fds, collect_fds(&msg, fds), e);
	return rc < 0 ? err_wrap(e, "fork_from %s", path) : 0;
}
