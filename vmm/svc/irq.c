/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt lines. See irq.h. */
#include "vmm/svc/irq.h"

#include "vmm/base/cleanup.h"

#include <errno.h>
#include <sys/eventfd.h>

int irq_line_init(struct irq_line *l, struct err *e)
{
	l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return l->fd >= 0 ? 0 : err_set_os(e, -errno, "cannot make an interrupt line");
}

int irq_line_bind(struct irq_line *l, struct kvm_vm *vm, uint32_t gsi, struct err *e)
{
	return kvm_vm_add_irqfd(vm, gsi, l->fd, e);
}

void irq_line_fini(struct irq_line *l)
{
	fd_close(&l->fd);
}

/* #syscalls:* write */
void irq_line_raise(const struct irq_line *l)
{
	uint64_t one = 1;

	/* EAGAIN: 2^64-1 edges are pending already, so one more tells the guest nothing new. */
	(void)!write(l->fd, &one, sizeof(one));
}
