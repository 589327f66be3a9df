/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor: the least that any monitor must do to run a payload kernel to its end. One memory
 * slot of 128 MiB, a split irqchip, one vCPU, CPUID, registers for the PVH entry, KVM_RUN, serial
 * output to standard output, exit at the i8042 reset. No configuration, no devices, no thread, no
 * confinement, no ACPI tables, no error text: what a monitor takes longer than this is its own.
 *
 *   floor [--no-cpuid] [--irqfd] [--ioeventfd] KERNEL
 *
 * The options say what one thing costs. --no-cpuid leaves out the two CPUID calls, without which
 * Linux does not boot. --irqfd adds an interrupt line with an eventfd, --ioeventfd a doorbell, as any
 * monitor with devices has them: they cost little to make, and perhaps much when the VM is closed.
 */
#include "bench/floor_vm.h"

#include <sys/eventfd.h>

#define FLOOR_COM1        0x3f8
#define FLOOR_I8042       0x64
#define FLOOR_I8042_RESET 0xfe
#define FLOOR_PIN         4
#define FLOOR_DOORBELL    0xc0001050ull

static void floor_add_options(const struct floor *f)
{
	if (f->with_irqfd) {
		struct kvm_irqfd line = {.gsi = FLOOR_PIN};

		line.fd = (unsigned)eventfd(0, EFD_CLOEXEC);
		floor_ioctl(f->vm_fd, KVM_IRQFD, &line, "KVM_IRQFD");
	}
	if (f->with_ioeventfd) {
		struct kvm_ioeventfd bell = {.addr = FLOOR_DOORBELL, .len = 4};

		bell.fd = eventfd(0, EFD_CLOEXEC);
		floor_ioctl(f->vm_fd, KVM_IOEVENTFD, &bell, "KVM_IOEVENTFD");
	}
}

static int floor_run(const struct floor *f)
{
	for (;;) {
		const unsigned char *data;

		floor_ioctl(f->vcpu_fd, KVM_RUN, NULL, "KVM_RUN");
		if (f->run->exit_reason == KVM_EXIT_SHUTDOWN)
			return 0;
		if (f->run->exit_reason != KVM_EXIT_IO) {
			(void)fprintf(stderr, "KVM exit %u\n", f->run->exit_reason);
			return 1;
		}
		data = (const unsigned char *)f->run + f->run->io.data_offset;
		if (f->run->io.port == FLOOR_COM1 && write(STDOUT_FILENO, data, 1) != 1)
			return 1;
		if (f->run->io.port == FLOOR_I8042 && *data == FLOOR_I8042_RESET)
			return 0;
	}
}

int main(int argc, char **argv)
{
	struct floor f = {.with_cpuid = true};
	const char *kernel = NULL;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--no-cpuid") == 0)
			f.with_cpuid = false;
		else if (strcmp(argv[i], "--irqfd") == 0)
			f.with_irqfd = true;
		else if (strcmp(argv[i], "--ioeventfd") == 0)
			f.with_ioeventfd = true;
		else
			kernel = argv[i];
	}
	if (!kernel) {
		(void)fprintf(stderr, "usage: floor [--no-cpuid] [--irqfd] [--ioeventfd] KERNEL\n");
		return 2;
	}
	floor_create(&f);
	floor_add_options(&f);
	if (f.with_cpuid)
		floor_set_cpuid(&f);
	floor_set_registers(&f, floor_load(&f, kernel));
	_exit(floor_run(&f));
}
