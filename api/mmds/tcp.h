/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a TCP connection (RFC 9293) that a peer opened: it receives requests of a bounded
 * size and sends one reply at a time. No addresses, no I/O, no clock: segments in, segments out,
 * time is a parameter.
 *
 *	state         what may be called                      next
 *	FREE          tcp_open                                SYN_RECEIVED
 *	SYN_RECEIVED  tcp_input, tcp_output                   OPEN, DEAD
 *	OPEN          the same, tcp_rx_*, tcp_write, _close   DEAD
 *	DEAD          tcp_free                                FREE
 *
 * What is left out, because the other end is in the same machine: congestion control, selective
 * acknowledgements, window scaling, timestamps, delayed acknowledgements, TIME_WAIT (a peer whose
 * last segment is lost is told by RST that all is over). Segments that leave a gap are dropped
 * and come again.
 */
#pragma once

#include "api/mmds/frame.h"
#include "vmm/base/clock.h"

#define TCP_RX_MAX      2500u /* bytes of a request, and the window */
#define TCP_MSS_OURS    1460u
#define TCP_MSS_DEFAULT 536u
#define TCP_MSS_MIN     64u /* a smaller one would only cost time */
#define TCP_RTO_NS      (200 * CLOCK_NS_PER_MS)
#define TCP_BACKOFF_MAX 6u /* the longest wait is TCP_RTO_NS << this: 12.8 s */
#define TCP_TRIES_MAX   8u

enum tcp_state { TCP_FREE, TCP_SYN_RECEIVED, TCP_OPEN, TCP_DEAD };

struct tcp {
	enum tcp_state state;
	uint16_t mss;      /* what we may send at once */
	bool ack_due;      /* tell the peer how far we are */
	bool fin_received; /* the peer sends no more; rcv_nxt counts it */
	bool fin_wanted;   /* ours goes out behind the data */
	bool fin_acked;
	bool probe;           /* a byte may go out though there is no room */
	uint8_t tries;        /* retransmissions that nothing came back for */
	uint8_t backoff;      /* the next wait is TCP_RTO_NS << this */
	uint32_t snd_una;     /* the oldest byte not acknowledged */
	uint32_t snd_nxt;     /* the next to be sent */
	uint32_t snd_max;     /* the highest snd_nxt so far: later ones were never sent */
	uint32_t snd_wnd;     /* the peer's room, from snd_una */
	uint32_t wl1, wl2;    /* seq and ack of the segment that said so */
	uint32_t rcv_nxt;     /* the next byte expected */
	uint64_t deadline_ns; /* when to send again; 0: nothing is out */
	uint64_t progress_ns; /* when the connection last got on */
	char *tx;             /* owned: the reply, or NULL */
	uint32_t tx_len;      /* its bytes */
	uint32_t tx_seq;      /* of its first byte, or of the next reply's */
	uint32_t rx_len;      /* bytes in rx */
	uint8_t rx[TCP_RX_MAX];
};

/* A SYN arrived. iss: our first sequence number, not to be guessed. */
void tcp_open(struct tcp *c, const struct frame_tcp *syn, uint32_t iss, uint64_t now_ns);
void tcp_free(struct tcp *c);

/*
 * A segment arrived. False: it belongs to no connection that there is, and is to be answered with
 * RST; the connection itself stays as it was.
 */
bool tcp_input(struct tcp *c, const struct frame_tcp *s, uint64_t now_ns);

/*
 * The next segment to send: everything but addresses and ports of *ret is set, its data borrowed
 * until the next call. False: there is none at this time.
 */
bool tcp_output(struct tcp *c, uint64_t now_ns, struct frame_tcp *ret);

/* Request bytes are in c->rx, c->rx_len of them; the first count are done with. */
void tcp_rx_drop(struct tcp *c, uint32_t count);

/* Sends reply, a heap buffer that is taken over. Only while tcp_idle. */
void tcp_write(struct tcp *c, char *reply, uint32_t len);
/* No reply is on its way, and none was cut off by tcp_close. */
bool tcp_idle(const struct tcp *c);

/* Ends our direction after what was written; requests that still come are ignored. */
void tcp_close(struct tcp *c);

/* Both ends have closed and know it of each other. */
bool tcp_done(const struct tcp *c);
