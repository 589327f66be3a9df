/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of the metadata service: Ethernet, ARP over it (RFC 826), IPv4 (RFC 791) and TCP headers
 * (RFC 9293). Bytes to checked structs and back; no state. Frames come from the guest: every
 * length in them is checked against what is there. Numbers in the structs are host order.
 */
#pragma once

#include "vmm/base/compiler.h"

#define FRAME_MAC_SIZE 6u
#define FRAME_ETH_SIZE 14u
#define FRAME_ARP_SIZE 28u
#define FRAME_IP_SIZE  20u
#define FRAME_TCP_SIZE 20u
/* The largest header that frame_build_tcp makes: with the MSS option. */
#define FRAME_HEAD_MAX (FRAME_ETH_SIZE + FRAME_IP_SIZE + FRAME_TCP_SIZE + 4u)
#define FRAME_TTL      1u /* these packets never leave the link */

enum {
	FRAME_FIN = 0x01,
	FRAME_SYN = 0x02,
	FRAME_RST = 0x04,
	FRAME_PSH = 0x08,
	FRAME_ACK = 0x10,
};

/* An ARP request or reply for IPv4. */
struct frame_arp {
	uint8_t src_mac[FRAME_MAC_SIZE], dst_mac[FRAME_MAC_SIZE]; /* sender, target */
	uint32_t src_ip, dst_ip;
	bool reply;
};

/* A TCP segment with its addresses. */
struct frame_tcp {
	uint8_t src_mac[FRAME_MAC_SIZE], dst_mac[FRAME_MAC_SIZE];
	uint32_t src_ip, dst_ip;
	uint16_t src_port, dst_port;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	uint16_t mss;        /* of the option; 0: none */
	const uint8_t *data; /* borrowed: within the frame, or the sender's */
	uint32_t len;        /* of data */
};

enum frame_kind {
	FRAME_KIND_ARP,   /* a request for the address */
	FRAME_KIND_TCP,   /* a whole, sound segment to it */
	FRAME_KIND_OTHER, /* to it, but nothing that is answered: UDP, ICMP, fragments */
	FRAME_KIND_BAD,   /* to it, but broken */
	FRAME_KIND_ALIEN, /* not to it */
};

struct frame {
	enum frame_kind kind;
	struct frame_arp arp; /* FRAME_KIND_ARP */
	struct frame_tcp tcp; /* FRAME_KIND_TCP */
};

/*
 * Whether a frame that begins with these bytes is an IPv4 packet to ip or an ARP request for it.
 * 34 bytes are enough for the first, 42 for the second.
 */
bool frame_is_for(const uint8_t *head, size_t len, uint32_t ip);

/*
 * Takes a frame apart. csum_partial: the guest left the TCP checksum undone. ret->tcp.data points
 * into bytes.
 */
void frame_parse(
	const uint8_t *bytes, size_t len, uint32_t ip, bool csum_partial, struct frame *ret);

/* Both return the frame's length. buf has room for 42 bytes, or for FRAME_HEAD_MAX and the data. */
size_t frame_build_arp(const struct frame_arp *a, uint8_t *buf);
size_t frame_build_tcp(const struct frame_tcp *s, uint8_t *buf);

/* Dotted decimal to *ret_ip. 0 or -EINVAL. */
int frame_ip_parse(const char *text, uint32_t *ret_ip) MUST_USE;
