/* SPDX-License-Identifier: Apache-2.0 */
/* The state table of the network device, and how a MAC address is written. See net.h. */
#include "virtio/net.h"

#include <errno.h>
#include <string.h>

static const struct field net_state_fields[] = {
	FIELD_ARRAY(1, 1, struct net_state, mac, 0),
	FIELD(2, 1, struct net_state, mtu, 0),
	FIELD(3, 1, struct net_state, active_pairs, NET_PAIRS_MAX),
	FIELD(4, 1, struct net_state, has_mac, 1),
	FIELD_ARRAY(5, 1, struct net_state, reserved, 0),
	FIELD_STRUCT(6, 1, struct net_state, rx_limit, &rate_limiter_state_table),
	FIELD_STRUCT(7, 1, struct net_state, tx_limit, &rate_limiter_state_table),
};

static int net_state_check(const void *state, struct err *e)
{
	static const uint8_t zero[8];
	const struct net_state *s = state;

	if (memcmp(s->reserved, zero, sizeof(s->reserved)) != 0)
		return err_set(e, -EINVAL, "net.reserved is not zero");
	if (!s->has_mac && memcmp(s->mac, zero, sizeof(s->mac)) != 0)
		return err_set(e, -EINVAL, "net.mac is set, but has_mac is not");
	if (s->active_pairs < 1)
		return err_set(e, -EINVAL, "net.active_pairs is 0");
	if (s->mtu != 0 && s->mtu < NET_MTU_MIN)
		return err_set(
			e, -EINVAL, "net.mtu is %u, at least %u is possible", s->mtu, NET_MTU_MIN);
	return 0;
}

const struct field_table net_state_table =
	FIELD_TABLE("net", struct net_state, net_state_fields, net_state_check);

static int net_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int net_mac_parse(const char *text, uint8_t ret_mac[NET_MAC_SIZE])
{
	uint8_t mac[NET_MAC_SIZE];

	if (strlen(text) != 3 * NET_MAC_SIZE - 1)
		return -EINVAL;
	for (unsigned i = 0; i < NET_MAC_SIZE; i++) {
		int high = net_hex(text[(size_t)3 * i]), low = net_hex(text[(size_t)3 * i + 1]);

		if (high < 0 || low < 0 || (i + 1 < NET_MAC_SIZE && text[(size_t)3 * i + 2] != ':'))
			return -EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(ret_mac, mac, sizeof(mac));
	return 0;
}
