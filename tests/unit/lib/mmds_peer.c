/* SPDX-License-Identifier: Apache-2.0 */
/* A guest of the metadata service. See mmds_peer.h. */
#include "tests/unit/lib/mmds_peer.h"

#include "vmm/base/check.h"

#include <string.h>

const uint8_t peer_mac[FRAME_MAC_SIZE] = {2, 0, 0, 0, 0, 1};
const uint8_t peer_mmds_mac[FRAME_MAC_SIZE] = {6, 1, 0x23, 0x45, 0x67, 1};

struct frame_tcp peer_segment(const struct peer *p, uint8_t flags, const void *data, uint32_t len)
{
	struct frame_tcp s = {
		.src_ip = PEER_IP,
		.dst_ip = PEER_MMDS_IP,
		.src_port = p->port,
		.dst_port = STACK_PORT,
		.seq = p->seq,
		.ack = p->ack,
		.flags = flags,
		.window = p->window,
		.mss = (uint16_t)((flags & FRAME_SYN) ? 1400 : 0),
		.data = data,
		.len = len,
	};

	memcpy(s.src_mac, peer_mac, FRAME_MAC_SIZE);
	memcpy(s.dst_mac, peer_mmds_mac, FRAME_MAC_SIZE);
	return s;
}

void peer_put(struct peer *p, const struct frame_tcp *s)
{
	uint8_t frame[FRAME_HEAD_MAX + 4096];
	size_t len;

	CHECK(s->len <= 4096);
	len = frame_build_tcp(s, frame);
	stack_input(p->stack, frame, len, false, p->now_ns);
}

void peer_send(struct peer *p, uint8_t flags, const void *data, uint32_t len)
{
	struct frame_tcp s = peer_segment(p, flags, data, len);

	peer_put(p, &s);
	p->seq += len + ((flags & FRAME_SYN) ? 1 : 0) + ((flags & FRAME_FIN) ? 1 : 0);
}

bool peer_take(struct peer *p)
{
	size_t len = stack_output(p->stack, p->frame, p->now_ns);
	struct frame f;

	if (len == 0)
		return false;
	CHECK(len <= sizeof(p->frame));
	frame_parse(p->frame, len, PEER_IP, false, &f);
	CHECK(f.kind == FRAME_KIND_TCP);
	CHECK(memcmp(f.tcp.dst_mac, peer_mac, FRAME_MAC_SIZE) == 0);
	CHECK(memcmp(f.tcp.src_mac, peer_mmds_mac, FRAME_MAC_SIZE) == 0);
	CHECK(f.tcp.src_ip == PEER_MMDS_IP && p->frame[FRAME_ETH_SIZE + 8] == FRAME_TTL);
	p->got = f.tcp;
	return true;
}

void peer_connect(struct peer *p, struct stack *s, uint16_t port)
{
	bool taken;

	*p = (struct peer){.stack = s,
		.port = port,
		.seq = 0xfffffff0u + port, /* wraps within the first request */
		.window = 20000,
		.now_ns = p->now_ns};
	peer_send(p, FRAME_SYN, NULL, 0);
	taken = peer_take(p);
	CHECK(taken && p->got.flags == (FRAME_SYN | FRAME_ACK) && p->got.ack == p->seq);
	CHECK(p->got.dst_port == port && p->got.mss == TCP_MSS_OURS);
	p->ack = p->got.seq + 1;
	peer_send(p, FRAME_ACK, NULL, 0);
}

uint32_t peer_read(struct peer *p, char *buf, uint32_t size)
{
	uint32_t count = 0;

	while (peer_take(p)) {
		CHECK(p->got.dst_port == p->port && !(p->got.flags & FRAME_RST));
		if (p->got.seq != p->ack)
			continue;
		CHECK(p->got.len <= size - count);
		memcpy(buf + count, p->got.data, p->got.len);
		count += p->got.len;
		p->ack += p->got.len + ((p->got.flags & FRAME_FIN) ? 1 : 0);
		if (p->got.len > 0 || (p->got.flags & FRAME_FIN))
			peer_send(p, FRAME_ACK, NULL, 0);
	}
	return count;
}
