/* SPDX-License-Identifier: Apache-2.0 */
/* Which features the network device offers, and what the driver's choice means to the back end. */
#include "virtio/net_dev.h"

static const struct {
	uint32_t offload;
	uint8_t guest_bits[2], host_bits[2]; /* the same number twice if there is only one */
} net_offload_features[] = {
	{NET_OFFLOAD_CSUM, {NET_F_GUEST_CSUM, NET_F_GUEST_CSUM}, {NET_F_CSUM, NET_F_CSUM}},
	{NET_OFFLOAD_TSO4, {NET_F_GUEST_TSO4, NET_F_GUEST_TSO4},
		{NET_F_HOST_TSO4, NET_F_HOST_TSO4}},
	{NET_OFFLOAD_TSO6, {NET_F_GUEST_TSO6, NET_F_GUEST_TSO6},
		{NET_F_HOST_TSO6, NET_F_HOST_TSO6}},
	{NET_OFFLOAD_UFO, {NET_F_GUEST_UFO, NET_F_GUEST_UFO}, {NET_F_HOST_UFO, NET_F_HOST_UFO}},
	{NET_OFFLOAD_USO, {NET_F_GUEST_USO4, NET_F_GUEST_USO6}, {NET_F_HOST_USO, NET_F_HOST_USO}},
};

uint32_t net_offloads_accepted(const struct virtio_dev *d)
{
	uint32_t offloads = 0;

	for (size_t i = 0; i < NELEM(net_offload_features); i++)
		if (virtio_has(d, net_offload_features[i].guest_bits[0]) &&
			virtio_has(d, net_offload_features[i].guest_bits[1]))
			offloads |= net_offload_features[i].offload;
	/* virtio 1.2 §5.1.3.1: the others need checksums */
	return offloads & NET_OFFLOAD_CSUM ? offloads : 0;
}

uint64_t net_features(const struct net_config *c, const struct net_backend *b)
{
	uint64_t features = 1ULL << NET_F_MRG_RXBUF | 1ULL << NET_F_STATUS;

	for (size_t i = 0; i < NELEM(net_offload_features); i++)
		for (int k = 0; k < 2 && (b->offloads & net_offload_features[i].offload); k++)
			features |= 1ULL << net_offload_features[i].guest_bits[k] |
				    1ULL << net_offload_features[i].host_bits[k];
	if (c->guest_mac)
		features |= 1ULL << NET_F_MAC;
	if (c->mtu)
		features |= 1ULL << NET_F_MTU;
	if (b->pair_count > 1)
		features |= 1ULL << NET_F_CTRL_VQ | 1ULL << NET_F_MQ;
	return features;
}
