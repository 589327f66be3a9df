/* SPDX-License-Identifier: Apache-2.0 */
/* The vsock packet header. See vsock_packet.h. */
#include "virtio/vsock_packet.h"

_Static_assert(sizeof(struct vsock_hdr) == VSOCK_HDR_SIZE, "virtio 1.2 §5.10.6");

enum vsock_verdict vsock_packet_read(
	const struct chain *c, uint64_t guest_cid, struct vsock_hdr *ret, const char **ret_why)
{
	*ret_why = NULL;
	if (chain_read(c, 0, ret, sizeof(*ret)) < 0) {
		*ret_why = "shorter than its header";
		return VSOCK_PACKET_DROP;
	}
	if (ret->src_cid != guest_cid)
		*ret_why = "another sender's address";
	else if (ret->dst_cid != VSOCK_CID_HOST)
		*ret_why = "not for the host";
	else if (ret->len > c->rd_bytes - sizeof(*ret))
		*ret_why = "a length beyond its buffer";
	if (*ret_why)
		return VSOCK_PACKET_DROP;
	if (ret->type != VSOCK_TYPE_STREAM) {
		*ret_why = "an unknown type";
		return VSOCK_PACKET_RESET;
	}
	return VSOCK_PACKET_GOOD;
}
