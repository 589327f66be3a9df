/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of all sizes go to the host's kernel and come back whole: in one buffer, merged over
 * several, with and without EVENT_IDX, and with the checksum left to the host.
 */
#include "rt/net.h"

static void all_sizes(struct net *n)
{
	net_arp(n);
	for (uint32_t len = 0; len < 1400; len += 97)
		net_ping(n, len);
	net_ping(n, 1472);
	net_ping(n, 2048);
	net_ping(n, 4096);
	net_ping(n, 8972);
}

int payload_main(const struct payload_boot *boot)
{
	static struct net n;

	(void)boot;
	print("case one large buffer for each frame\n");
	net_start(&n, 0, 16384);
	all_sizes(&n);
	print("case merged buffers\n");
	net_start(&n, VF_NET_MRG_RXBUF, 1536);
	all_sizes(&n);
	print("case checksums by the host\n");
	net_start(&n, VF_NET_MRG_RXBUF | VF_NET_CSUM, 1536);
	EXPECT((n.dev->features & VF_NET_CSUM) != 0, "the tap offers no checksums");
	all_sizes(&n);
	print("case small merged buffers, EVENT_IDX, indirect\n");
	net_start(&n, VF_NET_MRG_RXBUF | VF_EVENT_IDX | VF_INDIRECT, 200);
	all_sizes(&n);
	return 0;
}
