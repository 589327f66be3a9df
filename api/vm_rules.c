/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that hold between keys. See vm_rules.h. */
#include "api/vm_rules.h"

#include "api/mmds/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 169.254.1.0 to 169.254.254.255: RFC 3927 keeps the first and the last 256 addresses. */
#define VM_RULES_MMDS_IP_MIN 0xa9fe0100u
#define VM_RULES_MMDS_IP_MAX 0xa9fefeffu

int vm_rules_machine(const struct vm_config *c, struct err *e)
{
	if (c->smt && c->vcpu_count > 1 && c->vcpu_count % 2 != 0)
		return err_set(e, -EINVAL,
			"machine-config.vcpu_count: %u is odd; with smt it must be 1 or even",
			c->vcpu_count);
	if (c->huge_pages != GMEM_PAGES_4K && c->mem_size_mib % 2 != 0)
		return err_set(e, -EINVAL,
			"machine-config.mem_size_mib: %llu is odd; with huge_pages it must be a "
			"multiple of 2",
			(unsigned long long)c->mem_size_mib);
	return 0;
}

void vm_rules_normalise_bucket(bool *has, struct token_bucket_config *c)
{
	if (*has && c->size != 0 && c->refill_time_ms != 0)
		return;
	*has = false;
	*c = (struct token_bucket_config){0};
}

void vm_rules_normalise_limiter(bool *has, struct rate_limiter_config *c)
{
	vm_rules_normalise_bucket(&c->has_bandwidth, &c->bandwidth);
	vm_rules_normalise_bucket(&c->has_ops, &c->ops);
	*has = *has && (c->has_bandwidth || c->has_ops);
}

int vm_rules_drive(const struct vm_config *c, uint32_t index, struct vm_drive_config *d,
	const char *where, struct err *e)
{
	for (uint32_t k = 0; k < c->drive_count; k++) {
		if (k == index)
			continue;
		if (strcmp(c->drives[k].drive_id, d->drive_id) == 0)
			return err_set(e, -EINVAL,
				"%s.drive_id: \"%.64s\" is already the id of drives[%u]", where,
				d->drive_id, k);
		if (c->drives[k].is_root_device && d->is_root_device)
			return err_set(e, -EINVAL,
				"%s.is_root_device: A root block device already exists! "
				"(drives[%u], \"%.64s\"); only one drive may be the root device",
				where, k, c->drives[k].drive_id);
	}
	/* Firecracker takes it and never looks at it. */
	if (d->partuuid && !d->is_root_device) {
		log_warn("%s.partuuid: ignored, because is_root_device is false", where);
		free(d->partuuid);
		d->partuuid = NULL;
	}
	vm_rules_normalise_limiter(&d->has_rate_limiter, &d->rate_limiter);
	return 0;
}

static int vm_rules_net_backend(const struct vm_net_config *n, const char *where, struct err *e)
{
	if (!n->host_dev_name && !n->passt_socket)
		return err_set(e, -EINVAL, "%s: missing field `host_dev_name`", where);
	if (n->host_dev_name && n->passt_socket)
		return err_set(e, -EINVAL,
			"%s.passt_socket: excludes host_dev_name; give one of them", where);
	if (n->passt_socket && n->queue_pairs != 1)
		return err_set(e, -EINVAL, "%s.queue_pairs: %u; with passt_socket it must be 1",
			where, n->queue_pairs);
	return 0;
}

int vm_rules_net(const struct vm_config *c, uint32_t index, const struct vm_net_config *n,
	const char *where, struct err *e)
{
	uint8_t mac[NET_MAC_SIZE], other[NET_MAC_SIZE];
	int rc = vm_rules_net_backend(n, where, e);

	if (rc < 0)
		return rc;
	if (n->guest_mac && net_mac_parse(n->guest_mac, mac) < 0)
		return err_set(e, -EINVAL,
			"%s.guest_mac: \"%.64s\" is not a MAC address; it must be six pairs of "
			"hexadecimal digits with colons between",
			where, n->guest_mac);
	for (uint32_t k = 0; k < c->net_count; k++) {
		const struct vm_net_config *o = &c->nets[k];

		if (k == index)
			continue;
		if (strcmp(o->iface_id, n->iface_id) == 0)
			return err_set(e, -EINVAL,
				"%s.iface_id: \"%.64s\" is already the id of "
				"network-interfaces[%u]",
				where, n->iface_id, k);
		if (n->guest_mac && o->guest_mac && net_mac_parse(o->guest_mac, other) == 0 &&
			memcmp(mac, other, sizeof(mac)) == 0)
			return err_set(e, -EINVAL,
				"%s.guest_mac: The MAC address is already in use: %s "
				"(network-interfaces[%u])",
				where, n->guest_mac, k);
	}
	return 0;
}

static bool vm_rules_has_net(const struct vm_config *c, const char *iface_id)
{
	for (uint32_t i = 0; i < c->net_count; i++)
		if (strcmp(c->nets[i].iface_id, iface_id) == 0)
			return true;
	return false;
}

int vm_rules_mmds(const struct vm_config *c, const struct vm_config *m, struct err *e)
{
	uint32_t ip;

	for (uint32_t i = 0; m->mmds_interfaces && m->mmds_interfaces[i]; i++)
		if (!vm_rules_has_net(c, m->mmds_interfaces[i]))
			return err_set(e, -EINVAL,
				"mmds-config.network_interfaces[%u]: there is no network interface "
				"\"%.64s\"; configure it first",
				i, m->mmds_interfaces[i]);
	if (!m->mmds_ipv4)
		return 0;
	if (frame_ip_parse(m->mmds_ipv4, &ip) < 0)
		return err_set(e, -EINVAL,
			"mmds-config.ipv4_address: \"%.64s\" is not an IPv4 address", m->mmds_ipv4);
	if (ip < VM_RULES_MMDS_IP_MIN || ip > VM_RULES_MMDS_IP_MAX)
		return err_set(e, -EINVAL,
			"mmds-config.ipv4_address: %s is not a link-local address; it must be "
			"169.254.1.0 to 169.254.254.255",
			m->mmds_ipv4);
	return 0;
}
