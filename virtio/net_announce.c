/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a restore the guest's address may be at another port of the world's bridges than they have
 * learned. They learn anew from any frame of the guest, but it may be long before it sends one: so
 * one is sent in its name, a reverse ARP request (RFC 903), which asks for nothing that anybody
 * answers. The guest need not know, so no feature is needed. QEMU and others do the same after a
 * migration.
 */
#include "virtio/net_dev.h"

#include <string.h>

enum { RARP_ETHERTYPE = 0x8035, RARP_ETHERNET = 1, RARP_IPV4 = 0x0800, RARP_REQUEST = 3 };

#define RARP_FRAME_SIZE 60u /* the least that Ethernet carries, without its checksum */

static size_t put_u16(uint8_t *to, size_t at, uint16_t v)
{
	to[at] = (uint8_t)(v >> 8);
	to[at + 1] = (uint8_t)v;
	return at + 2;
}

static size_t put_mac(uint8_t *to, size_t at, const uint8_t mac[NET_MAC_SIZE])
{
	memcpy(to + at, mac, NET_MAC_SIZE);
	return at + NET_MAC_SIZE;
}

void net_announce(struct net *n)
{
	static const uint8_t broadcast[NET_MAC_SIZE] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	uint8_t frame[NET_HEADER_SIZE + RARP_FRAME_SIZE] = {0};
	const struct iovec iov = {.iov_base = frame, .iov_len = sizeof(frame)};
	size_t at = NET_HEADER_SIZE;

	if (!n->announce_due || !n->link_up)
		return;
	n->announce_due = false;
	at = put_mac(frame, at, broadcast);
	at = put_mac(frame, at, n->st.mac);
	at = put_u16(frame, at, RARP_ETHERTYPE);
	at = put_u16(frame, at, RARP_ETHERNET);
	at = put_u16(frame, at, RARP_IPV4);
	frame[at++] = NET_MAC_SIZE;
	frame[at++] = 4;
	at = put_u16(frame, at, RARP_REQUEST);
	at = put_mac(frame, at, n->st.mac);
	(void)put_mac(frame, at + 4, n->st.mac);
	/* A frame that finds no room is lost, as any frame may be. */
	(void)n->backend->ops->send(n->backend, 0, &iov, 1);
}
