/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that serves echo on port 5000 until payload.conns connections have ended: credit both
 * ways, half-close by the host, and the order of bytes, as the host's side of the test checks them.
 * payload.halt=1: it sleeps while there is nothing to do.
 */
#include "rt/load.h"
#include "rt/vsock.h"

#define PORT      5000u
#define CONNS_MAX 128u
#define BUFFER    0x8000u

struct conn {
	bool used, host_ended, we_ended;
	uint32_t host_port;
	uint32_t rx_cnt, fwd_cnt;                      /* bytes from the host, and sent back */
	uint32_t tx_cnt, host_buf_alloc, host_fwd_cnt; /* bytes to the host, its credit */
	uint8_t *buf;
};

static struct conn conns[CONNS_MAX];
static struct vsock sock;

static struct conn *find(uint32_t host_port)
{
	for (unsigned i = 0; i < CONNS_MAX; i++)
		if (conns[i].used && conns[i].host_port == host_port)
			return &conns[i];
	return NULL;
}

static void answer(
	const struct conn *c, uint16_t op, uint32_t flags, const void *data, uint32_t len)
{
	static struct vsock_hdr h;

	h = vsock_hdr(&sock, op, PORT, c->host_port);
	h.len = len;
	h.flags = flags;
	h.buf_alloc = BUFFER;
	h.fwd_cnt = c->fwd_cnt + (op == VSOCK_RW ? len : 0);
	vsock_send(&sock, &h, data, len);
}

static void open_conn(uint32_t host_port)
{
	for (unsigned i = 0; i < CONNS_MAX; i++) {
		struct conn *c = &conns[i];
		uint8_t *buf = c->buf;

		if (c->used)
			continue;
		*c = (struct conn){.used = true, .host_port = host_port};
		c->buf = buf != NULL ? buf : alloc(BUFFER, PAGE);
		answer(c, VSOCK_RESPONSE, 0, NULL, 0);
		return;
	}
	fail("more than %u connections", CONNS_MAX);
}

/* Sends back what the host's credit allows. */
static void echo(struct conn *c)
{
	while (c->rx_cnt != c->fwd_cnt) {
		uint32_t at = c->fwd_cnt % BUFFER, len = c->rx_cnt - c->fwd_cnt;
		uint32_t credit = c->host_buf_alloc - (c->tx_cnt - c->host_fwd_cnt);

		if (len > BUFFER - at)
			len = BUFFER - at;
		if (len > credit)
			len = credit;
		if (len == 0)
			return;
		answer(c, VSOCK_RW, 0, c->buf + at, len);
		c->fwd_cnt += len;
		c->tx_cnt += len;
	}
	if (c->host_ended && !c->we_ended)
		answer(c, VSOCK_SHUTDOWN, 3, NULL, 0);
	c->we_ended = c->host_ended;
}

static void take(struct conn *c, const struct vsock_packet *p)
{
	EXPECT(p->h.len <= BUFFER - (c->rx_cnt - c->fwd_cnt), "the host sent beyond its credit");
	for (uint32_t i = 0; i < p->h.len; i++)
		c->buf[(c->rx_cnt + i) % BUFFER] = p->data[i];
	c->rx_cnt += p->h.len;
}

/* True when a connection has ended. */
static bool handle(const struct vsock_packet *p)
{
	struct conn *c = find(p->h.src_port);

	EXPECT(p->h.dst_port == PORT, "a packet for port %u", p->h.dst_port);
	if (p->h.op == VSOCK_REQUEST) {
		EXPECT(c == NULL, "a second request of port %u", p->h.src_port);
		open_conn(p->h.src_port);
		c = find(p->h.src_port);
	}
	EXPECT(c != NULL, "op %u of nobody's connection", p->h.op);
	c->host_buf_alloc = p->h.buf_alloc;
	c->host_fwd_cnt = p->h.fwd_cnt;
	if (p->h.op == VSOCK_RW)
		take(c, p);
	if (p->h.op == VSOCK_CREDIT_REQUEST)
		answer(c, VSOCK_CREDIT_UPDATE, 0, NULL, 0);
	if (p->h.op == VSOCK_SHUTDOWN)
		c->host_ended = true;
	if (p->h.op == VSOCK_RST) {
		EXPECT(c->we_ended, "an RST in the middle, after %u bytes", c->rx_cnt);
		c->used = false;
		return true;
	}
	echo(c);
	return false;
}

/* Interrupts are off but in the HLT, so none is missed. */
static void sleep(void)
{
	uint32_t status;

	halt();
	status = vr_read(sock.dev, VR_INT_STATUS);
	if (status != 0)
		vr_write(sock.dev, VR_INT_ACK, status);
}

int payload_main(const struct payload_boot *boot)
{
	bool halts = arg_u64("payload.halt", 0) != 0;
	uint64_t left = arg_u64("payload.conns", 1);
	struct patience p = patience_s(30);

	(void)boot;
	vsock_start(&sock, VF_INDIRECT);
	EXPECT_EQ(sock.cid, 3, "the guest's address");
	if (halts)
		load_init(sock.dev);
	while (left > 0) {
		struct vsock_packet *packet = vsock_poll(&sock);

		EXPECT(patient(&p), "%lu connections are left", left);
		if (packet == NULL) {
			if (halts)
				sleep();
			continue;
		}
		left -= handle(packet) ? 1 : 0;
		vsock_done(&sock, packet);
	}
	return 0;
}
