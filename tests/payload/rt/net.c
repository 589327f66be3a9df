/* SPDX-License-Identifier: Apache-2.0 */
/* A network driver. See net.h. */
#include "net.h"

#define FRAME_MAX 10000u
#define IP_HEAD   20u
#define ICMP_HEAD 8u

static const uint8_t ip_guest[4] = {10, 11, 12, 2}, ip_host[4] = {10, 11, 12, 1};

static void post(struct net *n, uint16_t i)
{
	vq_set(&n->rx, i, n->bufs + (uint64_t)i * n->buf_size, n->buf_size, VD_WRITE, 0);
	vq_push(&n->rx, i);
}

static void prepare(struct net *n, struct vdev *d, uint32_t buf_size)
{
	if (n->dev == NULL) {
		n->dev = d;
		n->bufs = alloc((uint64_t)NET_QUEUE * buf_size, PAGE);
		n->tx_frame = alloc(FRAME_MAX, PAGE);
		n->buf_size = buf_size;
	}
	EXPECT(buf_size <= n->buf_size, "buffers cannot grow");
	n->buf_size = buf_size;
	for (unsigned i = 0; i < sizeof(n->mac); i++)
		n->mac[i] = mmio_read8(d->base + VR_CONFIG + i);
}

void net_start_pairs(
	struct net *n, uint16_t pairs, struct vq *ctrl, uint64_t wanted, uint32_t buf_size)
{
	struct vdev *d = vdev_need(VIRTIO_ID_NET, 0);

	vdev_negotiate(d, wanted | VF_NET_MAC);
	for (uint16_t i = 0; i < pairs; i++) {
		prepare(&n[i], d, buf_size);
		vq_init(&n[i].rx, d, (uint16_t)(2 * i), NET_QUEUE);
		vq_init(&n[i].tx, d, (uint16_t)(2 * i + 1), NET_QUEUE);
	}
	if (ctrl != NULL)
		vq_init(ctrl, d, (uint16_t)(2 * pairs), 16);
	vdev_driver_ok(d);
	EXPECT((vdev_status(d) & VS_DRIVER_OK) != 0, "DRIVER_OK refused");
	for (uint16_t i = 0; i < pairs; i++) {
		for (uint16_t k = 0; k < n[i].rx.size; k++)
			post(&n[i], k);
		vq_kick(&n[i].rx);
	}
}

void net_start(struct net *n, uint64_t wanted, uint32_t buf_size)
{
	net_start_pairs(n, 1, NULL, wanted, buf_size);
}

static bool pop_within(struct vq *q, struct vq_used_elem *ret, unsigned seconds)
{
	struct patience p = patience_s(seconds);

	while (__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) == q->used_seen)
		if (!patient(&p))
			return false;
	*ret = q->used->ring[q->used_seen++ % q->size];
	return true;
}

uint32_t net_receive(struct net *n, uint8_t *to, uint32_t max, unsigned seconds)
{
	uint32_t len = 0, left = 1;
	struct vq_used_elem e;

	for (uint32_t i = 0; i < left; i++) {
		uint32_t skip = i == 0 ? sizeof(struct net_header) : 0;
		const uint8_t *buf;

		if (!pop_within(&n->rx, &e, i == 0 ? seconds : 0)) {
			EXPECT(i == 0, "buffer %u of %u of a frame is not there", i, left);
			return 0;
		}
		EXPECT(e.id < n->rx.size, "used buffer %u does not exist", e.id);
		EXPECT(e.len > skip && e.len <= n->buf_size, "a buffer of %u bytes", e.len);
		buf = n->bufs + (uint64_t)e.id * n->buf_size;
		if (i == 0)
			left = ((const struct net_header *)(const void *)buf)->num_buffers;
		EXPECT(left >= 1 && left <= n->rx.size, "a frame of %u buffers", left);
		EXPECT(len + e.len - skip <= max, "a frame of more than %u bytes", max);
		memcpy(to + len, buf + skip, e.len - skip);
		len += e.len - skip;
		post(n, (uint16_t)e.id);
	}
	vq_kick(&n->rx);
	return len;
}

void net_transmit(struct net *n, struct net_header h, const void *frame, uint32_t len)
{
	static struct net_header header;
	struct vq_used_elem e;

	header = h;
	memcpy(n->tx_frame, frame, len);
	vq_set(&n->tx, 0, &header, sizeof(header), VD_NEXT, 1);
	vq_set(&n->tx, 1, n->tx_frame, len, 0, 0);
	vq_push(&n->tx, 0);
	vq_kick(&n->tx);
	EXPECT(vq_pop(&n->tx, &e), "a frame is never given back, status 0x%x", vdev_status(n->dev));
	EXPECT_EQ(e.id, 0, "head of a transmitted frame");
}

