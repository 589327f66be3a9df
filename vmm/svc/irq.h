/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interrupt line: an eventfd bound to a GSI. Raising it is one write, from any thread, with no
 * exit and no lock; the I/O APIC's routing decides where it lands.
 */
#pragma once

#include "vmm/kvm/vm.h"

struct irq_line {
	int fd; /* owned eventfd, or -1 */
};

/* Makes the eventfd. Binding is a step of its own because irqfds come after the vCPUs. */
int irq_line_init(struct irq_line *l, struct err *e) MUST_USE;
int irq_line_bind(struct irq_line *l, struct kvm_vm *vm, uint32_t gsi, struct err *e) MUST_USE;
void irq_line_fini(struct irq_line *l);

/* One edge. Any thread. */
void irq_line_raise(const struct irq_line *l);
