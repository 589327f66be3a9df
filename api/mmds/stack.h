/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host at the metadata address, as one network interface sees it: answers ARP, accepts TCP
 * connections at port 80 and hands their requests to a server. Frames in, frames out; no I/O, and
 * time is a parameter. Everything is bounded, and a guest that asks for more than that is refused.
 */
#pragma once

#include "api/mmds/tcp.h"
#include "vmm/core/metrics_sources.h"

#define STACK_PORT       80u
#define STACK_CONNS_MAX  30u
#define STACK_RESETS_MAX 100u
#define STACK_ARPS_MAX   8u
/* A connection that has not got on for as long gives way to a new one, if all are in use. */
#define STACK_IDLE_NS (10 * CLOCK_NS_PER_S)
/* Bytes of replies under way, but for one; with more, the next request waits. */
#define STACK_PENDING_MAX ((size_t)1024 * 1024)

struct stack_reply {
	char *text; /* heap; the stack takes it over */
	uint32_t len;
	bool close; /* and then no more */
};

/*
 * The bytes of a connection so far. Returns how many of them made up a request, with *ret its
 * reply; or 0 if the request is not whole, which is only possible while full is false (full: there
 * is no room for more bytes). A reply without text ends the connection.
 */
typedef uint32_t (*stack_server)(
	void *ctx, const uint8_t *bytes, uint32_t len, bool full, struct stack_reply *ret);

struct stack_config {
	uint8_t mac[FRAME_MAC_SIZE];
	uint32_t ip;
	stack_server server;
	void *ctx;                     /* borrowed */
	struct metrics_mmds *counters; /* borrowed */
};

struct stack_conn {
	uint8_t mac[FRAME_MAC_SIZE]; /* of the peer */
	uint16_t port;
	uint32_t ip;
	struct tcp tcp;
};

/* A refusal that waits to be sent. */
struct stack_reset {
	uint8_t mac[FRAME_MAC_SIZE];
	uint16_t port, local_port;
	uint32_t ip, seq, ack;
	uint8_t flags;
};

/* About 80 KiB: on the heap. */
struct stack {
	struct stack_config c;
	bool waiting;  /* a request was put off */
	uint32_t turn; /* the connection that may send next */
	uint32_t arp_first, arp_count;
	struct frame_arp arps[STACK_ARPS_MAX]; /* replies; a ring */
	uint32_t reset_first, reset_count;
	struct stack_reset resets[STACK_RESETS_MAX]; /* a ring */
	struct stack_conn conns[STACK_CONNS_MAX];
};

void stack_init(struct stack *s, const struct stack_config *c);
void stack_fini(struct stack *s);

/* A frame for this host. csum_partial: its TCP checksum was left undone. */
void stack_input(
	struct stack *s, const uint8_t *bytes, size_t len, bool csum_partial, uint64_t now_ns);

/* The next frame of this host, into buf of FRAME_HEAD_MAX + TCP_MSS_OURS bytes; 0: none now. */
size_t stack_output(struct stack *s, uint8_t *buf, uint64_t now_ns);

/* When stack_output will have something without another stack_input; UINT64_MAX: never. */
uint64_t stack_deadline_ns(const struct stack *s);
