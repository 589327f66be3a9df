/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One KVM VM: its fds and the ioctls on them (Documentation/virt/kvm/api.rst). Thin on purpose.
 *
 * Order of creation matters. Memory slots come first: adding one after an irqchip or an ioeventfd
 * exists waits for an RCU grace period, milliseconds each. The split irqchip must precede the
 * vCPUs (KVM makes local APICs with them). irqfds come last, ioeventfds when a queue is in lasting use.
 *
 * Threads: creation on the main thread; kvm_vm_set_routes under its caller's lock.
 */
#pragma once

#include "vmm/base/err.h"
#include "vmm/mem/gmem.h"

#include <linux/kvm.h>

struct cpu_template;

struct kvm_vm {
	int kvm_fd;        /* owned: /dev/kvm */
	int fd;            /* owned: the VM */
	uint32_t run_size; /* bytes of each vCPU's struct kvm_run mapping */
	uint32_t slot_count;
};

/*
 * Opens /dev/kvm, checks the capabilities that mayfly and the template t (or NULL) need, creates
 * the VM. -errno with *e.
 */
int kvm_vm_init(struct kvm_vm *vm, const struct cpu_template *t, struct err *e) MUST_USE;
/* Its two halves: the first sets all of *vm; after a failure of either, kvm_vm_fini is due. */
int kvm_vm_open(struct kvm_vm *vm, const struct cpu_template *t, struct err *e) MUST_USE;
int kvm_vm_create(struct kvm_vm *vm, struct err *e) MUST_USE;
void kvm_vm_fini(struct kvm_vm *vm);

/* One slot per region of m. m must outlive the VM. */
int kvm_vm_map_memory(
	struct kvm_vm *vm, const struct gmem *m, bool track_dirty, struct err *e) MUST_USE;

/*
 * Adds what vCPUs have written since the last time, or since the slots were made, to the dirty bitmap
 * of m, whose regions are the slots; KVM starts anew. The vCPUs are paused. -errno: *e, and what was
 * collected so far is in the bitmap.
 */
int kvm_vm_collect_dirty(struct kvm_vm *vm, struct gmem *m, struct err *e) MUST_USE;

/* Local APICs in the kernel, I/O APIC with pin_count pins in user space. */
int kvm_vm_split_irqchip(struct kvm_vm *vm, uint32_t pin_count, struct err *e) MUST_USE;

/* A vCPU's fd, or -errno. The APIC id is its index. */
int kvm_vm_create_vcpu(struct kvm_vm *vm, uint32_t index, struct err *e);

/* A 4-byte guest write of `match` to the MMIO address becomes a signal on fd instead of an exit. */
int kvm_vm_add_ioeventfd(
	struct kvm_vm *vm, gpa_t addr, uint32_t match, int fd, struct err *e) MUST_USE;

/* A signal on fd becomes an edge on gsi, as routed. */
int kvm_vm_add_irqfd(struct kvm_vm *vm, uint32_t gsi, int fd, struct err *e) MUST_USE;

/* Replaces the routing table; at most KVM_VM_ROUTES_MAX entries. 0 or -errno. Any thread. */
#define KVM_VM_ROUTES_MAX 64
int kvm_vm_set_routes(
	struct kvm_vm *vm, const struct kvm_irq_routing_entry *routes, uint32_t count) MUST_USE;
