/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The passt back end: frames over the stream socket of a passt that runs beside us and turns them
 * into sockets of its own, so that neither needs a privilege. On the stream each frame follows its
 * length, four bytes, big-endian. There is no header and nothing is left unfinished: no offloads.
 */
#include "virtio/net_backend.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/passed_fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PASST_PREFIX   4u
#define PASST_BUF_SIZE (2 * (PASST_PREFIX + NET_FRAME_MAX))

struct net_passt {
	struct net_backend b;        /* first */
	uint32_t in_start, in_end;   /* of what came in and is not used yet */
	uint32_t out_start, out_end; /* of the frame that is out in part */
	unsigned char in[PASST_BUF_SIZE];
	unsigned char out[PASST_PREFIX + NET_FRAME_MAX];
};

static struct net_passt *net_passt_of(struct net_backend *b)
{
	return (struct net_passt *)b;
}

/* Spreads src over iovecs from byte off on. Returns the bytes that found room. */
static uint64_t net_passt_scatter(
	const struct iovec *iov, int count, uint64_t off, const void *src, uint64_t len)
{
	const unsigned char *from = src;
	uint64_t done = 0;

	for (int i = 0; i < count && done < len; i++) {
		uint64_t part;

		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		part = MIN(iov[i].iov_len - off, len - done);
		memcpy((unsigned char *)iov[i].iov_base + off, from + done, part);
		done += part;
		off = 0;
	}
	return done;
}

/* The length of the next frame if all of it is here, 0 if not, -EPROTO if it is impossible. */
static int net_passt_next(const struct net_passt *s)
{
	uint32_t have = s->in_end - s->in_start, len;

	if (have < PASST_PREFIX)
		return 0;
	memcpy(&len, s->in + s->in_start, sizeof(len));
	len = ntohl(len);
	if (len < NET_ETH_SIZE || len > NET_FRAME_MAX)
		return -EPROTO;
	return have - PASST_PREFIX >= len ? (int)len : 0;
}

