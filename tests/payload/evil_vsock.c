/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets and buffers that no honest vsock driver would give. After each, block and entropy devices
 * go on, and after a reset the vsock device answers again: a host port without listener is refused.
 */
#include "rt/vsock.h"

#define QUEUE 16

static struct vsock sock;
static uint8_t big[0x20000];
static struct vsock_hdr packets[32];

static void post(struct vsock_hdr h, const void *data, uint32_t len)
{
	packets[0] = h;
	vsock_post(&sock, 0, &packets[0], sizeof(h), data, len);
	vq_kick(&sock.tx);
}

static void alive(void)
{
	struct vsock_hdr h = vsock_hdr(&sock, VSOCK_REQUEST, 77, 1);

	vsock_send(&sock, &h, NULL, 0);
	h = vsock_expect(&sock, VSOCK_RST);
	EXPECT(h.src_port == 1 && h.dst_port == 77, "an RST for port %u", h.dst_port);
}

/* A connection to the host's listener on port 6000, if the host has one: then credit matters. */
static bool live_conn(uint32_t port)
{
	struct vsock_hdr h = vsock_hdr(&sock, VSOCK_REQUEST, port, 6000);
	struct patience p = patience_s(5);

	vsock_send(&sock, &h, NULL, 0);
	while (patient(&p)) {
		struct vsock_packet *packet = vsock_poll(&sock);
		uint16_t op;

		if (packet == NULL)
			continue;
		op = packet->h.op;
		vsock_done(&sock, packet);
		return op == VSOCK_RESPONSE;
	}
	fail("a request is not answered");
}

static void bad_op(uint64_t op)
{
	post(vsock_hdr(&sock, (uint16_t)op, 5, 6), NULL, 0);
	(void)vsock_expect(&sock, VSOCK_RST);
}

static void bad_op_live(uint64_t op)
{
	EXPECT(live_conn(9), "the host's listener refuses");
	post(vsock_hdr(&sock, (uint16_t)op, 9, 6000), NULL, 0);
	(void)vsock_expect(&sock, VSOCK_RST);
}

static void wrong_src_cid(uint64_t cid)
{
	struct vsock_hdr h = vsock_hdr(&sock, VSOCK_REQUEST, 5, 6);

	h.src_cid = cid;
	post(h, NULL, 0);
}

static void wrong_dst_cid(uint64_t cid)
{
	struct vsock_hdr h = vsock_hdr(&sock, VSOCK_REQUEST, 5, 6);

	h.dst_cid = cid;
	post(h, NULL, 0);
}

static void wrong_type(uint64_t type)
{
	struct vsock_hdr h = vsock_hdr(&sock, VSOCK_RW, 5, 6);

	h.type = (uint16_t)type;
	post(h, NULL, 0);
	(void)vsock_expect(&sock, VSOCK_RST);
}

static void lying_length(uint64_t len)
{
	struct vsock_hdr h = vsock_hdr(&sock, VSOCK_RW, 9, 6000);

	EXPECT(live_conn(9), "the host's listener refuses");
	h.len = (uint32_t)len;
	post(h, big, 100);
}

static void short_header(uint64_t len)
{
	packets[0] = vsock_hdr(&sock, VSOCK_REQUEST, 5, 6);
	vq_set(&sock.tx, 0, &packets[0], (uint32_t)len, 0, 0);
	vq_push(&sock.tx, 0);
	vq_kick(&sock.tx);
}

static void over_credit(uint64_t len)
{
	struct vsock_hdr h = vsock_hdr(&sock, VSOCK_RW, 9, 6000);

	EXPECT(live_conn(9), "the host's listener refuses");
	h.len = (uint32_t)len;
	post(h, big, (uint32_t)len);
	(void)vsock_expect(&sock, VSOCK_RST);
}

static void lying_credit(uint64_t fwd_cnt)
{
	struct vsock_hdr h = vsock_hdr(&sock, VSOCK_CREDIT_UPDATE, 9, 6000);

	EXPECT(live_conn(9), "the host's listener refuses");
	h.fwd_cnt = (uint32_t)fwd_cnt;
	h.buf_alloc = UINT32_MAX;
	post(h, NULL, 0);
}

static void stray(uint64_t op)
{
	struct vsock_hdr h = vsock_hdr(&sock, (uint16_t)op, 123, 456);

	h.len = 100;
	post(h, big, 100);
	if (op != VSOCK_RST)
		(void)vsock_expect(&sock, VSOCK_RST);
}

