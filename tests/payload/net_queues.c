/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three queue pairs: the control queue switches them on and off and refuses other numbers, and
 * frames flow whatever their number is, through whichever queue the host's kernel picks.
 */
#include "rt/net.h"

#define PAIRS 3u

static struct vq ctrl;

static uint8_t set_pairs(uint16_t count)
{
	static uint8_t cmd[4];
	static volatile uint8_t ack;
	struct vq_used_elem e;

	cmd[0] = 4;
	cmd[2] = (uint8_t)count;
	cmd[3] = (uint8_t)(count >> 8);
	ack = 0xff;
	vq_set(&ctrl, 0, cmd, sizeof(cmd), VD_NEXT, 1);
	vq_set(&ctrl, 1, (const void *)(uint64_t)&ack, 1, VD_WRITE, 0);
	vq_push(&ctrl, 0);
	vq_kick(&ctrl);
	EXPECT(vq_pop(&ctrl, &e), "no answer to a command");
	EXPECT_EQ(e.len, 1, "used length of a command");
	return ack;
}

/* Sent by one pair, answered by whichever the host picks. */
static void ping_by(struct net *pair, unsigned by)
{
	struct patience p = patience_s(5);

	net_ping_send(&pair[by], 1000);
	for (unsigned i = 0; !net_ping_answered(&pair[i], 1000, 0); i = (i + 1) % PAIRS)
		EXPECT(patient(&p), "no answer to a ping by pair %u", by);
}

int payload_main(const struct payload_boot *boot)
{
	static struct net pair[PAIRS];
	struct vdev *d = vdev_need(VIRTIO_ID_NET, 0);

	(void)boot;
	EXPECT_EQ(mmio_read16(d->base + VR_CONFIG + 8), PAIRS, "max_virtqueue_pairs");
	net_start_pairs(pair, PAIRS, &ctrl, VF_NET_MRG_RXBUF | VF_NET_CTRL_VQ | VF_NET_MQ, 1536);
	net_arp(&pair[0]);
	for (unsigned i = 1; i < PAIRS; i++)
		memcpy(pair[i].peer, pair[0].peer, sizeof(pair[i].peer));
	for (uint16_t count = 1; count <= PAIRS; count++) {
		EXPECT_EQ(set_pairs(count), 0, "a good number of pairs");
		for (unsigned by = 0; by < count; by++)
			ping_by(pair, by);
	}
	EXPECT_EQ(set_pairs(0), 1, "no pairs at all");
	EXPECT_EQ(set_pairs(PAIRS + 1), 1, "too many pairs");
	EXPECT_EQ(set_pairs(1), 0, "one pair again");
	net_ping(&pair[0], 1000);
	return 0;
}
