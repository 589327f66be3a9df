/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control queue (virtio 1.2 §5.1.6.5). Its one command is how many queue pairs the driver
 * uses; all others are answered with an error.
 */
#include "virtio/net_dev.h"

#include <errno.h>

#define NET_CTRL_MQ              4u
#define NET_CTRL_MQ_VQ_PAIRS_SET 0u

enum { NET_CTRL_OK = 0, NET_CTRL_ERR = 1 };

struct net_ctrl_command {
	uint8_t class, command;
	uint16_t pairs; /* little-endian */
};

static uint8_t net_ctrl_execute(struct net *n, const struct chain *c)
{
	struct net_ctrl_command cmd;

	if (c->rd_bytes != sizeof(cmd) || chain_read(c, 0, &cmd, sizeof(cmd)) < 0 ||
		cmd.class != NET_CTRL_MQ || cmd.command != NET_CTRL_MQ_VQ_PAIRS_SET ||
		!virtio_has(&n->dev, NET_F_MQ))
		return NET_CTRL_ERR;
	if (cmd.pairs < 1 || cmd.pairs > n->backend->pair_count)
		return NET_CTRL_ERR;
	return net_set_pairs(n, cmd.pairs) == 0 ? NET_CTRL_OK : NET_CTRL_ERR;
}

static void net_ctrl_serve(struct virtio_dev *d, struct vq *q, struct chain *c)
{
	struct net *n = net_of(d);
	uint8_t ack = net_ctrl_execute(n, c);

	if (ack != NET_CTRL_OK)
		counter_add(&n->counters.cfg_fails, 1);
	vq_push(q, c, chain_write(c, 0, &ack, sizeof(ack)) == 0 ? sizeof(ack) : 0);
}

void net_ctrl_run(struct net *n, uint16_t q)
{
	(void)virtio_dev_serve(&n->dev, q, &n->chain, net_ctrl_serve);
	/* New pairs may have been switched on: their buffers wait already. */
	for (uint16_t i = 0; i < n->st.active_pairs; i++)
		if (!(n->dev.status & VIRTIO_STATUS_NEEDS_RESET))
			net_rx_run(&n->pairs[i]);
}