static void storm(uint64_t op)
{
	struct vq_used_elem e;

	for (uint32_t round = 0; round < 200; round++) {
		for (uint16_t i = 0; i < (uint16_t)NELEM(packets); i++) {
			packets[i] = vsock_hdr(&sock, (uint16_t)op, round * 100 + i, 7);
			vsock_post(&sock, i, &packets[i], sizeof(packets[i]), NULL, 0);
		}
		vq_kick(&sock.tx);
		for (uint16_t i = 0; i < (uint16_t)NELEM(packets); i++) {
			(void)vsock_expect(&sock, VSOCK_RST);
			EXPECT(vq_pop(&sock.tx, &e), "packet %u of round %u is not taken", i,
				round);
		}
	}
}

/* The answers have nowhere to go: the device may stop taking packets, and nothing else. */
static void storm_without_buffers(uint64_t arg)
{
	(void)arg;
	vdev_reset(sock.dev);
	vdev_negotiate(sock.dev, 0);
	vq_init(&sock.rx, sock.dev, 0, QUEUE);
	vq_init(&sock.tx, sock.dev, 1, 64);
	vq_init(&sock.event, sock.dev, 2, QUEUE);
	vdev_driver_ok(sock.dev);
	for (uint32_t i = 0; i < 2000; i++) {
		packets[i % 32] = vsock_hdr(&sock, VSOCK_REQUEST, i, 7);
		vsock_post(
			&sock, (uint16_t)(i % 32), &packets[i % 32], sizeof(packets[0]), NULL, 0);
		if (i % 32 == 31) {
			struct patience p = patience_ticks(3000000000ull);

			vq_kick(&sock.tx);
			while (sock.tx.avail->idx != *(volatile uint16_t *)&sock.tx.used->idx)
				if (!patient(&p))
					return;
		}
	}
	fail("all of 2000 requests were taken, though no answer could be given");
}

static void shutdown_twice(uint64_t flags)
{
	struct vsock_hdr h = vsock_hdr(&sock, VSOCK_SHUTDOWN, 9, 6000);

	EXPECT(live_conn(9), "the host's listener refuses");
	h.flags = (uint32_t)flags;
	vsock_send(&sock, &h, NULL, 0);
	vsock_send(&sock, &h, NULL, 0);
	h.flags = UINT32_MAX;
	vsock_send(&sock, &h, NULL, 0);
	vsock_send(&sock, &h, NULL, 0);
	(void)vsock_expect(&sock, VSOCK_RST);
}

static void data_after_shutdown(uint64_t arg)
{
	struct vsock_hdr h = vsock_hdr(&sock, VSOCK_SHUTDOWN, 9, 6000);

	(void)arg;
	EXPECT(live_conn(9), "the host's listener refuses");
	h.flags = 2;
	vsock_send(&sock, &h, NULL, 0);
	h = vsock_hdr(&sock, VSOCK_RW, 9, 6000);
	h.len = 1;
	vsock_send(&sock, &h, big, 1);
	(void)vsock_expect(&sock, VSOCK_RST);
}

static void twice_the_same_port(uint64_t arg)
{
	(void)arg;
	EXPECT(live_conn(9), "the host's listener refuses");
	EXPECT(!live_conn(9), "a connection is open twice");
}

/* A reset of the device with connections open and packets on their way. */
static void reset_midway(uint64_t count)
{
	for (uint32_t i = 0; i < count; i++)
		EXPECT(live_conn(100 + i), "the host's listener refuses");
	post(vsock_hdr(&sock, VSOCK_RW, 100, 6000), NULL, 0);
}

static void too_many(uint64_t count)
{
	uint32_t open = 0;

	for (uint32_t i = 0; i < count; i++)
		open += live_conn(1000 + i) ? 1 : 0;
	EXPECT(open > 500 && open <= 1023, "%u connections are open", open);
}

/* From here on the driver breaks the ring's rules, and the device must say so. */
static void writable_packet(uint64_t arg)
{
	(void)arg;
	vq_set(&sock.tx, 0, big, 64, VD_WRITE, 0);
	vq_push(&sock.tx, 0);
	vq_kick(&sock.tx);
}

