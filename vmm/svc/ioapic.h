/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O APIC (Intel 82093AA), ours because the irqchip is split: the local APICs are KVM's. It
 * never sees an interrupt go by. Its redirection table is turned into KVM's routing table, pin n
 * becoming an MSI on GSI n, and a device raises its pin by signalling the pin's irqfd: KVM
 * injects without an exit.
 *
 * All our devices are edge-triggered. A pin that the guest programs as level behaves the same:
 * each signal is one interrupt, so Remote IRR always reads 0. A masked pin has no route; edges
 * on it are lost, as the 82093AA does.
 *
 * Threads: registers are accessed by vCPU threads; a mutex orders them, and with them the
 * routing ioctls. Control path only: interrupts themselves never take it.
 */
#pragma once

#include "vmm/base/field.h"
#include "vmm/base/layout.h"
#include "vmm/kvm/vm.h"
#include "vmm/svc/bus.h"

#include <pthread.h>

#define IOAPIC_SIZE 0x1000u

struct ioapic_state {
	uint64_t redirection[LAYOUT_GSI_COUNT];
	uint32_t id;
	uint32_t select; /* IOREGSEL */
};
extern const struct field_table ioapic_state_table;

/* Takes a new routing table. 0 or -errno. The seam for tests; normally kvm_vm_set_routes. */
typedef int (*ioapic_route_fn)(
	void *ctx, const struct kvm_irq_routing_entry *routes, uint32_t count);

struct ioapic {
	struct ioapic_state st;
	pthread_mutex_t lock;
	ioapic_route_fn route;
	void *route_ctx;      /* borrowed */
	uint64_t route_count; /* times the table was handed over */
	uint64_t route_fails;
};

extern const struct bus_ops ioapic_bus_ops; /* dev is a struct ioapic */

void ioapic_init(struct ioapic *a, ioapic_route_fn route, void *route_ctx);
void ioapic_fini(struct ioapic *a);

/* Hands the routes for the present table over, as after a load. 0 or -errno. */
int ioapic_sync_routes(struct ioapic *a) MUST_USE;
