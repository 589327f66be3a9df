/* SPDX-License-Identifier: Apache-2.0 */
/* One end of a TCP connection. See tcp.h; section numbers are those of RFC 9293. */
#include "api/mmds/tcp.h"

#include "vmm/base/check.h"
#include "vmm/base/wipe.h"

#include <stdlib.h>
#include <string.h>

/* How far a is past b, on the circle of sequence numbers. */
static int32_t tcp_diff(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static uint32_t tcp_window(const struct tcp *c)
{
	return c->fin_wanted ? TCP_RX_MAX : TCP_RX_MAX - c->rx_len;
}

/* Behind the last byte of the reply: the place of our FIN. */
static uint32_t tcp_end(const struct tcp *c)
{
	return c->tx_seq + c->tx_len;
}

void tcp_open(struct tcp *c, const struct frame_tcp *syn, uint32_t iss, uint64_t now_ns)
{
	uint32_t mss = syn->mss ? syn->mss : TCP_MSS_DEFAULT;

	CHECK(c->state == TCP_FREE);
	memset(c, 0, offsetof(struct tcp, rx));
	c->state = TCP_SYN_RECEIVED;
	c->mss = (uint16_t)MIN(MAX(mss, TCP_MSS_MIN), TCP_MSS_OURS);
	c->snd_una = c->snd_nxt = c->snd_max = iss;
	c->tx_seq = iss + 1;
	c->snd_wnd = syn->window;
	c->wl1 = syn->seq;
	c->wl2 = iss;
	c->rcv_nxt = syn->seq + 1;
	c->progress_ns = now_ns;
}

void tcp_free(struct tcp *c)
{
	wipe_free(c->tx);
	explicit_bzero(c->rx, c->rx_len);
	c->tx = NULL;
	c->state = TCP_FREE;
}

static void tcp_arm(struct tcp *c, uint64_t now_ns)
{
	c->deadline_ns = now_ns + (TCP_RTO_NS << c->backoff);
}

/* ---- in ---- */

/* §3.10.7.4, "first" to "fourth": RST, SYN, and segments out of the window. False: no more to do. */
static bool tcp_input_admit(struct tcp *c, const struct frame_tcp *s)
{
	uint32_t len = s->len + ((s->flags & FRAME_FIN) ? 1 : 0);
	int32_t ahead = tcp_diff(s->seq, c->rcv_nxt);
	bool in_window = ahead == 0 || (ahead > 0 && (uint32_t)ahead < tcp_window(c));

	if (s->flags & FRAME_RST) {
		if (ahead == 0)
			c->state = TCP_DEAD;
		else
			c->ack_due = c->ack_due || in_window; /* RFC 5961: it must hit exactly */
		return false;
	}
	if (s->flags & FRAME_SYN) {
		/* The SYN again: so is our answer. Another one: the peer is told where we are. */
		if (c->state == TCP_SYN_RECEIVED && ahead == -1)
			c->snd_nxt = c->snd_una;
		else
			c->ack_due = true;
		return false;
	}
	if (in_window || (ahead < 0 && tcp_diff(s->seq + len, c->rcv_nxt) > 0))
		return (s->flags & FRAME_ACK) != 0;
	c->ack_due = true; /* a duplicate, a keep-alive, or beyond the window */
	return false;
}

static void tcp_input_progress(struct tcp *c, uint64_t now_ns)
{
	c->tries = c->backoff = 0;
	c->probe = false;
	c->progress_ns = now_ns;
}

static void tcp_input_window(struct tcp *c, const struct frame_tcp *s)
{
	if (tcp_diff(s->seq, c->wl1) < 0 || (s->seq == c->wl1 && tcp_diff(s->ack, c->wl2) < 0))
		return;
	if (c->snd_wnd == 0 && s->window > 0) {
		/* A probe that found no room is sent again at once. */
		c->snd_nxt = c->snd_una;
		c->deadline_ns = 0;
		c->backoff = 0;
		c->probe = false;
	}
	c->snd_wnd = s->window;
	c->wl1 = s->seq;
	c->wl2 = s->ack;
}

/* §3.10.7.4, "fifth". False: the acknowledgement is of something never sent. */
static bool tcp_input_ack(struct tcp *c, const struct frame_tcp *s, uint64_t now_ns)
{
	if (tcp_diff(s->ack, c->snd_max) > 0) {
		c->ack_due = true;
		return false;
	}
	if (tcp_diff(s->ack, c->snd_una) < 0)
		return true; /* old: its data may still be new */
	c->tries = 0;        /* the peer lives */
	if (s->ack != c->snd_una) {
		c->snd_una = s->ack;
		if (tcp_diff(c->snd_nxt, c->snd_una) < 0)
			c->snd_nxt = c->snd_una;
		tcp_input_progress(c, now_ns);
		if (c->snd_una == c->snd_nxt)
			c->deadline_ns = 0;
		else
			tcp_arm(c, now_ns);
	}
	if (c->tx && tcp_diff(c->snd_una, tcp_end(c)) >= 0) {
		wipe_free(c->tx);
		c->tx = NULL;
		c->tx_seq += c->tx_len;
		c->tx_len = 0;
	}
	c->fin_acked = c->fin_wanted && c->snd_una == tcp_end(c) + 1;
	tcp_input_window(c, s);
	return true;
}

/* §3.10.7.4, "seventh" and "eighth". */
static void tcp_input_data(struct tcp *c, const struct frame_tcp *s, uint64_t now_ns)
{
	uint32_t known = c->rcv_nxt - s->seq; /* a gap in front counts as very much */
	bool fin = (s->flags & FRAME_FIN) != 0;
	uint32_t fresh, taken;

	if (s->len == 0 && !fin)
		return;
	c->ack_due = true;
	if (c->fin_received || known > s->len)
		return;
	fresh = s->len - known;
	taken = MIN(fresh, tcp_window(c));
	if (!c->fin_wanted && taken > 0) {
		memcpy(c->rx + c->rx_len, s->data + known, taken);
		c->rx_len += taken;
	}
	c->rcv_nxt += taken;
	if (fin && taken == fresh) {
		c->fin_received = true;
		c->rcv_nxt++;
	}
	if (taken > 0 || c->fin_received)
		c->progress_ns = now_ns;
}

bool tcp_input(struct tcp *c, const struct frame_tcp *s, uint64_t now_ns)
{
	CHECK(c->state == TCP_SYN_RECEIVED || c->state == TCP_OPEN);
	if (!tcp_input_admit(c, s))
		return true;
	if (c->state == TCP_SYN_RECEIVED) {
		if (s->ack != c->snd_una + 1 || c->snd_max == c->snd_una)
			return false;
		c->state = TCP_OPEN;
	}
	if (tcp_input_ack(c, s, now_ns))
		tcp_input_data(c, s, now_ns);
	return true;
}

/* ---- out ---- */

/* The time for an acknowledgement is over: everything from snd_una on goes out again. */
static void tcp_output_timeout(struct tcp *c, uint64_t now_ns)
{
	if (c->deadline_ns == 0 || now_ns < c->deadline_ns)
		return;
	c->deadline_ns = 0;
	c->snd_nxt = c->snd_una;
	c->probe = true;
	c->tries++;
	c->backoff = (uint8_t)MIN(c->backoff + 1u, TCP_BACKOFF_MAX);
}

static void tcp_output_sent(struct tcp *c, uint32_t seq_count, uint64_t now_ns)
{
	c->snd_nxt += seq_count;
	if (tcp_diff(c->snd_nxt, c->snd_max) > 0)
		c->snd_max = c->snd_nxt;
	c->ack_due = false;
	if (seq_count > 0 && c->deadline_ns == 0)
		tcp_arm(c, now_ns);
}

/* How many bytes of the reply may go out now. */
static uint32_t tcp_output_count(struct tcp *c, uint64_t now_ns)
{
	int32_t left = tcp_diff(tcp_end(c), c->snd_nxt);
	int32_t room = tcp_diff(c->snd_una + c->snd_wnd, c->snd_nxt);
	uint32_t count;

	if (left <= 0)
		return 0;
	if (room <= 0) {
		if (c->snd_nxt != c->snd_una)
			return 0;
		/* §3.8.6.1: the word that there is room again may be lost, so ask. */
		if (c->probe)
			return 1;
		if (c->deadline_ns == 0)
			tcp_arm(c, now_ns);
		return 0;
	}
	count = (uint32_t)MIN(MIN(left, room), (int32_t)c->mss);
	/* §3.8.6.2.1: no small segment just because the window is small, unless nothing is out. */
	if (count < MIN((uint32_t)left, c->mss) && c->snd_nxt != c->snd_una)
		return 0;
	return count;
}

static bool tcp_output_syn(struct tcp *c, uint64_t now_ns, struct frame_tcp *ret)
{
	if (c->snd_nxt != c->snd_una) {
		/* Another SYN of the same peer, which has forgotten this one: it will answer RST. */
		if (!c->ack_due)
			return false;
		tcp_output_sent(c, 0, now_ns);
		return true;
	}
	ret->flags = FRAME_SYN | FRAME_ACK;
	ret->mss = TCP_MSS_OURS;
	tcp_output_sent(c, 1, now_ns);
	return true;
}

static bool tcp_output_open(struct tcp *c, uint64_t now_ns, struct frame_tcp *ret)
{
	uint32_t count = tcp_output_count(c, now_ns), seq_count = count;

	if (count > 0) {
		ret->data = (const uint8_t *)c->tx + (c->snd_nxt - c->tx_seq);
		ret->len = count;
		c->probe = false;
	}
	if (c->snd_nxt + count == tcp_end(c)) {
		if (count > 0)
			ret->flags |= FRAME_PSH;
		if (c->fin_wanted) {
			ret->flags |= FRAME_FIN;
			seq_count++;
		}
	}
	if (seq_count == 0 && !c->ack_due)
		return false;
	tcp_output_sent(c, seq_count, now_ns);
	return true;
}

bool tcp_output(struct tcp *c, uint64_t now_ns, struct frame_tcp *ret)
{
	if (c->state != TCP_SYN_RECEIVED && c->state != TCP_OPEN)
		return false;
	tcp_output_timeout(c, now_ns);
	*ret = (struct frame_tcp){
		.seq = c->snd_nxt,
		.ack = c->rcv_nxt,
		.flags = FRAME_ACK,
		.window = (uint16_t)tcp_window(c),
	};
	if (c->tries > TCP_TRIES_MAX) {
		ret->flags = FRAME_RST | FRAME_ACK;
		c->state = TCP_DEAD;
		return true;
	}
	if (c->state == TCP_SYN_RECEIVED)
		return tcp_output_syn(c, now_ns, ret);
	return tcp_output_open(c, now_ns, ret);
}

/* ---- the user's side ---- */

void tcp_rx_drop(struct tcp *c, uint32_t count)
{
	CHECK(count <= c->rx_len);
	c->rx_len -= count;
	memmove(c->rx, c->rx + count, c->rx_len);
	explicit_bzero(c->rx + c->rx_len, count); /* a request has a token */
	c->ack_due = true;                        /* there is room again */
}

bool tcp_idle(const struct tcp *c)
{
	return c->state == TCP_OPEN && !c->tx && !c->fin_wanted;
}

void tcp_write(struct tcp *c, char *reply, uint32_t len)
{
	CHECK(tcp_idle(c) && len > 0);
	c->tx = reply;
	c->tx_len = len;
}

void tcp_close(struct tcp *c)
{
	c->fin_wanted = true;
	explicit_bzero(c->rx, c->rx_len);
	c->rx_len = 0;
}

bool tcp_done(const struct tcp *c)
{
	return c->fin_received && c->fin_acked;
}
