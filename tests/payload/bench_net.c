/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load of bench/net: small frames and TCP segments of 64 KB each way, and round trips, against
 * bench/net_peer on the tap, which obeys the first bytes of a frame of ours.
 *
 *   payload.ms=N      length of each measurement, if the TSC runs at 3 GHz (1000)
 *   payload.strict=1  fails if there is an interrupt or a kick per frame, or more, under load
 */
#include "rt/load.h"
#include "rt/net.h"

#define VF_NET_GUEST_CSUM (1ull << 1)
#define VF_NET_GUEST_TSO4 (1ull << 7)
#define VF_NET_HOST_TSO4  (1ull << 11)
#define QUEUE             256u
#define RX_SIZE           4096u
#define SMALL             60u
#define SEGMENT           64054u /* with 54 bytes of headers */
#define FLYING            128u
#define GROUP             64u  /* frames the peer sends for one request */
#define RESERVED          200u /* transmit descriptors for requests, from here on */
#define WIRE_TYPE         0x88b5u
#define PATIENCE          (20ull * 3000000000) /* ticks */

enum { WIRE_DROP, WIRE_ECHO, WIRE_SEND };

struct wire {
	struct net_header h;
	uint8_t dst[6], src[6], type[2];
	uint8_t op, segments;
	uint16_t count;
	uint8_t rest[SMALL - 18];
} __attribute__((packed));

struct segment {
	struct net_header h;
	uint8_t frame[SEGMENT];
};

static struct load_queue rx, tx;
static struct load_queue *const both[] = {&rx, &tx};
static uint8_t *bufs;
static uint64_t span; /* ticks of a measurement */
static struct wire wires[QUEUE];
static struct segment *segment;
static uint16_t next_request;

static void wire_set(uint16_t d, uint8_t op, uint8_t segments, uint16_t count)
{
	struct wire *w = &wires[d];

	*w = (struct wire){.op = op, .segments = segments, .count = count};
	memset(w->dst, 0xff, sizeof(w->dst));
	w->src[0] = 2;
	w->src[5] = 1;
	w->type[0] = WIRE_TYPE >> 8;
	w->type[1] = WIRE_TYPE & 0xff;
	vq_set(&tx.q, d, w, sizeof(*w), 0, 0);
}

/* A TCP segment to nobody; the checksums are left to the host, which has no use for them. */
static void segment_set(void)
{
	uint8_t *f;

	segment = alloc(sizeof(*segment), PAGE);
	f = segment->frame;
	segment->h = (struct net_header){.flags = NET_HDR_NEEDS_CSUM,
		.gso_type = 1,
		.hdr_len = 54,
		.gso_size = 1448,
		.csum_start = 34,
		.csum_offset = 16};
	f[0] = f[6] = 2;
	f[5] = 0x77;
	f[12] = 8;
	f[14] = 0x45;
	f[16] = (SEGMENT - NET_ETH) >> 8;
	f[17] = (SEGMENT - NET_ETH) & 0xff;
	f[22] = 64;
	f[23] = 6;
	f[46] = 5 << 4;
	f[47] = 0x10;
}

static void post(uint16_t i)
{
	vq_set(&rx.q, i, bufs + (uint64_t)i * RX_SIZE, RX_SIZE, VD_WRITE, 0);
	load_push(&rx, i);
}

/* Takes and gives back the buffers of all frames that are there; how many frames. */
static uint64_t receive(void)
{
	static uint32_t more; /* buffers of the frame at hand that are still to come */
	struct vq_used_elem e;
	uint64_t frames = 0;

	while (load_pop(&rx, &e)) {
		const struct net_header *h = (const void *)(bufs + (uint64_t)e.id * RX_SIZE);

		EXPECT(e.id < rx.q.size, "used buffer %u does not exist", e.id);
		if (more == 0) {
			more = h->num_buffers;
			EXPECT(more >= 1 && more <= QUEUE, "a frame of %u buffers", more);
		}
		if (--more == 0)
			frames++;
		post((uint16_t)e.id);
	}
	load_kick(&rx);
	return frames;
}

static void reclaim(void)
{
	struct vq_used_elem e;

	while (load_pop(&tx, &e))
		continue;
}

/* Until all requests are given back and all that was received is taken. */
static void settle(void)
{
	struct patience p = patience_s(5);

	while (tx.q.used_seen != tx.q.avail->idx || receive() > 0) {
		reclaim();
		EXPECT(patient(&p), "frames are never given back");
	}
}

