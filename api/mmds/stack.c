/* SPDX-License-Identifier: Apache-2.0 */
/* The host at the metadata address. See stack.h. */
#include "api/mmds/stack.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void stack_init(struct stack *s, const struct stack_config *c)
{
	memset(s, 0, sizeof(*s));
	s->c = *c;
}

static void stack_drop(struct stack *s, struct stack_conn *c)
{
	tcp_free(&c->tcp);
	counter_add(&s->c.counters->connections_destroyed, 1);
}

void stack_fini(struct stack *s)
{
	for (uint32_t i = 0; i < STACK_CONNS_MAX; i++)
		if (s->conns[i].tcp.state != TCP_FREE)
			stack_drop(s, &s->conns[i]);
}

/* ---- in ---- */

/* A guest that asks more often than it listens loses the newest. */
static void stack_input_arp(struct stack *s, const struct frame_arp *a)
{
	struct frame_arp *r = &s->arps[(s->arp_first + s->arp_count) % STACK_ARPS_MAX];

	if (s->arp_count == STACK_ARPS_MAX)
		return;
	s->arp_count++;
	*r = (struct frame_arp){.src_ip = a->dst_ip, .dst_ip = a->src_ip, .reply = true};
	memcpy(r->src_mac, s->c.mac, FRAME_MAC_SIZE);
	memcpy(r->dst_mac, a->src_mac, FRAME_MAC_SIZE);
}

/* Answers a segment with RST (RFC 9293 §3.10.7.1), as long as there is room for one. */
static void stack_refuse(struct stack *s, const struct frame_tcp *t)
{
	struct stack_reset *r = &s->resets[(s->reset_first + s->reset_count) % STACK_RESETS_MAX];
	uint32_t len = t->len + ((t->flags & FRAME_SYN) ? 1 : 0) + ((t->flags & FRAME_FIN) ? 1 : 0);

	if ((t->flags & FRAME_RST) || s->reset_count == STACK_RESETS_MAX)
		return;
	s->reset_count++;
	*r = (struct stack_reset){
		.port = t->src_port,
		.local_port = t->dst_port,
		.ip = t->src_ip,
		.seq = (t->flags & FRAME_ACK) ? t->ack : 0,
		.ack = (t->flags & FRAME_ACK) ? 0 : t->seq + len,
		.flags = (t->flags & FRAME_ACK) ? FRAME_RST : FRAME_RST | FRAME_ACK,
	};
	memcpy(r->mac, t->src_mac, FRAME_MAC_SIZE);
}

static struct stack_conn *stack_find(struct stack *s, const struct frame_tcp *t)
{
	for (uint32_t i = 0; i < STACK_CONNS_MAX; i++) {
		struct stack_conn *c = &s->conns[i];

		if (c->tcp.state != TCP_FREE && c->port == t->src_port && c->ip == t->src_ip)
			return c;
	}
	return NULL;
}

/* A free place; or that of the connection that has stood still for longest; or NULL. */
static struct stack_conn *stack_place(struct stack *s, uint64_t now_ns)
{
	struct stack_conn *oldest = NULL;

	for (uint32_t i = 0; i < STACK_CONNS_MAX; i++) {
		struct stack_conn *c = &s->conns[i];

		if (c->tcp.state == TCP_FREE)
			return c;
		if (!oldest || c->tcp.progress_ns < oldest->tcp.progress_ns)
			oldest = c;
	}
	if (now_ns - oldest->tcp.progress_ns < STACK_IDLE_NS)
		return NULL;
	stack_drop(s, oldest);
	return oldest;
}

/*
 * Of a connection. One that can be guessed would let a program in the guest speak for another.
 *
 * #syscalls:main getrandom
 */
static bool stack_iss(uint32_t *ret)
{
	return getrandom(ret, sizeof(*ret), 0) == (ssize_t)sizeof(*ret);
}

static void stack_input_new(struct stack *s, const struct frame_tcp *t, uint64_t now_ns)
{
	struct stack_conn *c;
	uint32_t iss;

	if ((t->flags & (FRAME_SYN | FRAME_ACK)) != FRAME_SYN || (t->flags & FRAME_RST)) {
		counter_add(&s->c.counters->rx_accepted_unusual, 1);
		stack_refuse(s, t);
		return;
	}
	c = stack_iss(&iss) ? stack_place(s, now_ns) : NULL;
	if (!c) {
		counter_add(&s->c.counters->rx_accepted_unusual, 1);
		stack_refuse(s, t);
		return;
	}
	c->ip = t->src_ip;
	c->port = t->src_port;
	memcpy(c->mac, t->src_mac, FRAME_MAC_SIZE);
	tcp_open(&c->tcp, t, iss, now_ns);
	counter_add(&s->c.counters->connections_created, 1);
}

static bool stack_overloaded(const struct stack *s)
{
	size_t pending = 0;

	for (uint32_t i = 0; i < STACK_CONNS_MAX; i++)
		pending += s->conns[i].tcp.tx ? s->conns[i].tcp.tx_len : 0;
	return pending > STACK_PENDING_MAX;
}

/* Requests that are whole, while there is no reply on its way. */
static void stack_serve(struct stack *s, struct stack_conn *c)
{
	struct tcp *tcp = &c->tcp;

	while (tcp_idle(tcp) && tcp->rx_len > 0) {
		struct stack_reply reply = {.text = NULL};
		uint32_t taken;

		if (stack_overloaded(s)) {
			s->waiting = true;
			return;
		}
		taken = s->c.server(s->c.ctx, tcp->rx, tcp->rx_len,
			tcp->rx_len == TCP_RX_MAX || tcp->fin_received, &reply);

		if (taken == 0)
			return;
		tcp_rx_drop(tcp, taken);
		if (reply.text)
			tcp_write(tcp, reply.text, reply.len);
		if (reply.close || !reply.text)
			tcp_close(tcp);
	}
	if (tcp_idle(tcp) && tcp->fin_received)
		tcp_close(tcp);
}

