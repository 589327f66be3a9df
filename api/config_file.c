/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file. The tables check each key for itself; the rules that hold between keys
 * are here, in the order of the sections. See config_file.h.
 */
#include "api/config_file.h"

#include "api/vm_schema.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void cleanup_json(json_t *const *j)
{
	json_decref(*j);
}

static int config_check_machine(const struct vm_config *c, struct err *e)
{
	if (c->smt && c->vcpu_count > 1 && c->vcpu_count % 2 != 0)
		return err_set(e, -EINVAL,
			"machine-config.vcpu_count: %u is odd; with smt it must be 1 or even",
			c->vcpu_count);
	if (c->mem_size_mib > GMEM_SIZE_MAX / MIB)
		return err_set(e, -EINVAL,
			"machine-config.mem_size_mib: %llu is out of range; it must be 1 to %llu",
			(unsigned long long)c->mem_size_mib,
			(unsigned long long)(GMEM_SIZE_MAX / MIB));
	if (c->huge_pages != GMEM_PAGES_4K && c->mem_size_mib % 2 != 0)
		return err_set(e, -EINVAL,
			"machine-config.mem_size_mib: %llu is odd; with huge_pages it must be a "
			"multiple of 2",
			(unsigned long long)c->mem_size_mib);
	return 0;
}

static int config_check_drive(struct vm_config *c, uint32_t i, struct err *e)
{
	struct vm_drive_config *d = &c->drives[i];

	for (uint32_t k = 0; k < i; k++) {
		if (strcmp(c->drives[k].drive_id, d->drive_id) == 0)
			return err_set(e, -EINVAL,
				"drives[%u].drive_id: \"%.64s\" is already the id of drives[%u]", i,
				d->drive_id, k);
		if (c->drives[k].is_root_device && d->is_root_device)
			return err_set(e, -EINVAL,
				"drives[%u].is_root_device: A root block device already exists! "
				"(drives[%u]); only one drive may be the root device",
				i, k);
	}
	/* Firecracker takes it and never looks at it. */
	if (d->partuuid && !d->is_root_device) {
		log_warn("drives[%u].partuuid: ignored, because is_root_device is false", i);
		free(d->partuuid);
		d->partuuid = NULL;
	}
	return 0;
}

static int config_check_net(const struct vm_config *c, uint32_t i, struct err *e)
{
	const struct vm_net_config *n = &c->nets[i];
	uint8_t mac[NET_MAC_SIZE], other[NET_MAC_SIZE];

	if (!n->host_dev_name && !n->passt_socket)
		return err_set(
			e, -EINVAL, "network-interfaces[%u]: missing field `host_dev_name`", i);
	if (n->host_dev_name && n->passt_socket)
		return err_set(e, -EINVAL,
			"network-interfaces[%u].passt_socket: excludes host_dev_name; give one of "
			"them",
			i);
	if (n->passt_socket && n->queue_pairs != 1)
		return err_set(e, -EINVAL,
			"network-interfaces[%u].queue_pairs: %u; with passt_socket it must be 1", i,
			n->queue_pairs);
	if (n->guest_mac && net_mac_parse(n->guest_mac, mac) < 0)
		return err_set(e, -EINVAL,
			"network-interfaces[%u].guest_mac: \"%.64s\" is not a MAC address; it must "
			"be "
			"six pairs of hexadecimal digits with colons between",
			i, n->guest_mac);
	for (uint32_t k = 0; k < i; k++) {
		if (strcmp(c->nets[k].iface_id, n->iface_id) == 0)
			return err_set(e, -EINVAL,
				"network-interfaces[%u].iface_id: \"%.64s\" is already the id of "
				"network-interfaces[%u]",
				i, n->iface_id, k);
		if (n->guest_mac && c->nets[k].guest_mac &&
			net_mac_parse(c->nets[k].guest_mac, other) == 0 &&
			memcmp(mac, other, sizeof(mac)) == 0)
			return err_set(e, -EINVAL,
				"network-interfaces[%u].guest_mac: The MAC address is already in "
				"use: %s "
				"(network-interfaces[%u])",
				i, n->guest_mac, k);
	}
	return 0;
}

static int config_check(struct vm_config *c, struct err *e)
{
	uint32_t device_count =
		c->drive_count + c->net_count + (c->has_vsock ? 1 : 0) + (c->has_entropy ? 1 : 0);
	int rc = config_check_machine(c, e);

	for (uint32_t i = 0; i < c->drive_count && rc == 0; i++)
		rc = config_check_drive(c, i, e);
	for (uint32_t i = 0; i < c->net_count && rc == 0; i++)
		rc = config_check_net(c, i, e);
	if (rc == 0 && device_count > LAYOUT_VIRTIO_COUNT_MAX)
		rc = err_set(e, -EINVAL,
			"drives, entropy: %u devices are too many; the most is %u: %s",
			device_count, LAYOUT_VIRTIO_COUNT_MAX, VM_SCHEMA_NO_GSI_TEXT);
	return rc;
}

int config_file_parse(const char *text, size_t len, struct vm_config *c, struct err *e)
{
	__attribute__((cleanup(cleanup_json))) json_t *root = NULL;
	int rc = schema_load_text(text, len, &root, e);

	if (rc == 0)
		rc = schema_parse(&vm_config_schema, root, "", c, e);
	return rc == 0 ? config_check(c, e) : rc;
}

int config_file_load(const char *path, struct vm_config *c, struct err *e)
{
	CLEANUP_FREE
	char *text = NULL;
	size_t len = 0;
	int rc = io_read_file(path, CONFIG_FILE_SIZE_MAX, &text, &len, e);

	if (rc < 0)
		return rc;
	rc = config_file_parse(text, len, c, e);
	return rc < 0 && e ? err_wrap(e, "%s", path) : rc;
}
