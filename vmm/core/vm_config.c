/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults and release of a VM's configuration. See vm_config.h. */
#include "vmm/core/vm_config.h"

#include <stdlib.h>
#include <string.h>

void vm_config_init(struct vm_config *c)
{
	memset(c, 0, sizeof(*c));
	vm_config_set_defaults(c);
}

void vm_config_set_defaults(struct vm_config *c)
{
	c->vcpu_count = 1;
	c->mem_size_mib = 128;
	c->log_level = LOG_INFO;
}

void vm_config_fini(struct vm_config *c)
{
	for (uint32_t i = 0; i < c->drive_count; i++) {
		free(c->drives[i].drive_id);
		free(c->drives[i].path_on_host);
		free(c->drives[i].partuuid);
	}
	for (uint32_t i = 0; i < c->net_count; i++) {
		free(c->nets[i].iface_id);
		free(c->nets[i].host_dev_name);
		free(c->nets[i].passt_socket);
		free(c->nets[i].guest_mac);
	}
	free(c->kernel_image_path);
	free(c->vsock_uds_path);
	free(c->vsock_id);
	free(c->mmds_ipv4);
	free(c->mmds_interfaces);
	free(c->initrd_path);
	free(c->boot_args);
	free(c->serial_out_path);
	free(c->log_path);
	free(c->log_module);
	free(c->metrics_path);
	free(c->metrics_properties);
	free(c->cpu_config);
	memset(c, 0, sizeof(*c));
}

void vm_config_take_cpu_template(struct vm_config *c, enum cpu_template_name given)
{
	if (given == CPU_TEMPLATE_NONE)
		return;
	free(c->cpu_config);
	c->cpu_config = NULL;
	c->cpu_template = given == CPU_TEMPLATE_CLEAR ? CPU_TEMPLATE_NONE : given;
}
