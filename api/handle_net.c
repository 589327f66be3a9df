/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network interfaces: PUT before the start, PATCH while the VM runs. A tap is opened when its
 * interface is configured and held for the machine, so that a second one that asks for it hears so
 * at once, and nobody else can take it in between.
 */
#include "api/handle.h"
#include "api/vm_rules.h"
#include "api/vm_schema.h"
#include "virtio/net_backend.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <string.h>

#define WHERE_SIZE (ENDPOINT_ID_SIZE + 32)

static uint32_t net_find(const struct vm_config *c, const char *id)
{
	uint32_t i = 0;

	while (i < c->net_count && strcmp(c->nets[i].iface_id, id) != 0)
		i++;
	return i;
}

static void net_tap_release(struct controller *c, uint32_t index)
{
	struct net_backend *b = c->taps[index];

	c->taps[index] = NULL;
	if (b)
		b->ops->close(b);
}

void handle_net_release(struct controller *c)
{
	for (uint32_t i = 0; i < VM_CONFIG_NETS_MAX; i++)
		net_tap_release(c, i);
}

static int net_tap_take(const struct vm_net_config *n, struct net_backend **ret, struct err *e)
{
	const struct net_config nc = {
		.iface_id = n->iface_id,
		.host_dev_name = n->host_dev_name,
		.queue_pairs = (uint16_t)n->queue_pairs,
	};

	*ret = NULL;
	return n->host_dev_name ? net_tap_open(&nc, ret, e) : 0;
}

/* The same tap again can be had only after it was let go; if that fails it is taken back. */
static int net_tap_replace(
	struct controller *c, uint32_t index, const struct vm_net_config *n, struct err *e)
{
	const struct vm_net_config *old = &c->config.nets[index];
	struct net_backend *b;
	struct err ignored = {0};
	int rc;

	if (index == c->config.net_count || !old->host_dev_name || !n->host_dev_name ||
		strcmp(old->host_dev_name, n->host_dev_name) != 0) {
		rc = net_tap_take(n, &b, e);
		if (rc < 0)
			return rc;
		net_tap_release(c, index);
		c->taps[index] = b;
		return 0;
	}
	net_tap_release(c, index);
	rc = net_tap_take(n, &c->taps[index], e);
	if (rc < 0 && net_tap_take(old, &c->taps[index], &ignored) < 0)
		log_warn("%s", ignored.msg);
	return rc;
}

int handle_put_net(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	struct vm_net_config *n = call->parsed, old = {0};
	uint32_t index = net_find(&c->config, n->iface_id);
	char where[WHERE_SIZE];
	int rc;

	(void)ret;
	if (index == VM_CONFIG_NETS_MAX)
		return err_set(e, -ENOSPC,
			"network-interfaces.%s: at most %u interfaces can be configured: %s",
			n->iface_id, VM_CONFIG_NETS_MAX, VM_SCHEMA_NO_GSI_TEXT);
	(void)snprintf(where, sizeof(where), "network-interfaces.%s", n->iface_id);
	if ((rc = vm_rules_net(&c->config, index, n, where, e)) < 0 ||
		(rc = net_tap_replace(c, index, n, e)) < 0)
		return rc;
	vm_rules_normalise_limiter(&n->has_rx_rate_limiter, &n->rx_rate_limiter);
	vm_rules_normalise_limiter(&n->has_tx_rate_limiter, &n->tx_rate_limiter);
	if (index < c->config.net_count)
		old = c->config.nets[index];
	else
		c->config.net_count++;
	c->config.nets[index] = *n;
	*n = old; /* released with the request's body */
	return 0;
}

int handle_patch_net(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	const struct vm_net_config *patch = call->parsed;
	uint32_t index = net_find(&c->config, patch->iface_id);
	struct virtio_dev *dev = machine_find_device(c->o.machine, "net", patch->iface_id);
	struct vm_net_config *n = &c->config.nets[index];

	(void)ret;
	if (!dev || index == c->config.net_count)
		return err_set(e, -ENODEV,
			"network-interfaces.%s: there is no interface of that id", patch->iface_id);
	net_set_limits(dev, patch->has_rx_rate_limiter ? &patch->rx_rate_limiter : NULL,
		patch->has_tx_rate_limiter ? &patch->tx_rate_limiter : NULL);
	if (patch->has_rx_rate_limiter)
		handle_merge_limiter(
			&n->has_rx_rate_limiter, &n->rx_rate_limiter, &patch->rx_rate_limiter);
	if (patch->has_tx_rate_limiter)
		handle_merge_limiter(
			&n->has_tx_rate_limiter, &n->tx_rate_limiter, &patch->tx_rate_limiter);
	return 0;
}
