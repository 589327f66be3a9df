/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network driver that misbehaves in many ways. After each, the entropy device goes on, the
 * network device asks for a reset where a ring rule was broken, and after a reset frames flow.
 */
#include "rt/net.h"

static struct net n;
static struct net_header header;
static uint8_t frame[2048];

static void send_parts(uint32_t header_len, uint32_t frame_len)
{
	vq_set(&n.tx, 0, &header, header_len, VD_NEXT, 1);
	vq_set(&n.tx, 1, frame, frame_len, 0, 0);
	vq_push(&n.tx, 0);
	vq_kick(&n.tx);
}

static void short_header(uint64_t len)
{
	vq_set(&n.tx, 0, &header, (uint32_t)len, 0, 0);
	vq_push(&n.tx, 0);
	vq_kick(&n.tx);
}

static void short_frame(uint64_t len)
{
	send_parts(sizeof(header), (uint32_t)len);
}

static void bad_header(uint64_t which)
{
	static const struct net_header bad[] = {
		{.flags = 1, .csum_start = 1499, .csum_offset = 1},
		{.flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff},
		{.gso_type = 1, .gso_size = 100},
		{.flags = 1, .gso_type = 1, .gso_size = 0},
		{.flags = 1, .gso_type = 0xff, .gso_size = 1},
		{.hdr_len = 0xffff},
		{.flags = 0xff, .gso_type = 0x80, .num_buffers = 0xffff},
	};

	header = bad[which];
	send_parts(sizeof(header), 1500);
}

/* 62 descriptors of 1200 bytes: more than any frame. */
static void giant_frame(uint64_t arg)
{
	(void)arg;
	vq_set(&n.tx, 0, &header, sizeof(header), VD_NEXT, 1);
	for (uint16_t i = 1; i < NET_QUEUE; i++)
		vq_set(&n.tx, i, frame, 1200, i + 1 < NET_QUEUE ? VD_NEXT : 0, (uint16_t)(i + 1));
	vq_push(&n.tx, 0);
	vq_kick(&n.tx);
}

static void writable_frame(uint64_t arg)
{
	(void)arg;
	vq_set(&n.tx, 0, frame, sizeof(frame), VD_WRITE, 0);
	vq_push(&n.tx, 0);
	vq_kick(&n.tx);
}

static void readable_buffers(uint64_t arg)
{
	(void)arg;
	for (uint16_t i = 0; i < 4; i++) {
		vq_set(&n.rx, i, frame, 1000, 0, 0);
		vq_push(&n.rx, i);
	}
	vq_kick(&n.rx);
}

static struct vq *queue(uint64_t which)
{
	return which == 0 ? &n.rx : &n.tx;
}

static void index_jump(uint64_t which)
{
	struct vq *q = queue(which);

	__atomic_store_n(
		&q->avail->idx, (uint16_t)(q->avail->idx + NET_QUEUE + 1), __ATOMIC_RELEASE);
	vq_kick(q);
}

/* More receive buffers are offered than the queue has: the ring was full already. */
static void too_many_buffers(uint64_t arg)
{
	(void)arg;
	vq_set(&n.rx, 0, frame, 100, VD_WRITE, 0);
	vq_push(&n.rx, 0);
	vq_kick(&n.rx);
}

static void loop(uint64_t arg)
{
	(void)arg;
	vq_set(&n.tx, 0, &header, sizeof(header), VD_NEXT, 1);
	vq_set(&n.tx, 1, frame, 100, VD_NEXT, 0);
	vq_push(&n.tx, 0);
	vq_kick(&n.tx);
}

static void outside_memory(uint64_t addr)
{
	n.tx.desc[0] = (struct vq_desc){addr, 1000, 0, 0};
	vq_push(&n.tx, 0);
	vq_kick(&n.tx);
}

static void head_past_queue(uint64_t head)
{
	vq_push(&n.tx, (uint16_t)head);
	vq_kick(&n.tx);
}

static void next_past_queue(uint64_t next)
{
	vq_set(&n.tx, 0, &header, sizeof(header), VD_NEXT, (uint16_t)next);
	vq_push(&n.tx, 0);
	vq_kick(&n.tx);
}

static void unknown_queues(uint64_t arg)
{
	(void)arg;
	for (uint32_t q = 2; q < 70000; q += 997)
		vr_write(n.dev, VR_QUEUE_NOTIFY, q);
}

