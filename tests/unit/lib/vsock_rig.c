/* SPDX-License-Identifier: Apache-2.0 */
/* A vsock device under test. See vsock_rig.h. */
#include "tests/unit/lib/vsock_rig.h"

#include "tests/unit/lib/cm.h"
#include "vmm/base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void ring_offer(struct vsock_rig *r, unsigned q, uint64_t at, uint32_t len, bool writable)
{
	struct rig_ring *g = &r->ring[q];
	uint16_t i = g->avail_idx % RIG_QUEUE;
	const struct driver_desc desc = {at, len, writable ? DESC_WRITE : 0, 0};

	memcpy(driver_at(&r->drv, g->desc + (uint64_t)i * sizeof(desc)), &desc, sizeof(desc));
	memcpy(driver_at(&r->drv, g->avail + 4 + 2ull * i), &i, sizeof(i));
	g->avail_idx++;
	__atomic_store_n(
		(uint16_t *)driver_at(&r->drv, g->avail + 2), g->avail_idx, __ATOMIC_RELEASE);
}

void vsock_rig_post(struct vsock_rig *r, uint32_t slot, uint32_t len)
{
	ring_offer(
		r, RIG_RX, r->rx_at + (uint64_t)slot * (RIG_RX_SIZE + VSOCK_HDR_SIZE), len, true);
}

void vsock_rig_start(struct vsock_rig *r, uint32_t rx_count)
{
	const uint64_t features =
		(r->plain ? DRIVER_FEATURES_PLAIN : DRIVER_FEATURES) | 1ull << VIRTIO_F_IN_ORDER;
	uint32_t status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;

	driver_attach(&r->drv, r->dev);
	r->kicks_seen = 0;
	r->rx_at = driver_alloc(&r->drv, (uint64_t)RIG_QUEUE * (RIG_RX_SIZE + VSOCK_HDR_SIZE), 16);
	r->tx_at = driver_alloc(&r->drv, RIG_TX_MAX, 16);
	virtio_dev_write_status(r->dev, 0);
	virtio_dev_write_status(r->dev, status);
	virtio_dev_write_features(r->dev, 0, (uint32_t)features);
	virtio_dev_write_features(r->dev, 1, (uint32_t)(features >> 32));
	status |= VIRTIO_STATUS_FEATURES_OK;
	virtio_dev_write_status(r->dev, status);
	for (unsigned i = 0; i < 3; i++) {
		struct rig_ring *g = &r->ring[i];
		struct vq *q = virtio_dev_queue_setup(r->dev, i);

		CHECK(q);
		*g = (struct rig_ring){
			.desc = driver_alloc(&r->drv, RIG_QUEUE * sizeof(struct driver_desc), 16),
			.avail = driver_alloc(&r->drv, 6 + 2 * RIG_QUEUE, 2),
			.used = driver_alloc(&r->drv, 6 + 8 * RIG_QUEUE, 4),
		};
		q->st = (struct vq_state){.desc = g->desc,
			.avail = g->avail,
			.used = g->used,
			.size = RIG_QUEUE,
			.ready = 1};
	}
	for (uint32_t i = 0; i < rx_count; i++)
		vsock_rig_post(r, i, RIG_RX_SIZE + VSOCK_HDR_SIZE);
	virtio_dev_write_status(r->dev, status | VIRTIO_STATUS_DRIVER_OK);
	CHECK(r->dev->activated);
	vsock_rig_turn(r);
}

void vsock_rig_init(struct vsock_rig *r)
{
	struct vsock_config c = {.guest_cid = RIG_CID};
	struct err e = {0};

	memset(r, 0, sizeof(*r));
	driver_init(&r->drv, RIG_QUEUE);
	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/test-vsock-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	(void)snprintf(r->path, sizeof(r->path), "%s/v", r->dir);
	assert_int_equal(loop_init(&r->loop, &e), 0);
	c.uds_path = r->path;
	if (vsock_create(&r->drv.mem, &r->loop, &c, &r->dev, &e) < 0)
		fail_msg("%s", e.msg);
	vsock_rig_start(r, RIG_RX_COUNT);
}

void vsock_rig_fini(struct vsock_rig *r)
{
	char command[96];

	r->dev->ops->destroy(r->dev);
	loop_fini(&r->loop);
	driver_fini(&r->drv);
	(void)snprintf(command, sizeof(command), "rm -rf %s", r->dir);
	assert_int_equal(system(command), 0);
}

