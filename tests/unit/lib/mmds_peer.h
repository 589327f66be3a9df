/* SPDX-License-Identifier: Apache-2.0 */
/* A guest of the metadata service: sends segments by hand and looks at what comes back. */
#pragma once

#include "api/mmds/stack.h"

#define PEER_IP      0x0a0b0c0du
#define PEER_MMDS_IP 0xa9fea9feu

extern const uint8_t peer_mac[FRAME_MAC_SIZE], peer_mmds_mac[FRAME_MAC_SIZE];

/* One connection of the guest, as the guest sees it. */
struct peer {
	struct stack *stack;
	uint64_t now_ns; /* the time of everything below; the test moves it */
	uint16_t port;
	uint32_t seq, ack;
	uint16_t window;
	struct frame_tcp got; /* of peer_take */
	uint8_t frame[FRAME_HEAD_MAX + TCP_MSS_OURS];
};

/* A segment as the guest would send it at this point. */
struct frame_tcp peer_segment(const struct peer *p, uint8_t flags, const void *data, uint32_t len);
/* Puts a segment into the stack. */
void peer_put(struct peer *p, const struct frame_tcp *s);
/* The next segment of peer_segment; seq goes on. */
void peer_send(struct peer *p, uint8_t flags, const void *data, uint32_t len);
/* The next frame for the guest into p->got; false: none. Anything but a sound segment fails. */
bool peer_take(struct peer *p);
/* SYN, SYN-ACK, ACK from a new port. */
void peer_connect(struct peer *p, struct stack *s, uint16_t port);
/* Takes and acknowledges everything until silence, appending data to buf; its bytes. */
uint32_t peer_read(struct peer *p, char *buf, uint32_t size);
