/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine's first instruction finds: kernel, tables, registers. See machine_boot.h. */
#include "vmm/core/machine_boot.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"
#include "vmm/base/io.h"
#include "vmm/boot/acpi.h"
#include "vmm/boot/boot.h"
#include "vmm/core/cmdline.h"
#include "vmm/core/machine_cpu.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

static int machine_open(const char *path, const char *field, struct err *e)
{
	int fd = io_open_image(path, e);

	return fd < 0 ? err_wrap(e, "boot-source.%s", field) : fd;
}

static int machine_load_kernel(struct machine *m, struct boot_entry *ret_entry, struct err *e)
{
	const struct vm_config *c = m->config;
	CLEANUP_FD
	int kernel_fd = -1;
	CLEANUP_FD
	int initrd_fd = -1;
	uint32_t apic_ids[LAYOUT_VCPUS_MAX];
	struct acpi_config ac = {
		.vcpu_count = c->vcpu_count,
		.apic_ids = apic_ids,
		.virtio_count = m->virtio_count,
	};
	struct cmdline line;
	gpa_t rsdp;
	int rc;

	for (uint32_t i = 0; i < LAYOUT_VCPUS_MAX; i++)
		apic_ids[i] = i;
	kernel_fd = machine_open(c->kernel_image_path, "kernel_image_path", e);
	if (kernel_fd < 0)
		return kernel_fd;
	if (c->initrd_path) {
		initrd_fd = machine_open(c->initrd_path, "initrd_path", e);
		if (initrd_fd < 0)
			return initrd_fd;
	}
	if ((rc = cmdline_build(&line, c, m->virtio_count, e)) < 0 ||
		(rc = acpi_build(&m->mem, &ac, &rsdp, e)) < 0)
		return rc;
	log_debug("kernel command line: %s", line.text);
	struct boot_config bc = {
		.kernel_fd = kernel_fd,
		.initrd_fd = initrd_fd,
		.cmdline = line.text,
		.rsdp = rsdp,
	};

	rc = boot_load(&m->mem, &bc, ret_entry, e);
	if (rc < 0)
		return err_wrap(e, "boot-source");
	if (ret_entry->protocol == BOOT_PROTOCOL_PVH)
		log_info("Kernel loaded using PVH boot protocol");
	return rc;
}

/* Only the boot CPU gets registers; the others wait for INIT and SIPI. */
static int machine_set_boot_cpu(struct machine *m, const struct boot_entry *entry, struct err *e)
{
	int rc, fd = m->vcpus.vcpu[0].fd;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return err_set_os(e, -errno, "KVM_GET_SREGS");
	memset(&regs, 0, sizeof(regs));
	rc = boot_set_registers(&m->mem, entry, &regs, &sregs, e);
	if (rc < 0)
		return rc;
	if (ioctl(fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(fd, KVM_SET_REGS, &regs) < 0)
		return err_set_os(e, -errno, "cannot set the boot CPU's registers");
	return 0;
}

int machine_boot(struct machine *m, struct err *e)
{
	struct boot_entry entry;
	int rc;

	if ((rc = machine_load_kernel(m, &entry, e)) < 0 || (rc = machine_cpu_setup(m, e)) < 0)
		return rc;
	return machine_set_boot_cpu(m, &entry, e);
}
