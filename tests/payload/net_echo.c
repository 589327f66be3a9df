/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side sends every byte of the stream back, so each frame returns as it went: frames of
 * all sizes one by one, and many at once, more than the socket between holds.
 */
#include "rt/net.h"

#define MANY  63u    /* the last descriptor holds the frame of all */
#define LARGE 40000u /* more than a stream socket takes in one piece */

static uint8_t frame[LARGE], got[LARGE];

static void fill(uint32_t len, uint8_t id)
{
	for (uint32_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(i ^ i >> 8 ^ id);
}

static void expect_back(struct net *n, uint32_t len)
{
	EXPECT_EQ(net_receive(n, got, sizeof(got), 5), len, "length of a frame that came back");
	EXPECT(memcmp(got, frame, len) == 0, "a frame of %u bytes is another", len);
}

int payload_main(const struct payload_boot *boot)
{
	static struct net_header header;
	static struct net n;
	struct vq_used_elem e;

	(void)boot;
	net_start(&n, VF_NET_MRG_RXBUF, 1536);
	EXPECT((vdev_features(n.dev) & VF_NET_CSUM) == 0, "checksums are offered");
	for (uint32_t len = 14; len <= 9014; len += 250) {
		fill(len, (uint8_t)len);
		net_transmit(&n, (struct net_header){0}, frame, len);
		expect_back(&n, len);
	}
	for (unsigned turn = 0; turn < 5; turn++) {
		fill(LARGE, (uint8_t)turn);
		vq_set(&n.tx, MANY, frame, sizeof(frame), 0, 0);
		for (uint16_t i = 0; i < MANY; i++) {
			vq_set(&n.tx, i, &header, sizeof(header), VD_NEXT, MANY);
			vq_push(&n.tx, i);
		}
		vq_kick(&n.tx);
		for (unsigned i = 0; i < MANY; i++)
			expect_back(&n, sizeof(frame));
		for (unsigned i = 0; i < MANY; i++)
			EXPECT(vq_pop(&n.tx, &e), "frame %u is never given back", i);
	}
	return 0;
}