void vsock_rig_turn(struct vsock_rig *r)
{
	struct epoll_event ev;

	for (r->events = 0; r->events < 100000; r->events++) {
		if (r->drv.kicks != r->kicks_seen) {
			r->kicks_seen = r->drv.kicks;
			virtio_dev_notify(r->dev, RIG_RX);
			virtio_dev_notify(r->dev, RIG_TX);
			continue;
		}
		if (epoll_wait(r->loop.epoll_fd, &ev, 1, 0) != 1)
			return;
		((struct loop_source *)ev.data.ptr)
			->fn(((struct loop_source *)ev.data.ptr)->ctx, ev.events);
	}
	fail_msg("the device never comes to rest");
}

struct vsock_hdr vsock_rig_hdr(uint16_t op, uint32_t guest_port, uint32_t host_port)
{
	return (struct vsock_hdr){
		.src_cid = RIG_CID,
		.dst_cid = VSOCK_CID_HOST,
		.src_port = guest_port,
		.dst_port = host_port,
		.type = VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = 0x40000,
	};
}

void vsock_rig_offer(struct vsock_rig *r, const struct vsock_hdr *h, const void *data, uint32_t len)
{
	uint64_t at = driver_alloc(&r->drv, sizeof(*h) + len, 16);

	memcpy(driver_at(&r->drv, at), h, sizeof(*h));
	memcpy((char *)driver_at(&r->drv, at) + sizeof(*h), data, len);
	ring_offer(r, RIG_TX, at, (uint32_t)sizeof(*h) + len, false);
}

void vsock_rig_send_raw(
	struct vsock_rig *r, const struct vsock_hdr *h, const void *data, uint32_t len)
{
	CHECK(sizeof(*h) + len <= RIG_TX_MAX);
	memcpy(driver_at(&r->drv, r->tx_at), h, sizeof(*h));
	if (len > 0)
		memcpy((char *)driver_at(&r->drv, r->tx_at) + sizeof(*h), data, len);
	ring_offer(r, RIG_TX, r->tx_at, (uint32_t)sizeof(*h) + len, false);
	virtio_dev_notify(r->dev, RIG_TX);
}

void vsock_rig_send(struct vsock_rig *r, uint16_t op, uint32_t guest_port, uint32_t host_port,
	const void *data, uint32_t len)
{
	struct vsock_hdr h = vsock_rig_hdr(op, guest_port, host_port);

	h.len = len;
	vsock_rig_send_raw(r, &h, data, len);
}

bool vsock_rig_recv(struct vsock_rig *r, struct vsock_hdr *ret, const unsigned char **ret_data)
{
	struct rig_ring *g = &r->ring[RIG_RX];
	static unsigned char data[RIG_RX_SIZE];
	struct driver_used used;
	struct driver_desc desc;
	const unsigned char *at;

	vsock_rig_turn(r);
	if (__atomic_load_n((uint16_t *)driver_at(&r->drv, g->used + 2), __ATOMIC_ACQUIRE) ==
		g->used_seen)
		return false;
	memcpy(&used, driver_at(&r->drv, g->used + 4 + 8ull * (g->used_seen++ % RIG_QUEUE)),
		sizeof(used));
	memcpy(&desc, driver_at(&r->drv, g->desc + used.id * sizeof(desc)), sizeof(desc));
	at = driver_at(&r->drv, desc.addr);
	assert_in_range(used.len, sizeof(*ret), desc.len);
	memcpy(ret, at, sizeof(*ret));
	assert_int_equal(used.len, sizeof(*ret) + ret->len);
	assert_int_equal(ret->src_cid, VSOCK_CID_HOST);
	assert_int_equal(ret->dst_cid, RIG_CID);
	assert_int_equal(ret->type, VSOCK_TYPE_STREAM);
	memcpy(data, at + sizeof(*ret), ret->len);
	if (ret_data)
		*ret_data = data;
	if (!r->hold_rx) {
		ring_offer(r, RIG_RX, desc.addr, desc.len, true);
		virtio_dev_notify(r->dev, RIG_RX);
	}
	return true;
}

struct vsock_hdr vsock_rig_expect(struct vsock_rig *r, uint16_t op)
{
	struct vsock_hdr h = {0};

