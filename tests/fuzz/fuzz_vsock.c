/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock with rx, tx and event queues of any bytes: memory starts as three equal sets of rings, see
 * virtio_target.h, the rx one at 0, tx at 0x1000, event at 0x2000. Port 1 of the host has a listener
 * whose connections are read, written or closed as the first byte says. Whatever the driver does, the
 * device comes to rest, and a reset ends every connection.
 */
#include "tests/fuzz/virtio_target.h"
#include "virtio/vsock.h"
#include "virtio/vsock_unix.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop loop;
static struct virtio_dev *dev;
static int listener;
static char path[64], host_path[80];

static void remove_sockets(void)
{
	(void)unlink(path);
	(void)unlink(host_path);
}

static void device_create(void)
{
	const struct vsock_config c = {.guest_cid = 3, .uds_path = path};
	struct err e;

	(void)snprintf(path, sizeof(path), "/tmp/fuzz-vsock-%d", (int)getpid());
	(void)snprintf(host_path, sizeof(host_path), "%s_1", path);
	TARGET_REQUIRE(loop_init(&loop, &e) == 0);
	TARGET_REQUIRE(vsock_create(&target_mem, &loop, &c, &dev, &e) == 0);
	listener = vsock_unix_listen(host_path, &e);
	TARGET_REQUIRE(listener >= 0 && atexit(remove_sockets) == 0);
}

static void turn(void)
{
	struct epoll_event ev;

	for (uint16_t q = 0; q < 3; q++)
		virtio_dev_notify(dev, q);
	for (int i = 0; epoll_wait(loop.epoll_fd, &ev, 1, 0) == 1; i++) {
		TARGET_REQUIRE(i < 10000);
		((struct loop_source *)ev.data.ptr)
			->fn(((struct loop_source *)ev.data.ptr)->ctx, ev.events);
	}
}

/* The host's side of what the guest has opened. */
static void host_act(unsigned what)
{
	int fd = accept(listener, NULL, NULL);
	char buf[4096] = {0};

	if (fd < 0)
		return;
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	if (what & 1)
		(void)!send(fd, buf, sizeof(buf), MSG_NOSIGNAL);
	if (what & 2)
		(void)shutdown(fd, SHUT_WR);
	turn();
	if (what & 4)
		(void)!read(fd, buf, sizeof(buf));
	turn();
	(void)close(fd);
}

static void start(unsigned flags)
{
	uint32_t status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
	uint32_t features = (flags & 3u) << VIRTIO_F_INDIRECT_DESC;

	virtio_dev_write_status(dev, 0);
	virtio_dev_write_status(dev, status);
	virtio_dev_write_features(dev, 0, features);
	virtio_dev_write_features(dev, 1, 1);
	virtio_dev_write_status(dev, status | VIRTIO_STATUS_FEATURES_OK);
	for (uint32_t q = 0; q < 3; q++) {
		struct vq_state st = target_rings();

		st.desc += 0x1000ull * q;
		st.avail += 0x1000ull * q;
		st.used += 0x1000ull * q;
		virtio_dev_queue_setup(dev, q)->st = st;
	}
	virtio_dev_write_status(dev, status | VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK);
	TARGET_REQUIRE(dev->activated);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vsock_counters *counters;

	if (size < 1)
		return -1;
	target_fill(data + 1, size - 1);
	if (!dev)
		device_create();
	counters = vsock_counters_get(dev);
	start(data[0] >> 6);
	turn();
	for (int i = 0; i < 4; i++)
		host_act(data[0] & 7u);
	turn();
	virtio_dev_write_status(dev, 0);
	turn();
	TARGET_REQUIRE(counters->conns_added == counters->conns_removed);
	return 0;
}
