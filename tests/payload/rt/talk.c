/* SPDX-License-Identifier: Apache-2.0 */
/* Traffic across snapshots. See talk.h. */
#include "talk.h"

#define TALK_FRAMES    8u /* sent in a turn */
#define TALK_FRAME_MIN 60u
#define TALK_FRAME_MAX 1500u
#define TALK_ID        16u /* where a frame's number is, behind the word for the peer */
#define TALK_DATA      24u
#define TALK_HOST_PORT 6000u
#define TALK_CHUNK     2048u

static uint8_t frame[TALK_FRAME_MAX], got[65550];

static uint32_t frame_len(uint64_t id)
{
	return TALK_FRAME_MIN + (uint32_t)(id * 97 % (TALK_FRAME_MAX - TALK_FRAME_MIN));
}

static uint8_t frame_byte(uint64_t id, uint32_t i)
{
	return (uint8_t)(i ^ i >> 8 ^ id * 31);
}

void talk_net_start(struct talk_net *t)
{
	if (!vdev_find(VIRTIO_ID_NET, 0))
		return;
	t->on = true;
	net_start(&t->net, VF_NET_MRG_RXBUF, 2048);
}

/* Type 0x88b5 with 1 behind it: bench/net_peer.c sends it back. */
static void frame_send(struct talk_net *t)
{
	uint64_t id = t->sent++;
	uint32_t len = frame_len(id);

	memset(frame, 0xff, 6);
	memcpy(frame + 6, t->net.mac, 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	frame[14] = 1;
	frame[15] = 0;
	memcpy(frame + TALK_ID, &id, sizeof(id));
	for (uint32_t i = TALK_DATA; i < len; i++)
		frame[i] = frame_byte(id, i);
	net_transmit(&t->net, (struct net_header){0}, frame, len);
}

static void frame_take(struct talk_net *t, uint32_t len)
{
	uint64_t id;

	if (len < TALK_FRAME_MIN || got[12] != 0x88 || got[13] != 0xb5)
		return; /* the host has words of its own */
	memcpy(&id, got + TALK_ID, sizeof(id));
	EXPECT(id < t->sent && len == frame_len(id), "frame %lu of %lu came back with %u bytes", id,
		t->sent, len);
	for (uint32_t i = TALK_DATA; i < len; i++)
		EXPECT(got[i] == frame_byte(id, i), "byte %u of frame %lu is 0x%x", i, id, got[i]);
	t->back++;
}

void talk_net_turn(struct talk_net *t)
{
	uint32_t len;

	if (!t->on)
		return;
	while ((len = net_receive(&t->net, got, sizeof(got), 0)) > 0)
		frame_take(t, len);
	for (unsigned i = 0; i < TALK_FRAMES; i++)
		frame_send(t);
}

static void event_give(struct talk_vsock *t)
{
	vq_set(&t->sock.event, 0, &t->event, sizeof(t->event), VD_WRITE, 0);
	vq_push(&t->sock.event, 0);
	vq_kick(&t->sock.event);
}

void talk_vsock_start(struct talk_vsock *t)
{
	if (!vdev_find(VIRTIO_ID_VSOCK, 0))
		return;
	t->on = true;
	t->port = 1024;
	vsock_start(&t->sock, 0);
	event_give(t);
}

static uint8_t stream_byte(uint32_t port, uint32_t at)
{
	return (uint8_t)(at ^ at >> 8 ^ port * 13);
}

static void say(struct talk_vsock *t, uint16_t op, const void *data, uint32_t len)
{
	static struct vsock_hdr h;

	h = vsock_hdr(&t->sock, op, t->port, TALK_HOST_PORT);
	h.len = len;
	h.fwd_cnt = t->seen;
	vsock_send(&t->sock, &h, data, len);
}

static void hear(struct talk_vsock *t, const struct vsock_packet *p)
{
	if (p->h.dst_port != t->port || t->state == TALK_CLOSED)
		return; /* of a connection that is no more */
	t->host_buf_alloc = p->h.buf_alloc;
	t->host_fwd_cnt = p->h.fwd_cnt;
	if (p->h.op == VSOCK_RESPONSE) {
		t->state = TALK_OPEN;
		t->connections++;
	} else if (p->h.op == VSOCK_RST || p->h.op == VSOCK_SHUTDOWN) {
		t->state = TALK_CLOSED;
	} else if (p->h.op == VSOCK_RW) {
		EXPECT(t->sent - t->seen >= p->h.len, "%u bytes came back of %u", p->h.len,
			t->sent - t->seen);
		for (uint32_t i = 0; i < p->h.len; i++)
			EXPECT(p->data[i] == stream_byte(t->port, t->seen + i),
				"byte %u of the connection of port %u is 0x%x", t->seen + i,
				t->port, p->data[i]);
		t->seen += p->h.len;
		t->bytes += p->h.len;
	}
}

/* TRANSPORT_RESET, virtio 1.2 §5.10.6.7: the connections are gone and the address may be another. */
static void events_take(struct talk_vsock *t)
{
	const struct vq *q = &t->sock.event;

	if (__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) == q->used_seen)
		return;
	t->sock.event.used_seen++;
	EXPECT_EQ(t->event, 0, "event of the vsock device");
	t->sock.cid = mmio_read32(t->sock.dev->base + VR_CONFIG);
	t->state = TALK_CLOSED;
	event_give(t);
}

static void stream_send(struct talk_vsock *t)
{
	static uint8_t chunk[TALK_CHUNK];
	uint32_t credit = t->host_buf_alloc - (t->sent - t->host_fwd_cnt);

	if (credit < TALK_CHUNK)
		return;
	for (uint32_t i = 0; i < TALK_CHUNK; i++)
		chunk[i] = stream_byte(t->port, t->sent + i);
	t->sent += TALK_CHUNK;
	say(t, VSOCK_RW, chunk, TALK_CHUNK);
}

void talk_vsock_turn(struct talk_vsock *t)
{
	struct vsock_packet *p;

	if (!t->on)
		return;
	events_take(t);
	while ((p = vsock_poll(&t->sock))) {
		hear(t, p);
		vsock_done(&t->sock, p);
	}
	if (t->state == TALK_OPEN) {
		stream_send(t);
	} else if (t->state == TALK_CLOSED) {
		t->port++;
		t->sent = t->seen = 0;
		t->state = TALK_ASKED;
		say(t, VSOCK_REQUEST, NULL, 0);
	}
}
