/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file. The tables check each key for itself; the rules that hold between keys
 * are in vm_rules.c. See config_file.h.
 */
#include "api/config_file.h"

#include "api/vm_rules.h"
#include "api/vm_schema.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"

#include <errno.h>
#include <stdio.h>

static void cleanup_json(json_t *const *j)
{
	json_decref(*j);
}

static int config_check_drives(struct vm_config *c, struct err *e)
{
	uint32_t count = c->drive_count;
	char where[32];
	int rc = 0;

	for (uint32_t i = 0; i < count && rc == 0; i++) {
		(void)snprintf(where, sizeof(where), "drives[%u]", i);
		c->drive_count = i; /* against those before it */
		rc = vm_rules_drive(c, i, &c->drives[i], where, e);
	}
	c->drive_count = count;
	return rc;
}

static int config_check_nets(struct vm_config *c, struct err *e)
{
	uint32_t count = c->net_count;
	char where[32];
	int rc = 0;

	for (uint32_t i = 0; i < count && rc == 0; i++) {
		struct vm_net_config *n = &c->nets[i];

		(void)snprintf(where, sizeof(where), "network-interfaces[%u]", i);
		c->net_count = i;
		rc = vm_rules_net(c, i, n, where, e);
		vm_rules_normalise_limiter(&n->has_rx_rate_limiter, &n->rx_rate_limiter);
		vm_rules_normalise_limiter(&n->has_tx_rate_limiter, &n->tx_rate_limiter);
	}
	c->net_count = count;
	return rc;
}

/* What the API says at the start is said here at once: too much memory, too many devices. */
static int config_check(struct vm_config *c, struct err *e)
{
	uint32_t device_count =
		c->drive_count + c->net_count + (c->has_vsock ? 1 : 0) + (c->has_entropy ? 1 : 0);
	int rc = vm_rules_machine(c, e);

	if (rc == 0 && c->mem_size_mib > GMEM_SIZE_MAX / MIB)
		return err_set(e, -EINVAL,
			"machine-config.mem_size_mib: %llu is out of range; it must be 1 to %llu",
			(unsigned long long)c->mem_size_mib,
			(unsigned long long)(GMEM_SIZE_MAX / MIB));
	rc = rc == 0 ? config_check_drives(c, e) : rc;
	rc = rc == 0 ? config_check_nets(c, e) : rc;
	rc = rc == 0 && c->has_mmds ? vm_rules_mmds(c, c, e) : rc;
	vm_rules_normalise_limiter(&c->has_entropy_limiter, &c->entropy_limiter);
	if (c->cpu_config || c->cpu_template == CPU_TEMPLATE_CLEAR)
		c->cpu_template = CPU_TEMPLATE_NONE; /* a custom template comes after a named one */
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