static void rx_buffer_too_small(uint64_t len)
{
	vdev_negotiate(sock.dev, 0);
	vq_init(&sock.rx, sock.dev, 0, QUEUE);
	vq_init(&sock.tx, sock.dev, 1, QUEUE);
	vq_init(&sock.event, sock.dev, 2, QUEUE);
	vdev_driver_ok(sock.dev);
	vq_set(&sock.rx, 0, big, (uint32_t)len, VD_WRITE, 0);
	vq_push(&sock.rx, 0);
	post(vsock_hdr(&sock, VSOCK_REQUEST, 5, 6), NULL, 0);
	struct patience p = patience_s(2);

	while ((vdev_status(sock.dev) & VS_NEEDS_RESET) == 0)
		EXPECT(patient(&p), "a receive buffer of %lu bytes is taken", len);
}

static void event_queue_kicked(uint64_t arg)
{
	(void)arg;
	vq_set(&sock.event, 0, big, 8, VD_WRITE, 0);
	vq_push(&sock.event, 0);
	for (unsigned i = 0; i < 1000; i++)
		vq_kick(&sock.event);
}

static void queues_kicked_for_nothing(uint64_t arg)
{
	(void)arg;
	for (unsigned i = 0; i < 1000; i++) {
		vq_kick(&sock.rx);
		vq_kick(&sock.tx);
	}
}

static const struct {
	const char *name;
	void (*act)(uint64_t arg);
	uint64_t arg;
} cases[] = {
	{"op 0", bad_op, 0},
	{"op 8", bad_op, 8},
	{"op 65535", bad_op, 65535},
	{"op 0 on a connection", bad_op_live, 0},
	{"op 9 on a connection", bad_op_live, 9},
	{"a response on a connection", bad_op_live, VSOCK_RESPONSE},
	{"another guest's address", wrong_src_cid, 4},
	{"the host's address as our own", wrong_src_cid, 2},
	{"high bits in our address", wrong_src_cid, 1ull << 32 | 3},
	{"to another guest", wrong_dst_cid, 4},
	{"to the hypervisor", wrong_dst_cid, 0},
	{"to everybody", wrong_dst_cid, UINT64_MAX},
	{"type 0", wrong_type, 0},
	{"type 2, seqpacket, which is not offered", wrong_type, 2},
	{"a length one beyond the buffer", lying_length, 101},
	{"a length of 4 GiB", lying_length, UINT32_MAX},
	{"a header of 43 bytes", short_header, 43},
	{"a header of 1 byte", short_header, 1},
	{"a header of no bytes", short_header, 0},
	{"one byte beyond the credit", over_credit, 0x10001},
	{"twice the credit", over_credit, 0x20000},
	{"credit for bytes never sent", lying_credit, 1u << 31},
	{"data on no connection", stray, VSOCK_RW},
	{"a response on no connection", stray, VSOCK_RESPONSE},
	{"a reset on no connection", stray, VSOCK_RST},
	{"a credit request on no connection", stray, VSOCK_CREDIT_REQUEST},
	{"a storm of requests", storm, VSOCK_REQUEST},
	{"a storm of strays", storm, VSOCK_RW},
	{"a storm without receive buffers", storm_without_buffers, 0},
	{"shutdown twice", shutdown_twice, 3},
	{"half a shutdown twice", shutdown_twice, 1},
	{"data after shutdown", data_after_shutdown, 0},
	{"two requests for one connection", twice_the_same_port, 0},
	{"reset with connections open", reset_midway, 20},
	{"more connections than there are", too_many, 1100},
	{"a writable packet", writable_packet, 0},
	{"a receive buffer of 44 bytes", rx_buffer_too_small, 44},
	{"a receive buffer of no bytes", rx_buffer_too_small, 0},
	{"kicks of the event queue", event_queue_kicked, 0},
	{"kicks for nothing", queues_kicked_for_nothing, 0},
};

int payload_main(const struct payload_boot *boot)
{
	static struct vq blk, rng;

	(void)boot;
	vdev_start(vdev_need(VIRTIO_ID_BLK, 0), &blk, 0, QUEUE);
	vdev_start(vdev_need(VIRTIO_ID_RNG, 0), &rng, 0, QUEUE);
	for (unsigned i = 0; i < NELEM(cases); i++) {
		print("case %s\n", cases[i].name);
		vsock_start(&sock, VF_INDIRECT);
		alive();
		cases[i].act(cases[i].arg);
		blk_check_pattern(&blk, i, 1);
		rng_check(&rng);
	}
	vsock_start(&sock, 0);
	alive();
	return 0;
}
