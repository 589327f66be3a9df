/* SPDX-License-Identifier: Apache-2.0 */
/* A vsock driver for payloads. See vsock.h. */
#include "vsock.h"

#define QUEUE 64

static void give(struct vsock *v, uint16_t i)
{
	vq_set(&v->rx, i, &v->packets[i], sizeof(v->packets[i]), VD_WRITE, 0);
	vq_push(&v->rx, i);
}

void vsock_start(struct vsock *v, uint64_t features)
{
	struct vsock_packet *packets = v->packets;

	v->dev = vdev_need(VIRTIO_ID_VSOCK, 0);
	vdev_negotiate(v->dev, features);
	vq_init(&v->rx, v->dev, 0, QUEUE);
	vq_init(&v->tx, v->dev, 1, QUEUE);
	vq_init(&v->event, v->dev, 2, QUEUE);
	if (packets == NULL)
		packets = alloc(VSOCK_RX_COUNT * sizeof(*packets), PAGE);
	v->packets = packets;
	v->cid = mmio_read32(v->dev->base + VR_CONFIG) |
		 (uint64_t)mmio_read32(v->dev->base + VR_CONFIG + 4) << 32;
	for (uint16_t i = 0; i < VSOCK_RX_COUNT; i++)
		give(v, i);
	vdev_driver_ok(v->dev);
	vq_kick(&v->rx);
}

struct vsock_hdr vsock_hdr(const struct vsock *v, uint16_t op, uint32_t port, uint32_t host_port)
{
	return (struct vsock_hdr){
		.src_cid = v->cid,
		.dst_cid = 2,
		.src_port = port,
		.dst_port = host_port,
		.type = 1,
		.op = op,
		.buf_alloc = 0x10000,
	};
}

void vsock_post(struct vsock *v, uint16_t i, const struct vsock_hdr *h, uint32_t h_len,
	const void *data, uint32_t len)
{
	vq_set(&v->tx, i, h, h_len, len > 0 ? VD_NEXT : 0, (uint16_t)(i + 1));
	if (len > 0)
		vq_set(&v->tx, (uint16_t)(i + 1), data, len, 0, 0);
	vq_push(&v->tx, i);
}

void vsock_send(struct vsock *v, const struct vsock_hdr *h, const void *data, uint32_t len)
{
	struct vq_used_elem e;

	vsock_post(v, 0, h, sizeof(*h), data, len);
	vq_kick(&v->tx);
	EXPECT(vq_pop(&v->tx, &e), "the device does not take a packet of op %u", h->op);
}

struct vsock_packet *vsock_poll(struct vsock *v)
{
	struct vq_used_elem e;
	struct vsock_packet *p;

	if (__atomic_load_n(&v->rx.used->idx, __ATOMIC_ACQUIRE) == v->rx.used_seen)
		return NULL;
	e = v->rx.used->ring[v->rx.used_seen++ % v->rx.size];
	EXPECT(e.id < VSOCK_RX_COUNT, "a packet in descriptor %u", e.id);
	p = &v->packets[e.id];
	EXPECT(e.len == sizeof(p->h) + p->h.len && p->h.len <= VSOCK_RX_SIZE,
		"a packet of %u bytes with %u of payload", e.len, p->h.len);
	EXPECT(p->h.src_cid == 2 && p->h.dst_cid == v->cid && p->h.type == 1,
		"a packet from 0x%lx to 0x%lx", p->h.src_cid, p->h.dst_cid);
	return p;
}

void vsock_done(struct vsock *v, const struct vsock_packet *p)
{
	give(v, (uint16_t)(p - v->packets));
	vq_kick(&v->rx);
}

struct vsock_hdr vsock_expect(struct vsock *v, uint16_t op)
{
	struct patience p = patience_s(5);

	while (patient(&p)) {
		struct vsock_packet *packet = vsock_poll(v);
		struct vsock_hdr h;

		if (packet == NULL)
			continue;
		h = packet->h;
		vsock_done(v, packet);
		if (h.op == op)
			return h;
	}
	fail("no packet of op %u", op);
}