static void stack_input_tcp(struct stack *s, const struct frame_tcp *t, uint64_t now_ns)
{
	struct stack_conn *c;

	if (t->dst_port != STACK_PORT || t->src_port == 0) {
		counter_add(&s->c.counters->rx_accepted_unusual, 1);
		stack_refuse(s, t);
		return;
	}
	c = stack_find(s, t);
	if (!c) {
		stack_input_new(s, t, now_ns);
		return;
	}
	memcpy(c->mac, t->src_mac, FRAME_MAC_SIZE);
	if (!tcp_input(&c->tcp, t, now_ns)) {
		counter_add(&s->c.counters->rx_accepted_unusual, 1);
		stack_refuse(s, t);
	} else if (c->tcp.state == TCP_OPEN) {
		stack_serve(s, c);
	}
	if (c->tcp.state == TCP_DEAD || tcp_done(&c->tcp))
		stack_drop(s, c);
}

void stack_input(
	struct stack *s, const uint8_t *bytes, size_t len, bool csum_partial, uint64_t now_ns)
{
	struct frame f;

	frame_parse(bytes, len, s->c.ip, csum_partial, &f);
	counter_add(&s->c.counters->rx_accepted, 1);
	switch (f.kind) {
	case FRAME_KIND_ARP:
		counter_add(&s->c.counters->rx_count, 1);
		stack_input_arp(s, &f.arp);
		break;
	case FRAME_KIND_TCP:
		counter_add(&s->c.counters->rx_count, 1);
		stack_input_tcp(s, &f.tcp, now_ns);
		break;
	case FRAME_KIND_OTHER:
		counter_add(&s->c.counters->rx_accepted_unusual, 1);
		break;
	case FRAME_KIND_BAD:
	case FRAME_KIND_ALIEN: /* the guest changed it after it was looked at first */
		counter_add(&s->c.counters->rx_accepted_err, 1);
		break;
	}
}

/* ---- out ---- */

static size_t stack_output_arp(struct stack *s, uint8_t *buf)
{
	size_t len = frame_build_arp(&s->arps[s->arp_first], buf);

	s->arp_first = (s->arp_first + 1) % STACK_ARPS_MAX;
	s->arp_count--;
	return len;
}

static size_t stack_output_reset(struct stack *s, uint8_t *buf)
{
	const struct stack_reset *r = &s->resets[s->reset_first];
	struct frame_tcp t = {
		.src_ip = s->c.ip,
		.dst_ip = r->ip,
		.src_port = r->local_port,
		.dst_port = r->port,
		.seq = r->seq,
		.ack = r->ack,
		.flags = r->flags,
	};

	memcpy(t.src_mac, s->c.mac, FRAME_MAC_SIZE);
	memcpy(t.dst_mac, r->mac, FRAME_MAC_SIZE);
	s->reset_first = (s->reset_first + 1) % STACK_RESETS_MAX;
	s->reset_count--;
	return frame_build_tcp(&t, buf);
}

static size_t stack_output_conn(
	struct stack *s, struct stack_conn *c, uint8_t *buf, uint64_t now_ns)
{
	struct frame_tcp t;
	size_t len;

	if (!tcp_output(&c->tcp, now_ns, &t))
		return 0;
	memcpy(t.src_mac, s->c.mac, FRAME_MAC_SIZE);
	memcpy(t.dst_mac, c->mac, FRAME_MAC_SIZE);
	t.src_ip = s->c.ip;
	t.dst_ip = c->ip;
	t.src_port = STACK_PORT;
	t.dst_port = c->port;
	len = frame_build_tcp(&t, buf);
	if (c->tcp.state == TCP_DEAD)
		stack_drop(s, c);
	return len;
}

/* Requests that were put off because of the replies under way. */
static void stack_serve_waiting(struct stack *s)
{
	if (!s->waiting || stack_overloaded(s))
		return;
	s->waiting = false;
	for (uint32_t i = 0; i < STACK_CONNS_MAX; i++)
		if (s->conns[i].tcp.state == TCP_OPEN)
			stack_serve(s, &s->conns[i]);
}

size_t stack_output(struct stack *s, uint8_t *buf, uint64_t now_ns)
{
	size_t len = 0;

	stack_serve_waiting(s);
	if (s->arp_count > 0)
		len = stack_output_arp(s, buf);
	else if (s->reset_count > 0)
		len = stack_output_reset(s, buf);
	for (uint32_t i = 0; i < STACK_CONNS_MAX && len == 0; i++) {
		struct stack_conn *c = &s->conns[s->turn];

		s->turn = (s->turn + 1) % STACK_CONNS_MAX;
		len = stack_output_conn(s, c, buf, now_ns);
	}
	if (len > 0) {
		counter_add(&s->c.counters->tx_frames, 1);
		counter_add(&s->c.counters->tx_count, 1);
		counter_add(&s->c.counters->tx_bytes, len);
	}
	return len;
}

uint64_t stack_deadline_ns(const struct stack *s)
{
	uint64_t first = UINT64_MAX;

	for (uint32_t i = 0; i < STACK_CONNS_MAX; i++) {
		const struct tcp *c = &s->conns[i].tcp;

		if (c->state != TCP_FREE && c->deadline_ns && c->deadline_ns < first)
			first = c->deadline_ns;
	}
	return first;
}
