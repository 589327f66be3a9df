/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load of bench/vsock: round trips of 64 bytes, and a stream each way in packets of 4 KiB, with what
 * bench/vsock_peer serves on the host.
 *
 *   payload.ms=N      length of each measurement, if the TSC runs at 3 GHz (1000)
 *   payload.strict=1  fails if there is an interrupt or a kick per packet, or more, under load
 */
#include "rt/load.h"
#include "rt/vsock.h"

#define TX_COUNT  32u
#define RX_COUNT  128u
#define WINDOW    0x40000u /* what the host may send us before we say more */
#define PING      64u
#define HOST_ECHO 6000u

static struct vsock sock; /* only its device and address are used */
static struct load_queue rx, tx;
static struct load_queue *const both[] = {&rx, &tx};
static struct vsock_packet *rx_packets, *tx_packets;
static uint8_t free_slots[TX_COUNT];
static unsigned free_count;
static uint64_t span; /* ticks of a measurement */

static struct {
	uint32_t port, host_port;
	bool open;
	uint32_t received, told;                 /* bytes from the host */
	uint32_t sent, host_buf_alloc, host_fwd; /* bytes to it, its credit */
} conn;

static void give(uint16_t i)
{
	vq_set(&rx.q, i, &rx_packets[i], sizeof(rx_packets[i]), VD_WRITE, 0);
	load_push(&rx, i);
}

static void reclaim(void)
{
	struct vq_used_elem e;

	while (load_pop(&tx, &e)) {
		EXPECT(e.id < TX_COUNT, "used descriptor %u does not exist", e.id);
		free_slots[free_count++] = (uint8_t)e.id;
	}
}

static void send(uint16_t op, uint32_t len)
{
	struct vsock_packet *p;
	uint8_t slot;

	while (free_count == 0) {
		load_kick(&tx);
		load_sleep(&both[1], 1);
		reclaim();
	}
	slot = free_slots[--free_count];
	p = &tx_packets[slot];
	p->h = vsock_hdr(&sock, op, conn.port, conn.host_port);
	p->h.len = len;
	p->h.buf_alloc = WINDOW;
	p->h.fwd_cnt = conn.received;
	conn.told = conn.received;
	conn.sent += len;
	vq_set(&tx.q, slot, p, (uint32_t)sizeof(p->h) + len, 0, 0);
	load_push(&tx, slot);
}

static void take(const struct vsock_packet *p)
{
	if (p->h.dst_port != conn.port)
		return; /* of a connection that is over */
	EXPECT(p->h.op != VSOCK_RST && p->h.op != VSOCK_SHUTDOWN, "the host ends port %u",
		conn.host_port);
	conn.host_buf_alloc = p->h.buf_alloc;
	conn.host_fwd = p->h.fwd_cnt;
	conn.open = conn.open || p->h.op == VSOCK_RESPONSE;
	if (p->h.op == VSOCK_RW)
		conn.received += p->h.len;
	if (p->h.op == VSOCK_CREDIT_REQUEST || conn.received - conn.told >= WINDOW / 2)
		send(VSOCK_CREDIT_UPDATE, 0);
}

/* All packets that are there; how many. */
static unsigned receive(void)
{
	struct vq_used_elem e;
	unsigned count = 0;

	while (load_pop(&rx, &e)) {
		EXPECT(e.id < RX_COUNT, "used descriptor %u does not exist", e.id);
		take(&rx_packets[e.id]);
		give((uint16_t)e.id);
		count++;
	}
	reclaim();
	load_kick(&rx);
	load_kick(&tx);
	return count;
}

static void connect(uint32_t host_port)
{
	static uint32_t next_port = 1024;
	struct patience p = patience_s(10);

	conn = (__typeof__(conn)){.port = next_port++, .host_port = host_port};
	send(VSOCK_REQUEST, 0);
	load_kick(&tx);
	while (!conn.open) {
		(void)receive();
		EXPECT(patient(&p), "no connection to port %u of the host", host_port);
	}
}

static void disconnect(void)
{
	send(VSOCK_RST, 0);
	conn.port = 0;
	while (free_count < TX_COUNT)
		(void)receive();
}

static void round_trips(const char *name, bool sleeps)
{
	uint64_t count = 0, end;

	connect(HOST_ECHO);
	load_begin(name);
	end = rdtsc() + span;
	for (; rdtsc() < end; count++) {
		uint64_t start = rdtsc();

		send(VSOCK_RW, PING);
		load_kick(&tx);
		while (conn.received < conn.sent)
			if (receive() == 0 && sleeps)
				load_sleep(both, 1);
		load_sample(rdtsc() - start);
	}
	load_end("us", count, 0, false, both, 2);
	disconnect();
}

static uint32_t credit(void)
{
	return conn.host_buf_alloc - (conn.sent - conn.host_fwd);
}

static void to_host(void)
{
	uint64_t packets = 0, end;

	connect(HOST_ECHO + 1);
	load_begin("to_host");
	end = rdtsc() + span;
	while (rdtsc() < end) {
		bool some = false;

		for (; credit() >= VSOCK_RX_SIZE && free_count > 1; packets++, some = true)
			send(VSOCK_RW, VSOCK_RX_SIZE);
		load_kick(&tx);
		if (receive() == 0 && !some)
			load_sleep(both, credit() >= VSOCK_RX_SIZE ? 2 : 1);
	}
	load_end("MB/s", packets, packets * VSOCK_RX_SIZE, true, both, 2);
	disconnect();
}

static void to_guest(void)
{
	uint64_t packets = 0, end, bytes;
	const uint64_t least = rx.eager ? 256 : 1; /* the host's end may be slow to start */

	connect(HOST_ECHO + 2);
	load_begin("to_guest");
	bytes = conn.received;
	end = rdtsc() + span;
	while (rdtsc() < end || packets < least) {
		unsigned n = receive();

		packets += n;
		if (n == 0)
			load_sleep(both, 1);
	}
	bytes = conn.received - bytes; /* below 4 GiB in a measurement, or the rate is too low */
	load_end("MB/s", packets, bytes, true, both, 2);
	disconnect();
}

int payload_main(const struct payload_boot *boot)
{
	(void)boot;
	span = arg_u64("payload.ms", 1000) * 3000000;
	sock.dev = vdev_need(VIRTIO_ID_VSOCK, 0);
	vdev_negotiate(sock.dev, VF_EVENT_IDX);
	sock.cid = mmio_read32(sock.dev->base + VR_CONFIG);
	vq_init(&rx.q, sock.dev, 0, RX_COUNT);
	vq_init(&tx.q, sock.dev, 1, 2 * TX_COUNT);
	vq_init(&sock.event, sock.dev, 2, 16);
	rx_packets = alloc(RX_COUNT * sizeof(*rx_packets), PAGE);
	tx_packets = alloc(TX_COUNT * sizeof(*tx_packets), PAGE);
	for (; free_count < TX_COUNT; free_count++)
		free_slots[free_count] = (uint8_t)free_count;
	vdev_driver_ok(sock.dev);
	load_init(sock.dev);
	for (uint16_t i = 0; i < RX_COUNT; i++)
		give(i);
	load_kick(&rx);
	round_trips("roundtrip", false);
	round_trips("roundtrip_irq", true);
	to_host();
	rx.eager = arg_u64("payload.strict", 0) != 0;
	to_guest();
	return 0;
}
