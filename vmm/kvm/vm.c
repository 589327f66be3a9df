/* SPDX-License-Identifier: Apache-2.0 */
/* One KVM VM. See vm.h. */
#include "vmm/kvm/vm.h"

#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/layout.h"
#include "vmm/kvm/caps.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

/* Intel needs two scratch areas in guest physical space; elsewhere the calls do nothing. */
static int vm_set_scratch_areas(struct kvm_vm *vm, struct err *e)
{
	uint64_t identity = LAYOUT_IDENTITY_MAP;

	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		return err_set_os(e, -errno, "KVM_SET_IDENTITY_MAP_ADDR");
	if (ioctl(vm->fd, KVM_SET_TSS_ADDR, LAYOUT_TSS) < 0)
		return err_set_os(e, -errno, "KVM_SET_TSS_ADDR");
	return 0;
}

/* EINTR: KVM_CREATE_VM gives up when a signal arrives, and may simply be called again. */
static int vm_create(int kvm_fd)
{
	int fd;

	do
		fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	while (fd < 0 && errno == EINTR);
	return fd >= 0 ? fd : -errno;
}

int kvm_vm_open(struct kvm_vm *vm, const struct cpu_template *t, struct err *e)
{
	CLEANUP_FD
	int kvm_fd = -1;
	int rc, size;

	*vm = (struct kvm_vm){.kvm_fd = -1, .fd = -1};
	kvm_fd = kvm_caps_open(e);
	if (kvm_fd < 0)
		return kvm_fd;
	rc = kvm_caps_check(kvm_fd, t, e);
	if (rc < 0)
		return rc;
	size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run))
		return err_set(e, -EIO,
			"KVM_GET_VCPU_MMAP_SIZE says %d, too small for struct kvm_run", size);
	vm->run_size = (uint32_t)size;
	vm->kvm_fd = fd_take(&kvm_fd);
	return 0;
}

int kvm_vm_create(struct kvm_vm *vm, struct err *e)
{
	vm->fd = vm_create(vm->kvm_fd);
	if (vm->fd < 0)
		return err_set_os(e, vm->fd, "KVM_CREATE_VM");
	return vm_set_scratch_areas(vm, e);
}

int kvm_vm_init(struct kvm_vm *vm, const struct cpu_template *t, struct err *e)
{
	int rc = kvm_vm_open(vm, t, e);

	if (rc == 0)
		rc = kvm_vm_create(vm, e);
	if (rc < 0)
		kvm_vm_fini(vm);
	return rc;
}

void kvm_vm_fini(struct kvm_vm *vm)
{
	fd_close(&vm->fd);
	fd_close(&vm->kvm_fd);
}

int kvm_vm_map_memory(struct kvm_vm *vm, const struct gmem *m, bool track_dirty, struct err *e)
{
	for (uint32_t i = 0; i < m->region_count; i++) {
		struct kvm_userspace_memory_region region = {
			.slot = vm->slot_count,
			.flags = track_dirty ? KVM_MEM_LOG_DIRTY_PAGES : 0,
			.guest_phys_addr = m->regions[i].start.v,
			.memory_size = m->regions[i].size,
			.userspace_addr = (uintptr_t)m->regions[i].host,
		};

		if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
			return err_set_os(e, -errno,
				"machine-config.mem_size_mib: KVM refused %llu MiB of memory at "
				"0x%llx",
				(unsigned long long)(region.memory_size / MIB),
				(unsigned long long)region.guest_phys_addr);
		vm->slot_count++;
	}
	return 0;
}

int kvm_vm_split_irqchip(struct kvm_vm *vm, uint32_t pin_count, struct err *e)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {pin_count}};

	if (ioctl(vm->fd, KVM_ENABLE_CAP, &cap) < 0)
		return err_set_os(e, -errno, "KVM_CAP_SPLIT_IRQCHIP");
	return 0;
}

int kvm_vm_create_vcpu(struct kvm_vm *vm, uint32_t index, struct err *e)
{
	int fd;

	do
		fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)index);
	while (fd < 0 && errno == EINTR);
	return fd >= 0 ? fd : err_set_os(e, -errno, "KVM_CREATE_VCPU %u", index);
}

/* #syscalls:main,io ioctl:1=KVM_IOEVENTFD */
int kvm_vm_add_ioeventfd(struct kvm_vm *vm, gpa_t addr, uint32_t match, int fd, struct err *e)
{
	struct kvm_ioeventfd io = {
		.addr = addr.v,
		.len = 4,
		.datamatch = match,
		.fd = fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	if (ioctl(vm->fd, KVM_IOEVENTFD, &io) < 0)
		return err_set_os(e, -errno, "KVM_IOEVENTFD at 0x%llx", (unsigned long long)addr.v);
	return 0;
}

int kvm_vm_add_irqfd(struct kvm_vm *vm, uint32_t gsi, int fd, struct err *e)
{
	struct kvm_irqfd irq = {.fd = (uint32_t)fd, .gsi = gsi};

	if (ioctl(vm->fd, KVM_IRQFD, &irq) < 0)
		return err_set_os(e, -errno, "KVM_IRQFD for interrupt %u", gsi);
	return 0;
}

/* #syscalls:vcpu ioctl:1=KVM_SET_GSI_ROUTING */
int kvm_vm_set_routes(struct kvm_vm *vm, const struct kvm_irq_routing_entry *routes, uint32_t count)
{
	union {
		struct kvm_irq_routing table;
		unsigned char bytes[sizeof(struct kvm_irq_routing) +
				    KVM_VM_ROUTES_MAX * sizeof(struct kvm_irq_routing_entry)];
	} u;

	CHECK(count <= KVM_VM_ROUTES_MAX);
	memset(&u.table, 0, sizeof(u.table));
	u.table.nr = count;
	memcpy(u.bytes + sizeof(u.table), routes, count * sizeof(routes[0]));
	return ioctl(vm->fd, KVM_SET_GSI_ROUTING, &u.table) == 0 ? 0 : -errno;
}

/* #syscalls:main ioctl:1=KVM_GET_DIRTY_LOG */
static int vm_collect_slot(
	struct kvm_vm *vm, struct gmem *m, uint32_t slot, uint64_t *words, struct err *e)
{
	const struct gmem_region *r = &m->regions[slot];
	uint64_t first = r->file_offset / GMEM_PAGE_SIZE / 64;
	uint64_t count = (r->size / GMEM_PAGE_SIZE + 63) / 64;
	struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = words};

	CHECK(IS_ALIGNED(r->file_offset, (uint64_t)GMEM_PAGE_SIZE * 64));
	memset(words, 0, count * sizeof(*words));
	if (ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log) < 0)
		return err_set_os(e, -errno, "KVM_GET_DIRTY_LOG");
	for (uint64_t i = 0; i < count; i++)
		if (words[i])
			__atomic_fetch_or(&m->dirty[first + i], words[i], __ATOMIC_RELAXED);
	return 0;
}

int kvm_vm_collect_dirty(struct kvm_vm *vm, struct gmem *m, struct err *e)
{
	CLEANUP_FREE
	uint64_t *words = malloc((m->size / GMEM_PAGE_SIZE / 64 + 1) * sizeof(*words));
	int rc = 0;

	CHECK(m->dirty && m->region_count == vm->slot_count);
	if (!words)
		return err_set_os(e, -ENOMEM, "the dirty log");
	for (uint32_t i = 0; rc == 0 && i < m->region_count; i++)
		rc = vm_collect_slot(vm, m, i, words, e);
	return rc;
}
