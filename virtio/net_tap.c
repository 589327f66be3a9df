/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tap back end: one fd per queue pair on a tap interface of the host. Each read and write is
 * one frame with its virtio header, which the kernel makes and obeys: checksums and segmentation
 * are left undone between guest and host as far as both agreed to.
 */
#include "virtio/net_backend.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/passed_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

/* Newer than the oldest headers we build with. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

struct net_tap {
	struct net_backend b; /* first */
	uint16_t attached;    /* fds that carry frames: 0 .. attached - 1 */
};

static const struct {
	uint32_t offload;
	unsigned long flags;
} net_tap_offloads[] = {
	{NET_OFFLOAD_CSUM, TUN_F_CSUM},
	{NET_OFFLOAD_TSO4, TUN_F_TSO4},
	{NET_OFFLOAD_TSO6, TUN_F_TSO6},
	{NET_OFFLOAD_UFO, TUN_F_UFO},
	{NET_OFFLOAD_USO, TUN_F_USO4 | TUN_F_USO6},
};

static struct net_tap *net_tap_of(struct net_backend *b)
{
	return (struct net_tap *)b;
}

/*
 * As readv, under a name that no other filter rule has.
 * #syscalls:main preadv2
 */
static ssize_t net_tap_receive(
	struct net_backend *b, uint16_t pair, const struct iovec *iov, int count)
{
	ssize_t n;

