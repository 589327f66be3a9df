/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's CPUs as the guest sees them. See machine_cpu.h. */
#include "vmm/core/machine_cpu.h"

#include "vmm/kvm/cpu_setup.h"

int machine_cpu_choose(struct machine *m, struct err *e)
{
	static struct cpu_template named; /* 40 KiB; one machine per process */
	const struct vm_config *c = m->config;
	int rc = 0;

	m->cpu_template = c->cpu_config;
	if (c->cpu_config || c->cpu_template == CPU_TEMPLATE_NONE)
		return 0;
	if ((rc = cpu_template_check_host(c->cpu_template, e)) < 0 ||
		(rc = cpu_template_get_named(c->cpu_template, &named, e)) < 0)
		return rc;
	if (c->cpu_template == CPU_TEMPLATE_C3)
		log_warn("machine-config.cpu_template: C3: On processors that do not enumerate "
			 "FBSDP_NO, PSDP_NO and SBDR_SSDP_NO on IA32_ARCH_CAPABILITIES MSR, the "
			 "guest kernel does not apply the mitigation against MMIO stale data "
			 "vulnerability.");
	m->cpu_template = &named;
	return 0;
}

int machine_cpu_setup(struct machine *m, struct err *e)
{
	const struct cpu_setup setup = {
		.template = m->cpu_template,
		.vcpu_count = m->vcpus.count,
		.smt = m->config->smt,
	};
	int fds[LAYOUT_VCPUS_MAX], rc = cpuid_fetch_join(&m->cpuid, e);

	for (uint32_t i = 0; i < m->vcpus.count; i++)
		fds[i] = m->vcpus.vcpu[i].fd;
	return rc < 0 ? rc : cpu_setup_apply(&setup, &m->cpuid.table, fds, e);
}
