/* SPDX-License-Identifier: Apache-2.0 */
/* Frames to structs and back. See frame.h. */
#include "api/mmds/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define FRAME_TYPE_IPV4 0x0800u
#define FRAME_TYPE_ARP  0x0806u
#define FRAME_PROTO_TCP 6u

/* Offsets in the frame, and in each header. */
#define FRAME_AT_TYPE    12u
#define FRAME_AT_PAYLOAD FRAME_ETH_SIZE
#define ARP_AT_OP        6u
#define ARP_AT_SENDER    8u
#define ARP_AT_TARGET    18u
#define IP_AT_DST        16u

enum { ARP_REQUEST = 1, ARP_REPLY = 2 };
enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_MSS = 2 };

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* The sum of RFC 1071, not folded: len is below 64 KiB, so 32 bits hold it. */
static uint32_t frame_sum(const uint8_t *p, size_t len, uint32_t sum)
{
	for (; len > 1; p += 2, len -= 2)
		sum += get16(p);
	return len ? sum + ((uint32_t)p[0] << 8) : sum;
}

static uint16_t frame_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Of a TCP segment of len bytes, header included; 0 if the one in it is right. */
static uint16_t frame_tcp_checksum(uint32_t src, uint32_t dst, const uint8_t *tcp, size_t len)
{
	uint32_t sum = (src >> 16) + (src & 0xffff) + (dst >> 16) + (dst & 0xffff) +
		       FRAME_PROTO_TCP + (uint32_t)len;

	return frame_fold(frame_sum(tcp, len, sum));
}

bool frame_is_for(const uint8_t *head, size_t len, uint32_t ip)
{
	const uint8_t *payload = head + FRAME_AT_PAYLOAD;

	if (len < FRAME_ETH_SIZE + FRAME_IP_SIZE)
		return false;
	if (get16(head + FRAME_AT_TYPE) == FRAME_TYPE_IPV4)
		return get32(payload + IP_AT_DST) == ip;
	return get16(head + FRAME_AT_TYPE) == FRAME_TYPE_ARP &&
	       len >= FRAME_ETH_SIZE + FRAME_ARP_SIZE &&
	       get16(payload + ARP_AT_OP) == ARP_REQUEST &&
	       get32(payload + ARP_AT_TARGET + FRAME_MAC_SIZE) == ip;
}

static enum frame_kind frame_parse_arp(const uint8_t *p, struct frame_arp *a)
{
	static const uint8_t ethernet_ipv4[] = {0, 1, 8, 0, 6, 4};

	if (memcmp(p, ethernet_ipv4, sizeof(ethernet_ipv4)) != 0)
		return FRAME_KIND_BAD;
	a->reply = false;
	memcpy(a->src_mac, p + ARP_AT_SENDER, FRAME_MAC_SIZE);
	a->src_ip = get32(p + ARP_AT_SENDER + FRAME_MAC_SIZE);
	memcpy(a->dst_mac, p + ARP_AT_TARGET, FRAME_MAC_SIZE);
	a->dst_ip = get32(p + ARP_AT_TARGET + FRAME_MAC_SIZE);
	return FRAME_KIND_ARP;
}

/* The MSS of the options at p, or 0. */
static uint16_t frame_parse_mss(const uint8_t *p, size_t len)
{
	size_t at = 0;

	while (at < len && p[at] != OPTION_END) {
		size_t size = 1;

		if (p[at] != OPTION_NOP) {
			if (len - at < 2 || p[at + 1] < 2 || p[at + 1] > len - at)
				break;
			size = p[at + 1];
		}
		if (p[at] == OPTION_MSS && size == 4)
			return get16(p + at + 2);
		at += size;
	}
	return 0;
}

static enum frame_kind frame_parse_tcp(
	const uint8_t *p, size_t len, bool csum_partial, struct frame_tcp *s)
{
	size_t head;

	if (len < FRAME_TCP_SIZE)
		return FRAME_KIND_BAD;
	head = (size_t)(p[12] >> 4) * 4;
	if (head < FRAME_TCP_SIZE || head > len)
		return FRAME_KIND_BAD;
	if (!csum_partial && frame_tcp_checksum(s->src_ip, s->dst_ip, p, len) != 0)
		return FRAME_KIND_BAD;
	s->src_port = get16(p);
	s->dst_port = get16(p + 2);
	s->seq = get32(p + 4);
	s->ack = get32(p + 8);
	s->flags = p[13] & (FRAME_FIN | FRAME_SYN | FRAME_RST | FRAME_PSH | FRAME_ACK);
	s->window = get16(p + 14);
	s->mss = frame_parse_mss(p + FRAME_TCP_SIZE, head - FRAME_TCP_SIZE);
	s->data = p + head;
	s->len = (uint32_t)(len - head);
	return FRAME_KIND_TCP;
}