static void kicks_without_frames(uint64_t arg)
{
	(void)arg;
	for (unsigned i = 0; i < 500; i++) {
		vq_kick(&n.tx);
		vq_kick(&n.rx);
	}
}

/* The host's answers are written over our own used ring: our loss only. */
static void buffer_over_the_ring(uint64_t arg)
{
	(void)arg;
	for (unsigned i = 0; i < n.rx.size; i++)
		n.rx.desc[i].addr = (uint64_t)n.rx.used;
	send_parts(sizeof(header), 60);
}

static void queue_stopped(uint64_t which)
{
	vr_write(n.dev, VR_QUEUE_SEL, (uint32_t)which);
	vr_write(n.dev, VR_QUEUE_READY, 0);
	send_parts(sizeof(header), 60);
	vq_kick(&n.rx);
}

static void reset_midflight(uint64_t arg)
{
	(void)arg;
	for (unsigned i = 0; i < 20; i++) {
		send_parts(sizeof(header), 1500);
		vr_write(n.dev, VR_STATUS, 0);
		net_start(&n, VF_INDIRECT | VF_NET_MRG_RXBUF, 1536);
	}
}

static void write_config(uint64_t arg)
{
	(void)arg;
	for (unsigned off = 0; off < 32; off += 4)
		vr_write(n.dev, VR_CONFIG + off, 0xffffffff);
}

static const struct {
	const char *name;
	void (*act)(uint64_t arg);
	uint64_t arg;
	bool breaks;
} cases[] = {
	{"nothing but a header", short_header, sizeof(struct net_header), false},
	{"a header of 11 bytes", short_header, 11, false},
	{"a header of no bytes", short_header, 0, false},
	{"a frame of 13 bytes", short_frame, 13, false},
	{"a frame of no bytes", short_frame, 0, false},
	{"a frame of 74 KB", giant_frame, 0, false},
	{"a frame in a writable buffer", writable_frame, 0, false},
	{"a checksum past the end", bad_header, 0, false},
	{"a checksum whose place wraps", bad_header, 1, false},
	{"segmentation that was not accepted", bad_header, 2, false},
	{"segments of no bytes", bad_header, 3, false},
	{"an unknown segmentation", bad_header, 4, false},
	{"a header length past the end", bad_header, 5, false},
	{"unknown flags", bad_header, 6, false},
	{"transmit index jumps", index_jump, 1, true},
	{"receive index jumps", index_jump, 0, false},
	{"more buffers than the ring holds", too_many_buffers, 0, false},
	{"readable receive buffers", readable_buffers, 0, false},
	{"a loop", loop, 0, true},
	{"a frame outside memory", outside_memory, 1ull << 40, true},
	{"a frame whose end wraps", outside_memory, ~0ull - 100, true},
	{"a frame in the device window", outside_memory, 0xd0000000, true},
	{"a head past the queue", head_past_queue, NET_QUEUE, true},
	{"a next past the queue", next_past_queue, NET_QUEUE, true},
	{"kicks of unknown queues", unknown_queues, 0, false},
	{"kicks without frames", kicks_without_frames, 0, false},
	{"receive buffers over the used ring", buffer_over_the_ring, 0, false},
	{"receive queue stopped", queue_stopped, 0, false},
	{"transmit queue stopped", queue_stopped, 1, false},
	{"resets with frames under way", reset_midflight, 0, false},
	{"writes to configuration space", write_config, 0, false},
};

int payload_main(const struct payload_boot *boot)
{
	struct vdev *rng = vdev_need(VIRTIO_ID_RNG, 0);
	struct vq entropy;

	(void)boot;
	vdev_start(rng, &entropy, 0, 16);
	for (unsigned i = 0; i < NELEM(cases); i++) {
		struct patience p = patience_s(1);

		print("case %s\n", cases[i].name);
		header = (struct net_header){0};
		net_start(&n, VF_INDIRECT | VF_NET_MRG_RXBUF | VF_NET_CSUM, 1536);
		cases[i].act(cases[i].arg);
		while (cases[i].breaks && (vdev_status(n.dev) & VS_NEEDS_RESET) == 0)
			EXPECT(patient(&p), "%s: the device does not ask for a reset",
				cases[i].name);
		rng_check(&entropy);
		net_start(&n, VF_NET_MRG_RXBUF, 1536);
		net_arp(&n);
		net_ping(&n, 1000);
		EXPECT((vdev_status(n.dev) & VS_NEEDS_RESET) == 0, "broken by good frames");
	}
	return 0;
}