	if (!vsock_rig_recv(r, &h, NULL))
		fail_msg("no packet, but op %u is due", op);
	assert_int_equal(h.op, op);
	return h;
}

void vsock_rig_expect_none(struct vsock_rig *r)
{
	struct vsock_hdr h;

	if (vsock_rig_recv(r, &h, NULL))
		fail_msg("a packet of op %u for port %u", h.op, h.dst_port);
}

/* ---- the host's side ---- */

static int rig_socket(void)
{
	const struct timeval limit = {.tv_sec = 2};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	return fd;
}

int vsock_rig_connect(struct vsock_rig *r)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = rig_socket();

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", r->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	vsock_rig_turn(r);
	return fd;
}

int vsock_rig_listen(struct vsock_rig *r, uint32_t port)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = rig_socket();

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s_%u", r->path, port);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1024), 0);
	return fd;
}

int vsock_rig_open(struct vsock_rig *r, uint32_t guest_port, uint32_t *ret_port)
{
	char line[64];
	int fd = vsock_rig_connect(r);
	int len = snprintf(line, sizeof(line), "CONNECT %u\n", guest_port);
	struct vsock_hdr h;

	assert_int_equal(send(fd, line, (size_t)len, 0), len);
	h = vsock_rig_expect(r, VSOCK_OP_REQUEST);
	assert_int_equal(h.dst_port, guest_port);
	assert_in_range(h.src_port, VSOCK_PORT_FIRST, VSOCK_PORT_FIRST + VSOCK_PORT_COUNT - 1);
	vsock_rig_send(r, VSOCK_OP_RESPONSE, guest_port, h.src_port, NULL, 0);
	len = snprintf(line, sizeof(line), "OK %u\n", h.src_port);
	rig_expect_bytes(fd, line, (size_t)len);
	*ret_port = h.src_port;
	return fd;
}

int vsock_rig_open_guest(struct vsock_rig *r, uint32_t guest_port, uint32_t host_port)
{
	int listener = vsock_rig_listen(r, host_port), fd;

	vsock_rig_send(r, VSOCK_OP_REQUEST, guest_port, host_port, NULL, 0);
	(void)vsock_rig_expect(r, VSOCK_OP_RESPONSE);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	(void)close(listener);
	return fd;
}

unsigned char rig_pattern(uint32_t i)
{
	return (unsigned char)(i * 7 + i / 251);
}

uint32_t vsock_rig_fill(struct vsock_rig *r, uint32_t guest_port, uint32_t host_port)
{
	unsigned char data[8192];
	uint32_t total = 0, told = 0;
	struct vsock_hdr h;

	while (total + sizeof(data) - told <= VSOCK_BUFFER_SIZE) {
		for (uint32_t i = 0; i < sizeof(data); i++)
			data[i] = rig_pattern(total + i);
		vsock_rig_send(r, VSOCK_OP_RW, guest_port, host_port, data, sizeof(data));
		total += (uint32_t)sizeof(data);
		while (vsock_rig_recv(r, &h, NULL))
			told = h.fwd_cnt;
		assert_in_range(total, 0, 1 << 20);
	}
	assert_in_range(total - told, VSOCK_BUFFER_SIZE - sizeof(data) + 1, VSOCK_BUFFER_SIZE);
	return total;
}

struct vsock_muxer *vsock_rig_muxer(struct vsock_rig *r)
{
	const char *counters = (const char *)vsock_counters_get(r->dev);

	return (struct vsock_muxer *)((uintptr_t)counters - offsetof(struct vsock_muxer, counters));
}

bool rig_at_end(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void rig_expect_bytes(int fd, const void *data, size_t len)
{
	static char buf[1 << 20];

	assert_in_range(len, 0, sizeof(buf));
	if (len == 0) {
		assert_int_equal(recv(fd, buf, 1, MSG_PEEK | MSG_DONTWAIT), -1);
		return;
	}
	assert_int_equal(recv(fd, buf, len, MSG_WAITALL), len);
	assert_memory_equal(buf, data, len);
}

struct vsock_table *vsock_rig_table(struct vsock_rig *r)
{
	return &vsock_rig_muxer(r)->table;
}

const struct vsock_counters *vsock_rig_counters(const struct vsock_rig *r)
{
	return vsock_counters_get(r->dev);
}
