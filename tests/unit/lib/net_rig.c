/* SPDX-License-Identifier: Apache-2.0 */
/* A network device under test. See net_rig.h. */
#include "tests/unit/lib/net_rig.h"

#include "vmm/base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct net_rig_backend *rig_backend(struct net_backend *b)
{
	return (struct net_rig_backend *)b;
}

static ssize_t rig_receive(struct net_backend *b, uint16_t pair, const struct iovec *iov, int count)
{
	ssize_t n = readv(b->fds[pair], iov, count);

	if (n == 0)
		return -EBADFD;
	return n < 0 ? -errno : n;
}

static int rig_send(struct net_backend *b, uint16_t pair, const struct iovec *iov, int count)
{
	rig_backend(b)->send_count++;
	if (rig_backend(b)->send_err)
		return rig_backend(b)->send_err;
	return writev(b->fds[pair], iov, count) < 0 ? -errno : 0;
}

static int rig_set_offloads(struct net_backend *b, uint32_t offloads)
{
	rig_backend(b)->accepted = offloads;
	return rig_backend(b)->offloads_err;
}

static int rig_set_pairs(struct net_backend *b, uint16_t count)
{
	rig_backend(b)->pairs = count;
	return 0;
}

static void rig_close(struct net_backend *b)
{
	for (int i = 0; i < b->pair_count; i++)
		(void)close(b->fds[i]);
	*rig_backend(b)->closed = true;
	free(b);
}

static const struct net_backend_ops rig_ops = {
	.name = "test",
	.receive = rig_receive,
	.send = rig_send,
	.set_offloads = rig_set_offloads,
	.set_pairs = rig_set_pairs,
	.close = rig_close,
};

void net_rig_init(struct net_rig *r, struct net_config c, uint16_t pairs)
{
	struct err e = {0};
	int rc;

	memset(r, 0, sizeof(*r));
	driver_init(&r->q[0], NET_RIG_QUEUE);
	rc = loop_init(&r->loop, &e);
	CHECK(rc == 0);
	r->back = calloc(1, sizeof(*r->back));
	CHECK(r->back);
	r->back->b = (struct net_backend){
		.ops = &rig_ops, .offloads = NET_RIG_OFFLOADS, .pair_count = pairs};
	r->back->closed = &r->closed;
	for (uint16_t i = 0; i < pairs; i++) {
		int sv[2];

		rc = socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv);
		CHECK(rc == 0);
		r->back->b.fds[i] = sv[0];
		r->far[i] = sv[1];
	}
	c.iface_id = "eth0";
	c.queue_pairs = pairs;
	rc = net_create_on(&r->q[0].mem, &r->loop, &c, &r->back->b, &r->dev, &e);
	if (rc < 0)
		(void)fprintf(stderr, "# %s\n", e.msg);
	CHECK(rc == 0);
	net_rig_start(r, r->dev->features);
}

/* Rings of queue i in the memory of queue 0's driver. */
static void rig_rings(struct net_rig *r, unsigned i)
{
	struct driver *d = &r->q[i];

	if (i == 0)
		return;
	*d = (struct driver){.mem = r->q[0].mem, .ram = r->q[0].ram, .size = NET_RIG_QUEUE};
	d->desc = driver_alloc(&r->q[0], NET_RIG_QUEUE * sizeof(struct driver_desc), 16);
	d->avail = driver_alloc(&r->q[0], 6 + 2 * NET_RIG_QUEUE, 2);
	d->used = driver_alloc(&r->q[0], 6 + 8 * NET_RIG_QUEUE, 4);
}

void net_rig_start(struct net_rig *r, uint64_t features)
{
	uint32_t status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;

	driver_attach(&r->q[0], r->dev);
	virtio_dev_write_status(r->dev, 0);
	virtio_dev_write_status(r->dev, status);
	virtio_dev_write_features(r->dev, 0, (uint32_t)features);
	virtio_dev_write_features(r->dev, 1, (uint32_t)(features >> 32));
	status |= VIRTIO_STATUS_FEATURES_OK;
	virtio_dev_write_status(r->dev, status);
	for (uint16_t i = 0; i < r->dev->queue_count; i++) {
		struct vq *q = virtio_dev_queue_setup(r->dev, i);

		CHECK(q);
		rig_rings(r, i);
		q->st = driver_vq_state(&r->q[i]);
	}
	virtio_dev_write_status(r->dev, status | VIRTIO_STATUS_DRIVER_OK);
	CHECK(r->dev->activated);
	virtio_dev_notify(r->dev, 0); /* the kick of activate */
}

void net_rig_fini(struct net_rig *r)
{
	uint16_t pairs = r->back->b.pair_count;

	r->dev->ops->destroy(r->dev);
	CHECK(r->closed);
	for (uint16_t i = 0; i < pairs; i++)
		(void)close(r->far[i]);
	loop_fini(&r->loop);
	driver_fini(&r->q[0]);
}

int net_rig_turn(struct net_rig *r)
{
	struct epoll_event ev[8];
	int n = epoll_wait(r->loop.epoll_fd, ev, 8, 0);

	for (int i = 0; i < n; i++) {
		struct loop_source *s = ev[i].data.ptr;

		s->fn(s->ctx, ev[i].events);
	}
	return n;
}

uint64_t net_rig_post(struct net_rig *r, unsigned q, unsigned count, uint32_t len)
{
	uint64_t first = driver_alloc(&r->q[0], (uint64_t)count * len, 1);

	memset(driver_at(&r->q[0], first), 0xee, (size_t)count * len);
	for (unsigned i = 0; i < count; i++)
		(void)driver_chain(
			&r->q[q], &(struct driver_buf){first + (uint64_t)i * len, len, true}, 1);
	virtio_dev_notify(r->dev, (uint16_t)q);
	return first;
}

uint8_t net_rig_pattern(uint64_t off)
{
	return (uint8_t)(off ^ off >> 8 ^ off >> 11);
}

void net_rig_arrive(struct net_rig *r, unsigned pair, const struct net_header *h, uint32_t len)
{
	static unsigned char buf[NET_HEADER_SIZE + NET_FRAME_MAX + 16];
	ssize_t n;

	memset(buf, 0, NET_HEADER_SIZE);
	if (h)
		memcpy(buf, h, sizeof(*h));
	for (uint32_t i = 0; i < len; i++)
		buf[NET_HEADER_SIZE + i] = net_rig_pattern(i);
	n = send(r->far[pair], buf, NET_HEADER_SIZE + len, 0);
	CHECK(n == (ssize_t)(NET_HEADER_SIZE + len));
}

void net_rig_transmit(
	struct net_rig *r, const struct net_header *h, const void *frame, uint32_t len)
{
	uint64_t free = r->q[0].free;
	uint64_t head = driver_alloc(&r->q[0], sizeof(*h), 4);
	uint64_t data = driver_alloc(&r->q[0], len, 1);

	memcpy(driver_at(&r->q[0], head), h, sizeof(*h));
	memcpy(driver_at(&r->q[0], data), frame, len);
	(void)driver_chain(&r->q[NET_RIG_TX],
		(struct driver_buf[]){{head, sizeof(*h), false}, {data, len, false}}, 2);
	virtio_dev_notify(r->dev, NET_RIG_TX);
	r->q[0].free = free;
}

int net_rig_sent(struct net_rig *r, unsigned pair, void *buf, size_t size)
{
	return (int)recv(r->far[pair], buf, size, MSG_DONTWAIT);
}

const struct net_counters *net_rig_counters(const struct net_rig *r)
{
	return net_counters_get(r->dev);
}
