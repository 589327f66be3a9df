/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receive and transmit rings of any bytes. What is sent is bounded and has a sane header, frames
 * that arrive stay inside the buffers given, and nothing is given back that was not taken.
 * Input: frame length / 256, features and count of frames, then guest memory; the transmit
 * queue's rings are at 0x200, 0x300 and 0x340.
 */
#include "tests/fuzz/virtio_target.h"
#include "virtio/net_backend.h"

#include <errno.h>
#include <sys/eventfd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t frame_len, frames;

static ssize_t fuzz_receive(
	struct net_backend *b, uint16_t pair, const struct iovec *iov, int count)
{
	size_t left = NET_HEADER_SIZE + frame_len, got = 0;

	(void)b;
	TARGET_REQUIRE(pair == 0 && count >= 2 && count <= 1024);
	if (frames == 0)
		return -EAGAIN;
	frames--;
	for (int i = 0; i < count && left > 0; i++) {
		size_t n = MIN(left, iov[i].iov_len);

		memset(iov[i].iov_base, 0, n);
		left -= n;
		got += n;
	}
	return (ssize_t)got;
}

static int fuzz_send(struct net_backend *b, uint16_t pair, const struct iovec *iov, int count)
{
	struct net_header h;
	size_t total = 0;

	(void)b;
	TARGET_REQUIRE(pair == 0 && count >= 1);
	memcpy(&h, iov[0].iov_base, sizeof(h));
	for (int i = 0; i < count; i++)
		total += iov[i].iov_len;
	TARGET_REQUIRE(total >= 26 && total <= NET_HEADER_SIZE + NET_FRAME_MAX);
	TARGET_REQUIRE(h.flags <= 1 && h.gso_type <= 5 && h.num_buffers == 0);
	TARGET_REQUIRE(!h.flags || 14u + h.csum_start + h.csum_offset <= total);
	return total % 7 == 0 ? -EINVAL : 0;
}

static int fuzz_accept(struct net_backend *b, uint32_t offloads)
{
	(void)b;
	return offloads < 0x20 ? 0 : -EINVAL;
}

static int fuzz_pairs(struct net_backend *b, uint16_t count)
{
	(void)b;
	return count == 1 ? 0 : -EINVAL;
}

static const struct net_backend_ops fuzz_ops = {.name = "fuzz",
	.receive = fuzz_receive,
	.send = fuzz_send,
	.set_offloads = fuzz_accept,
	.set_pairs = fuzz_pairs};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct net_backend b = {.ops = &fuzz_ops, .offloads = 0x1f, .pair_count = 1};
	static const struct net_config c = {.iface_id = "fuzz", .queue_pairs = 1};
	static struct virtio_dev *d;
	static struct loop loop;
	uint64_t at = TARGET_RAM_START + 0x200;
	struct err e;

	if (size < 2)
		return -1;
	target_fill(data + 2, size - 2);
	if (!d) {
		b.fds[0] = eventfd(0, EFD_CLOEXEC);
		TARGET_REQUIRE(loop_init(&loop, &e) == 0);
		TARGET_REQUIRE(net_create_on(&target_mem, &loop, &c, &b, &d, &e) == 0);
	}
	frame_len = data[0] * 256u + 60;
	frames = data[1] & 15;
	target_start(d, data[1] & 16 ? d->features : (data[1] & 32u) << 10);
	d->vqs[1].st = (struct vq_state){.desc = at,
		.avail = at + 0x100,
		.used = at + 0x140,
		.size = TARGET_QUEUE,
		.ready = 1};
	TARGET_REQUIRE(vq_enable(&d->vqs[1], d->driver_features) == 0);
	for (uint16_t i = 0; i < 6; i++)
		virtio_dev_notify(d, i % 2);

	TARGET_REQUIRE(d->vqs[1].st.next_avail == d->vqs[1].st.next_used);
	d->ops->drain(d);
	TARGET_REQUIRE(d->vqs[0].st.next_avail == d->vqs[0].st.next_used);
	return 0;
}