static enum frame_kind frame_parse_ip(
	const uint8_t *p, size_t len, bool csum_partial, struct frame_tcp *s)
{
	size_t head = (size_t)(p[0] & 0xf) * 4, total = get16(p + 2);

	if (p[0] >> 4 != 4 || head < FRAME_IP_SIZE || head > total || total > len ||
		frame_fold(frame_sum(p, head, 0)) != 0)
		return FRAME_KIND_BAD;
	s->src_ip = get32(p + 12);
	s->dst_ip = get32(p + IP_AT_DST);
	/* Nobody who is to be answered has one of these addresses. */
	if (s->src_ip == s->dst_ip || s->src_ip >> 28 >= 0xe || s->src_ip >> 24 == 0)
		return FRAME_KIND_BAD;
	/* A fragment: an offset, or more to come. */
	if (p[9] != FRAME_PROTO_TCP || (get16(p + 6) & 0x3fff) != 0)
		return FRAME_KIND_OTHER;
	return frame_parse_tcp(p + head, total - head, csum_partial, s);
}

void frame_parse(
	const uint8_t *bytes, size_t len, uint32_t ip, bool csum_partial, struct frame *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!frame_is_for(bytes, len, ip)) {
		ret->kind = FRAME_KIND_ALIEN;
		return;
	}
	memcpy(ret->tcp.dst_mac, bytes, FRAME_MAC_SIZE);
	memcpy(ret->tcp.src_mac, bytes + FRAME_MAC_SIZE, FRAME_MAC_SIZE);
	if (get16(bytes + FRAME_AT_TYPE) == FRAME_TYPE_ARP)
		ret->kind = frame_parse_arp(bytes + FRAME_AT_PAYLOAD, &ret->arp);
	else
		ret->kind = frame_parse_ip(
			bytes + FRAME_AT_PAYLOAD, len - FRAME_ETH_SIZE, csum_partial, &ret->tcp);
}

static uint8_t *frame_put_eth(
	uint8_t *buf, const uint8_t *dst, const uint8_t *src, uint32_t ethertype)
{
	memcpy(buf, dst, FRAME_MAC_SIZE);
	memcpy(buf + FRAME_MAC_SIZE, src, FRAME_MAC_SIZE);
	put16(buf + FRAME_AT_TYPE, ethertype);
	return buf + FRAME_ETH_SIZE;
}

size_t frame_build_arp(const struct frame_arp *a, uint8_t *buf)
{
	static const uint8_t broadcast[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t ethernet_ipv4[] = {0, 1, 8, 0, 6, 4};
	uint8_t *p =
		frame_put_eth(buf, a->reply ? a->dst_mac : broadcast, a->src_mac, FRAME_TYPE_ARP);

	memcpy(p, ethernet_ipv4, sizeof(ethernet_ipv4));
	put16(p + ARP_AT_OP, a->reply ? ARP_REPLY : ARP_REQUEST);
	memcpy(p + ARP_AT_SENDER, a->src_mac, FRAME_MAC_SIZE);
	put32(p + ARP_AT_SENDER + FRAME_MAC_SIZE, a->src_ip);
	memcpy(p + ARP_AT_TARGET, a->dst_mac, FRAME_MAC_SIZE);
	put32(p + ARP_AT_TARGET + FRAME_MAC_SIZE, a->dst_ip);
	return FRAME_ETH_SIZE + FRAME_ARP_SIZE;
}

static void frame_put_tcp(const struct frame_tcp *s, uint8_t *p, uint32_t head)
{
	memset(p, 0, head);
	put16(p, s->src_port);
	put16(p + 2, s->dst_port);
	put32(p + 4, s->seq);
	put32(p + 8, s->ack);
	p[12] = (uint8_t)(head / 4 << 4);
	p[13] = s->flags;
	put16(p + 14, s->window);
	if (s->mss) {
		p[FRAME_TCP_SIZE] = OPTION_MSS;
		p[FRAME_TCP_SIZE + 1] = 4;
		put16(p + FRAME_TCP_SIZE + 2, s->mss);
	}
	if (s->len)
		memcpy(p + head, s->data, s->len);
	put16(p + 16, frame_tcp_checksum(s->src_ip, s->dst_ip, p, head + s->len));
}

size_t frame_build_tcp(const struct frame_tcp *s, uint8_t *buf)
{
	uint32_t head = FRAME_TCP_SIZE + (s->mss ? 4 : 0);
	uint32_t total = FRAME_IP_SIZE + head + s->len;
	uint8_t *p = frame_put_eth(buf, s->dst_mac, s->src_mac, FRAME_TYPE_IPV4);

	memset(p, 0, FRAME_IP_SIZE);
	p[0] = 0x45;
	put16(p + 2, total);
	put16(p + 6, 0x4000); /* not to be fragmented */
	p[8] = FRAME_TTL;
	p[9] = FRAME_PROTO_TCP;
	put32(p + 12, s->src_ip);
	put32(p + IP_AT_DST, s->dst_ip);
	put16(p + 10, frame_fold(frame_sum(p, FRAME_IP_SIZE, 0)));
	frame_put_tcp(s, p + FRAME_IP_SIZE, head);
	return FRAME_ETH_SIZE + total;
}

int frame_ip_parse(const char *text, uint32_t *ret_ip)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		return -EINVAL;
	*ret_ip = ntohl(a.s_addr);
	return 0;
}
