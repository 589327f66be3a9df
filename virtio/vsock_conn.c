/* SPDX-License-Identifier: Apache-2.0 */
/* One vsock connection. See vsock_conn.h. */
#include "virtio/vsock_conn.h"

#include "vmm/base/check.h"

#include <string.h>

static uint8_t op_bit(enum vsock_op op)
{
	return (uint8_t)(1u << op);
}

void vsock_conn_open_host(struct vsock_conn *c, uint32_t local_port, uint32_t peer_port)
{
	*c = (struct vsock_conn){
		.local_port = local_port,
		.peer_port = peer_port,
		.state = VSOCK_REQUESTED,
		.pending = op_bit(VSOCK_OP_REQUEST),
	};
}

void vsock_conn_open_guest(struct vsock_conn *c, const struct vsock_hdr *h)
{
	*c = (struct vsock_conn){
		.local_port = h->dst_port,
		.peer_port = h->src_port,
		.peer_buf_alloc = h->buf_alloc,
		.peer_fwd_cnt = h->fwd_cnt,
		.state = VSOCK_LIVE,
		.pending = op_bit(VSOCK_OP_RESPONSE),
	};
}

uint32_t vsock_conn_credit(const struct vsock_conn *c)
{
	uint32_t waiting = c->rx_cnt - c->peer_fwd_cnt;

	/* Also covers a guest that claims to have taken more than was sent. */
	return waiting < c->peer_buf_alloc ? c->peer_buf_alloc - waiting : 0;
}

static unsigned conn_recv_data(struct vsock_conn *c, const struct vsock_hdr *h)
{
	if ((c->guest_shut & VSOCK_SHUTDOWN_SEND) ||
		h->len > VSOCK_BUFFER_SIZE - (c->tx_cnt - c->fwd_cnt))
		return VSOCK_DO_RESET;
	c->tx_cnt += h->len;
	return VSOCK_DO_DATA;
}

static unsigned conn_recv_live(struct vsock_conn *c, const struct vsock_hdr *h)
{
	uint8_t shut = c->guest_shut;

	switch (h->op) {
	case VSOCK_OP_RW:
		return conn_recv_data(c, h);
	case VSOCK_OP_CREDIT_UPDATE:
		return 0;
	case VSOCK_OP_CREDIT_REQUEST:
		c->pending |= op_bit(VSOCK_OP_CREDIT_UPDATE);
		return 0;
	case VSOCK_OP_SHUTDOWN:
		c->guest_shut |= (uint8_t)(h->flags & VSOCK_SHUTDOWN_BOTH);
		return c->guest_shut != shut ? VSOCK_DO_SHUT : 0;
	default: /* REQUEST and RESPONSE come too late, others do not exist */
		return VSOCK_DO_RESET;
	}
}

unsigned vsock_conn_recv(struct vsock_conn *c, const struct vsock_hdr *h)
{
	if (h->op == VSOCK_OP_RST)
		return VSOCK_DO_FORGET;
	if (c->state == VSOCK_RESET)
		return 0; /* an RST is on its way */
	c->peer_buf_alloc = h->buf_alloc;
	c->peer_fwd_cnt = h->fwd_cnt;
	if (vsock_conn_credit(c) > 0)
		c->credit_asked = false;
	if (c->state == VSOCK_LIVE)
		return conn_recv_live(c, h);
	CHECK(c->state == VSOCK_REQUESTED);
	/* A RESPONSE before the REQUEST has gone out is made up. */
	if (h->op != VSOCK_OP_RESPONSE || c->pending)
		return VSOCK_DO_RESET;
	c->state = VSOCK_LIVE;
	return VSOCK_DO_OPEN;
}

void vsock_conn_forwarded(struct vsock_conn *c, uint32_t len)
{
	uint32_t unknown;

	CHECK(len <= c->tx_cnt - c->fwd_cnt);
	c->fwd_cnt += len;
	/* Bytes that the guest must still count as waiting here. It never has to stop at half. */
	unknown = c->tx_cnt - c->fwd_cnt_told;
	if (c->fwd_cnt != c->fwd_cnt_told && unknown > VSOCK_BUFFER_SIZE / 2)
		c->pending |= op_bit(VSOCK_OP_CREDIT_UPDATE);
}

void vsock_conn_host_shut(struct vsock_conn *c, unsigned flags)
{
	c->host_shut |= (uint8_t)flags;
}

void vsock_conn_reset(struct vsock_conn *c)
{
	c->state = VSOCK_RESET;
	c->pending = op_bit(VSOCK_OP_RST);
}

enum vsock_op vsock_conn_next(const struct vsock_conn *c, bool readable)
{
	if (c->state == VSOCK_RESET)
		return c->pending ? VSOCK_OP_RST : VSOCK_OP_INVALID;
	if (c->state == VSOCK_REQUESTED)
		return c->pending ? VSOCK_OP_REQUEST : VSOCK_OP_INVALID;
	if (c->state != VSOCK_LIVE)
		return VSOCK_OP_INVALID;
	if (c->pending & op_bit(VSOCK_OP_RESPONSE))
		return VSOCK_OP_RESPONSE;
	readable = readable && !(c->guest_shut & VSOCK_SHUTDOWN_RCV) &&
		   !(c->host_shut & VSOCK_SHUTDOWN_SEND);
	/* Data also tells the credit, so it goes before a bare update. */
	if (readable && vsock_conn_credit(c) > 0)
		return VSOCK_OP_RW;
	if (c->pending & op_bit(VSOCK_OP_CREDIT_UPDATE))
		return VSOCK_OP_CREDIT_UPDATE;
	/* Once for each time the credit runs out: a guest that answers "still none" is not asked again. */
	if (readable && !c->credit_asked)
		return VSOCK_OP_CREDIT_REQUEST;
	return c->host_shut & ~c->host_shut_told ? VSOCK_OP_SHUTDOWN : VSOCK_OP_INVALID;
}

void vsock_conn_build(struct vsock_conn *c, enum vsock_op op, uint32_t len, uint64_t guest_cid,
	struct vsock_hdr *ret)
{
	*ret = (struct vsock_hdr){
		.src_cid = VSOCK_CID_HOST,
		.dst_cid = guest_cid,
		.src_port = c->local_port,
		.dst_port = c->peer_port,
		.len = len,
		.type = VSOCK_TYPE_STREAM,
		.op = (uint16_t)op,
		.buf_alloc = VSOCK_BUFFER_SIZE,
		.fwd_cnt = c->fwd_cnt,
	};
	c->fwd_cnt_told = c->fwd_cnt;
	c->pending &= (uint8_t) ~(op_bit(op) | op_bit(VSOCK_OP_CREDIT_UPDATE));
	switch (op) {
	case VSOCK_OP_RW:
		CHECK(len <= vsock_conn_credit(c));
		c->rx_cnt += len;
		break;
	case VSOCK_OP_SHUTDOWN:
		ret->flags = c->host_shut;
		c->host_shut_told = c->host_shut;
		break;
	case VSOCK_OP_CREDIT_REQUEST:
		c->credit_asked = true;
		break;
	default:
		break;
	}
}

void vsock_reset_build(
	uint32_t local_port, uint32_t peer_port, uint64_t guest_cid, struct vsock_hdr *ret)
{
	*ret = (struct vsock_hdr){
		.src_cid = VSOCK_CID_HOST,
		.dst_cid = guest_cid,
		.src_port = local_port,
		.dst_port = peer_port,
		.type = VSOCK_TYPE_STREAM,
		.op = VSOCK_OP_RST,
	};
}