static uint8_t *put(uint8_t *at, const void *from, size_t len)
{
	memcpy(at, from, len);
	return at + len;
}

void net_arp(struct net *n)
{
	static const uint8_t head[10] = {0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1};
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	static uint8_t frame[60], got[FRAME_MAX];
	uint8_t *p = frame;

	p = put(p, all, 6);
	p = put(p, n->mac, 6);
	p = put(p, head, sizeof(head));
	p = put(p, n->mac, 6);
	p = put(p, ip_guest, 4);
	p += 6;
	put(p, ip_host, 4);
	/* Asked again: the host drops what it would send before it has seen the link come up. */
	for (unsigned turn = 0; turn < 10; turn++) {
		uint32_t len;

		net_transmit(n, (struct net_header){0}, frame, sizeof(frame));
		while ((len = net_receive(n, got, sizeof(got), 1)) > 0) {
			if (len < 42 || got[12] != 8 || got[13] != 6 || got[21] != 2 ||
				memcmp(got + 28, ip_host, 4) != 0)
				continue;
			memcpy(n->peer, got + 22, 6);
			return;
		}
	}
	fail("no answer to ARP, status 0x%x", vdev_status(n->dev));
}

static uint32_t sum16(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	return sum;
}

static void put_sum(uint8_t *at, uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	at[0] = (uint8_t)(~sum >> 8);
	at[1] = (uint8_t)~sum;
}

static uint8_t ping_byte(uint32_t i, uint8_t id)
{
	return (uint8_t)(i ^ i >> 8 ^ id);
}

static uint8_t ping_id;

void net_ping_send(struct net *n, uint32_t len)
{
	static uint8_t frame[FRAME_MAX];
	uint8_t *ip = frame + NET_ETH, *icmp = ip + IP_HEAD, *data = icmp + ICMP_HEAD;
	uint32_t ip_len = IP_HEAD + ICMP_HEAD + len;
	struct net_header h = {0};

	ping_id++;
	memset(frame, 0, NET_ETH + ip_len);
	memcpy(frame, n->peer, 6);
	memcpy(frame + 6, n->mac, 6);
	frame[12] = 8;
	ip[0] = 0x45;
	ip[2] = (uint8_t)(ip_len >> 8);
	ip[3] = (uint8_t)ip_len;
	ip[8] = 64;
	ip[9] = 1;
	memcpy(ip + 12, ip_guest, 4);
	memcpy(ip + 16, ip_host, 4);
	put_sum(ip + 10, sum16(0, ip, IP_HEAD));
	icmp[0] = 8;
	icmp[4] = ping_id;
	for (uint32_t i = 0; i < len; i++)
		data[i] = ping_byte(i, ping_id);
	if (n->dev->features & VF_NET_CSUM)
		h = (struct net_header){.flags = NET_HDR_NEEDS_CSUM,
			.csum_start = NET_ETH + IP_HEAD,
			.csum_offset = 2};
	else
		put_sum(icmp + 2, sum16(0, icmp, ICMP_HEAD + len));
	net_transmit(n, h, frame, NET_ETH + ip_len);
}

bool net_ping_answered(struct net *n, uint32_t len, unsigned seconds)
{
	static uint8_t got[FRAME_MAX];
	uint32_t want = NET_ETH + IP_HEAD + ICMP_HEAD + len, back;

	while ((back = net_receive(n, got, sizeof(got), seconds)) > 0) {
		if (back < NET_ETH + IP_HEAD + ICMP_HEAD || got[12] != 8 || got[13] != 0 ||
			got[23] != 1 || got[34] != 0 || got[38] != ping_id)
			continue;
		EXPECT(back >= want, "%u bytes came back of %u", back, want);
		for (uint32_t i = 0; i < len; i++)
			EXPECT(got[42 + i] == ping_byte(i, ping_id), "byte %u of a ping is 0x%x", i,
				got[42 + i]);
		return true;
	}
	return false;
}

void net_ping(struct net *n, uint32_t len)
{
	net_ping_send(n, len);
	EXPECT(net_ping_answered(n, len, 5), "no answer to a ping of %u bytes", len);
}