/* #syscalls:main recvfrom:3=MSG_DONTWAIT,4=0 */
static int net_passt_fill(struct net_passt *s)
{
	ssize_t n;

	if (s->in_start > 0) {
		memmove(s->in, s->in + s->in_start, s->in_end - s->in_start);
		s->in_end -= s->in_start;
		s->in_start = 0;
	}
	do {
		n = recv(s->b.fds[0], s->in + s->in_end, sizeof(s->in) - s->in_end, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -ECONNRESET;
	s->in_end += (uint32_t)n;
	return 0;
}

static ssize_t net_passt_receive(
	struct net_backend *b, uint16_t pair, const struct iovec *iov, int count)
{
	static const struct net_header plain;
	struct net_passt *s = net_passt_of(b);
	uint64_t done;
	int len;

	(void)pair;
	while ((len = net_passt_next(s)) == 0) {
		int rc = net_passt_fill(s);

		if (rc < 0)
			return rc;
	}
	if (len < 0)
		return len;
	done = net_passt_scatter(iov, count, 0, &plain, sizeof(plain));
	done += net_passt_scatter(
		iov, count, done, s->in + s->in_start + PASST_PREFIX, (uint64_t)len);
	s->in_start += PASST_PREFIX + (uint32_t)len;
	return (ssize_t)done;
}

/* #syscalls:main sendto:3=MSG_NOSIGNAL|MSG_DONTWAIT,4=0 */
static int net_passt_flush(struct net_backend *b)
{
	struct net_passt *s = net_passt_of(b);

	while (s->out_start < s->out_end) {
		ssize_t n = send(b->fds[0], s->out + s->out_start, s->out_end - s->out_start,
			MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return -errno;
		s->out_start += n > 0 ? (uint32_t)n : 0;
	}
	b->unfinished = false;
	return 0;
}

/* Keeps what the socket did not take of a frame; the guest's buffer goes back now. */
static void net_passt_keep(struct net_passt *s, const struct iovec *iov, int count, uint64_t sent)
{
	s->out_start = s->out_end = 0;
	for (int i = 0; i < count; i++) {
		uint64_t skip = MIN(sent, iov[i].iov_len);

		sent -= skip;
		memcpy(s->out + s->out_end, (unsigned char *)iov[i].iov_base + skip,
			iov[i].iov_len - skip);
		s->out_end += (uint32_t)(iov[i].iov_len - skip);
	}
	s->b.unfinished = s->out_end > 0;
}

/* #syscalls:main sendmsg:2=MSG_NOSIGNAL|MSG_DONTWAIT */
static int net_passt_send(struct net_backend *b, uint16_t pair, const struct iovec *iov, int count)
{
	struct net_passt *s = net_passt_of(b);
	struct iovec out[NET_SEND_IOV_MAX + 1];
	struct msghdr msg = {.msg_iov = out, .msg_iovlen = (size_t)count + 1};
	uint32_t prefix, len = 0;
	ssize_t n;

	(void)pair;
	if (count > (int)NET_SEND_IOV_MAX || iov[0].iov_len < NET_HEADER_SIZE)
		return -EINVAL;
	if (b->unfinished && (n = net_passt_flush(b)) < 0)
		return (int)n;
	out[0] = (struct iovec){.iov_base = &prefix, .iov_len = sizeof(prefix)};
	memcpy(out + 1, iov, (size_t)count * sizeof(*iov));
	out[1].iov_base = (unsigned char *)out[1].iov_base + NET_HEADER_SIZE;
	out[1].iov_len -= NET_HEADER_SIZE;
	for (int i = 1; i <= count; i++)
		len += (uint32_t)out[i].iov_len;
	prefix = htonl(len);
	if (len > NET_FRAME_MAX)
		return -EMSGSIZE;
	do {
		n = sendmsg(b->fds[0], &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	net_passt_keep(s, out, count + 1, (uint64_t)n);
	return 0;
}

static int net_passt_set_offloads(struct net_backend *b, uint32_t offloads)
{
	(void)b;
	return offloads == 0 ? 0 : -EINVAL;
}

static int net_passt_set_pairs(struct net_backend *b, uint16_t count)
{
	(void)b;
	return count == 1 ? 0 : -EINVAL;
}

static void net_passt_close(struct net_backend *b)
{
	fd_close(&b->fds[0]);
	free(net_passt_of(b));
}

static const struct net_backend_ops net_passt_ops = {
	.name = "passt socket",
	.receive = net_passt_receive,
	.send = net_passt_send,
	.flush = net_passt_flush,
	.set_offloads = net_passt_set_offloads,
	.set_pairs = net_passt_set_pairs,
	.close = net_passt_close,
};

/* Takes the connected socket over. */
static int net_passt_make(
	const struct net_config *c, int *fd, struct net_backend **ret, struct err *e)
{
	struct net_passt *s = calloc(1, sizeof(*s));

	if (!s)
		return err_set_os(e, -ENOMEM, "network interface %s", c->iface_id);
	s->b = (struct net_backend){
		.ops = &net_passt_ops, .pair_count = 1, .fds = {fd_take(fd), -1, -1}};
	*ret = &s->b;
	return 0;
}

int net_passt_open(const struct net_config *c, struct net_backend **ret, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	CLEANUP_FD
	int fd = -1;

	if (c->queue_pairs != 1)
		return err_set(e, -EINVAL, "network interface %s: passt has one queue pair, not %u",
			c->iface_id, c->queue_pairs);
	if (passed_fd_is(c->passt_socket)) {
		fd = passed_fd_open(c->passt_socket, e);
		return fd < 0 ? fd : net_passt_make(c, &fd, ret, e);
	}
	if (strlen(c->passt_socket) >= sizeof(a.sun_path))
		return err_set(e, -ENAMETOOLONG,
			"network interface %s: passt_socket has more than %zu bytes", c->iface_id,
			sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, c->passt_socket, strlen(c->passt_socket));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return err_set_os(e, -errno,
			"network interface %s: passt_socket: cannot connect to %s (is passt "
			"running?)",
			c->iface_id, c->passt_socket);
	return net_passt_make(c, &fd, ret, e);
}