static void load_tx(const char *name, const char *unit, bool segments)
{
	uint64_t sent = 0, end, flying = 0;
	struct vq_used_elem e;

	for (uint16_t d = 0; d < FLYING; d++) {
		if (segments)
			vq_set(&tx.q, d, segment, sizeof(*segment), 0, 0);
		else
			wire_set(d, WIRE_DROP, 0, 0);
	}
	settle();
	load_begin(name);
	end = rdtsc() + span;
	for (uint16_t d = 0; d < FLYING; d++, flying++)
		load_push(&tx, d);
	load_kick(&tx);
	while (flying > 0) {
		bool some = false;

		while (load_pop(&tx, &e)) {
			some = true;
			sent++;
			if (load_goes_on(end, sent))
				load_push(&tx, (uint16_t)e.id);
			else
				flying--;
		}
		load_kick(&tx);
		if (!some)
			load_sleep(&both[1], 1);
	}
	load_end(unit, sent, sent * (segments ? SEGMENT : SMALL), true, both, 2);
}

static void request(uint8_t op, uint8_t segments, uint16_t count)
{
	uint16_t d = (uint16_t)(RESERVED + next_request++ % 16);

	reclaim();
	wire_set(d, op, segments, count);
	load_push(&tx, d);
	load_kick(&tx);
}

/* The peer sends only what was asked for, so that none is lost for want of room in the tap. */
static void load_rx(const char *name, const char *unit, bool segments)
{
	uint16_t group = segments ? 8 : GROUP;
	uint64_t got = 0, asked = 0, end, last;

	load_begin(name);
	end = rdtsc() + span;
	last = end;
	for (unsigned i = 0; i < 4; i++, asked += group)
		request(WIRE_SEND, segments, group);
	while (got < asked) {
		uint64_t n = receive();

		got += n;
		while (load_goes_on(end, asked) && asked - got <= 3u * group) {
			request(WIRE_SEND, segments, group);
			asked += group;
		}
		last = n > 0 ? rdtsc() : last;
		EXPECT(rdtsc() < last + PATIENCE, "%s: %lu frames of %lu came", name, got, asked);
		if (n == 0)
			load_sleep(both, 1);
	}
	load_end(unit, got, got * (segments ? SEGMENT : SMALL), true, both, 2);
}

/* With a guest that looks for the answer all the time, or one that sleeps. */
static void round_trips(const char *name, bool sleeps)
{
	uint64_t count = 0, end;

	load_begin(name);
	end = rdtsc() + span;
	while (rdtsc() < end) {
		uint64_t start = rdtsc();

		request(WIRE_ECHO, 0, 0);
		while (receive() == 0)
			if (sleeps)
				load_sleep(both, 1);
		load_sample(rdtsc() - start);
		count++;
	}
	load_end("us", count, 0, false, both, 2);
}

/* The peer needs the link up, and the host drops what comes before. */
static void meet(void)
{
	struct patience p = patience_s(20);

	for (;;) {
		struct patience once = patience_s(1);

		request(WIRE_ECHO, 0, 0);
		while (patient(&once))
			if (receive() > 0)
				return;
		EXPECT(patient(&p), "the peer does not answer");
	}
}

int payload_main(const struct payload_boot *boot)
{
	struct vdev *d = vdev_need(VIRTIO_ID_NET, 0);

	(void)boot;
	span = arg_u64("payload.ms", 1000) * 3000000;
	vdev_negotiate(d, VF_EVENT_IDX | VF_NET_MRG_RXBUF | VF_NET_CSUM | VF_NET_GUEST_CSUM |
				  VF_NET_GUEST_TSO4 | VF_NET_HOST_TSO4);
	vq_init(&rx.q, d, 0, QUEUE);
	vq_init(&tx.q, d, 1, QUEUE);
	bufs = alloc((uint64_t)QUEUE * RX_SIZE, PAGE);
	segment_set();
	vdev_driver_ok(d);
	load_init(d);
	for (uint16_t i = 0; i < rx.q.size; i++)
		post(i);
	load_kick(&rx);
	meet();
	tx.eager = rx.eager = arg_u64("payload.strict", 0) != 0;
	load_tx("tx", "packets/s", false);
	load_rx("rx", "packets/s", false);
	round_trips("roundtrip", false);
	round_trips("roundtrip_irq", true);
	if (d->features & VF_NET_HOST_TSO4)
		load_tx("tx_64k", "MB/s", true);
	if (d->features & VF_NET_GUEST_TSO4)
		load_rx("rx_64k", "MB/s", true);
	return 0;
}