	do {
		n = preadv2(b->fds[pair], iov, count, -1, 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* #syscalls:main pwritev2 */
static int net_tap_send(struct net_backend *b, uint16_t pair, const struct iovec *iov, int count)
{
	ssize_t n;

	do {
		n = pwritev2(b->fds[pair], iov, count, -1, 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* #syscalls:main ioctl:1=TUNSETOFFLOAD */
static int net_tap_set_offloads(struct net_backend *b, uint32_t offloads)
{
	unsigned long flags = 0;

	for (size_t i = 0; i < NELEM(net_tap_offloads); i++)
		if (offloads & net_tap_offloads[i].offload)
			flags |= net_tap_offloads[i].flags;
	return ioctl(b->fds[0], TUNSETOFFLOAD, flags) < 0 ? -errno : 0;
}

/* #syscalls:main ioctl:1=TUNSETQUEUE */
static int net_tap_attach(int fd, bool on)
{
	struct ifreq r = {.ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};

	return ioctl(fd, TUNSETQUEUE, &r) < 0 ? -errno : 0;
}

/* The kernel spreads frames over attached queues, so those that nobody reads are detached. */
static int net_tap_set_pairs(struct net_backend *b, uint16_t count)
{
	struct net_tap *t = net_tap_of(b);
	int rc = 0;

	while (rc == 0 && t->attached < count) {
		rc = net_tap_attach(b->fds[t->attached], true);
		t->attached = (uint16_t)(t->attached + (rc == 0));
	}
	while (rc == 0 && t->attached > count) {
		rc = net_tap_attach(b->fds[t->attached - 1], false);
		t->attached = (uint16_t)(t->attached - (rc == 0));
	}
	return rc;
}

static void net_tap_close(struct net_backend *b)
{
	for (uint16_t i = 0; i < NET_PAIRS_MAX; i++)
		fd_close(&b->fds[i]);
	free(net_tap_of(b));
}

static const struct net_backend_ops net_tap_ops = {
	.name = "tap",
	.receive = net_tap_receive,
	.send = net_tap_send,
	.set_offloads = net_tap_set_offloads,
	.set_pairs = net_tap_set_pairs,
	.close = net_tap_close,
};

static int net_tap_err(const struct net_config *c, int code, const char *what, struct err *e)
{
	return err_set(e, code,
		"Could not create the network device: Open tap device failed: network interface "
		"%s: "
		"%s %s: %s (os error %d)",
		c->iface_id, what, c->host_dev_name ? c->host_dev_name : "(passed fd)",
		strerror(-code), -code);
}

static int net_tap_check_name(const struct net_config *c, struct err *e)
{
	size_t len = strlen(c->host_dev_name);

	if (passed_fd_is(c->host_dev_name))
		return 0;

	/* A per cent sign would make the kernel choose a name. */
	if (len > 0 && len < IFNAMSIZ && !strpbrk(c->host_dev_name, "/% \t\n:"))
		return 0;
	return err_set(e, -EINVAL,
		"Could not create the network device: Open tap device failed: host_dev_name "
		"\"%.64s\" is no interface name; it must have 1 to %d bytes",
		c->host_dev_name, IFNAMSIZ - 1);
}

/* One queue of the interface by name. Its fd or -errno. */
static int net_tap_open_queue(const struct net_config *c, bool multi, struct err *e)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	CLEANUP_FD
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int rc;

	if (fd < 0)
		return net_tap_err(c, -errno, "cannot open /dev/net/tun for", e);
	memcpy(r.ifr_name, c->host_dev_name, strlen(c->host_dev_name));
	if (multi)
		r.ifr_flags |= IFF_MULTI_QUEUE;
	if (ioctl(fd, TUNSETIFF, &r) == 0)
		return fd_take(&fd);
	rc = -errno;
	/* A tap that was made for several queues is taken with one as well. */
	if (rc == -EINVAL && !multi) {
		r.ifr_flags |= IFF_MULTI_QUEUE;
		if (ioctl(fd, TUNSETIFF, &r) == 0)
			return fd_take(&fd);
	}
	return net_tap_err(c, rc,
		rc == -EBUSY    ? "another process holds"
		: rc == -EPERM  ? "no permission (CAP_NET_ADMIN, or be its owner) for"
		: rc == -EINVAL ? "not a tap interface, or of another number of queues:"
				: "cannot use",
		e);
}

/* An fd that was passed in: is it what one of ours would be? */
static int net_tap_adopt(const struct net_config *c, int fd, struct err *e)
{
	struct ifreq r = {0};
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || ioctl(fd, TUNGETIFF, &r) < 0)
		return net_tap_err(c, -errno, "not an attached tap:", e);
	if (!(r.ifr_flags & IFF_TAP) || !(r.ifr_flags & IFF_NO_PI) || !(r.ifr_flags & IFF_VNET_HDR))
		return net_tap_err(
			c, -EINVAL, "not opened as IFF_TAP | IFF_NO_PI | IFF_VNET_HDR:", e);
	return 0;
}

/* Of "fd:A,B", one for each pair, the one of this pair. */
static int net_tap_open_passed(const struct net_config *c, uint16_t pair, struct err *e)
{
	char ref[sizeof("fd:") + PASSED_FD_NAME_MAX];
	const char *at = c->host_dev_name + strlen("fd:");
	CLEANUP_FD
	int fd = -1;
	int rc;

	for (uint16_t i = 0; at && i < pair; i++) {
		at = strchr(at, ',');
		at = at ? at + 1 : NULL;
	}
	if (!at || (pair + 1 == c->queue_pairs && strchr(at, ',')))
		return err_set(e, -EINVAL,
			"network interface %s: host_dev_name \"%.64s\" must name one tap for each "
			"of "
			"%u queue pairs, with commas between",
			c->iface_id, c->host_dev_name, c->queue_pairs);
	(void)snprintf(ref, sizeof(ref), "fd:%.*s", (int)strcspn(at, ","), at);
	fd = passed_fd_open(ref, e);
	rc = fd < 0 ? fd : net_tap_adopt(c, fd, e);
	return rc < 0 ? rc : fd_take(&fd);
}

/* Each offload by trying: which ones there are depends on the kernel's version. */
static void net_tap_probe(struct net_tap *t)
{
	for (size_t i = 0; i < NELEM(net_tap_offloads); i++) {
		uint32_t more = t->b.offloads | net_tap_offloads[i].offload;

		if (net_tap_set_offloads(&t->b, more) == 0)
			t->b.offloads = more;
	}
}

static int net_tap_setup(struct net_tap *t, const struct net_config *c, struct err *e)
{
	int size = NET_HEADER_SIZE, rc = 0;

	for (uint16_t i = 0; i < c->queue_pairs; i++) {
		if (c->tap_fds)
			rc = net_tap_adopt(c, c->tap_fds[i], e);
		if (rc == 0)
			rc = c->tap_fds ? c->tap_fds[i]
			     : passed_fd_is(c->host_dev_name)
				     ? net_tap_open_passed(c, i, e)
				     : net_tap_open_queue(c, c->queue_pairs > 1, e);
		if (rc < 0)
			return rc;
		t->b.fds[i] = rc;
		rc = 0;
		if (ioctl(t->b.fds[i], TUNSETVNETHDRSZ, &size) < 0)
			return net_tap_err(c, -errno, "cannot set the header's size of", e);
	}
	t->attached = c->queue_pairs;
	net_tap_probe(t);
	rc = net_tap_set_offloads(&t->b, 0);
	return rc < 0 ? net_tap_err(c, rc, "cannot turn off the offloads of", e) : 0;
}

int net_tap_open(const struct net_config *c, struct net_backend **ret, struct err *e)
{
	struct net_tap *t;
	int rc = c->tap_fds ? 0 : net_tap_check_name(c, e);

	if (rc < 0)
		return rc;
	t = calloc(1, sizeof(*t));
	if (!t)
		return err_set_os(e, -ENOMEM, "network interface %s", c->iface_id);
	t->b.ops = &net_tap_ops;
	t->b.pair_count = c->queue_pairs;
	memset(t->b.fds, 0xff, sizeof(t->b.fds));
	rc = net_tap_setup(t, c, e);
	if (rc == 0) {
		*ret = &t->b;
		return 0;
	}
	for (uint16_t i = 0; c->tap_fds && i < NET_PAIRS_MAX; i++)
		t->b.fds[i] = -1; /* still the caller's */
	net_tap_close(&t->b);
	return rc;
}
