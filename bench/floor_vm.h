/* SPDX-License-Identifier: Apache-2.0 */
/* A raw KVM machine with one vCPU that enters a payload by PVH: the floors' common part. */
#pragma once

#include <elf.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLOOR_MEMORY_SIZE (128ull << 20)
#define FLOOR_START_INFO  0x6000u
#define FLOOR_PVH_MAGIC   0x336ec578u
#define FLOOR_NOTE_PVH    18u
#define FLOOR_PIN_COUNT   24
#define FLOOR_CPUID_MAX   256
#define FLOOR_HOLE_START  (3ull << 30) /* what memory is beyond lies at 4 GiB */
#define FLOOR_HOLE_END    (4ull << 30)

struct floor {
	int kvm_fd, vm_fd, vcpu_fd;
	struct kvm_run *run;
	unsigned char *memory;
	unsigned long long memory_size;
	bool with_cpuid, with_irqfd, with_ioeventfd;
};

static _Noreturn void floor_die(const char *what)
{
	perror(what);
	exit(1);
}

static int floor_ioctl(int fd, unsigned long request, void *arg, const char *what)
{
	int rc = ioctl(fd, request, arg);

	if (rc < 0)
		floor_die(what);
	return rc;
}

static void floor_add_slot(const struct floor *f, unsigned slot, unsigned long long guest,
	unsigned long long from, unsigned long long size)
{
	struct kvm_userspace_memory_region r = {.slot = slot,
		.guest_phys_addr = guest,
		.memory_size = size,
		.userspace_addr = (unsigned long)f->memory + from};

	floor_ioctl(f->vm_fd, KVM_SET_USER_MEMORY_REGION, &r, "KVM_SET_USER_MEMORY_REGION");
}

/* A machine with this memory, of which fd is the file; flags are those of mmap. */
static void floor_create_with(struct floor *f, unsigned long long size, int fd, int flags)
{
	struct kvm_enable_cap split = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {FLOOR_PIN_COUNT}};
	unsigned long long low = size < FLOOR_HOLE_START ? size : FLOOR_HOLE_START;
	int run_size;

	f->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (f->kvm_fd < 0)
		floor_die("/dev/kvm");
	f->vm_fd = floor_ioctl(f->kvm_fd, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
	f->memory_size = size;
	f->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, fd, 0);
	if (f->memory == MAP_FAILED)
		floor_die("mmap");
	floor_add_slot(f, 0, 0, 0, low);
	if (size > low)
		floor_add_slot(f, 1, FLOOR_HOLE_END, low, size - low);
	floor_ioctl(f->vm_fd, KVM_ENABLE_CAP, &split, "KVM_CAP_SPLIT_IRQCHIP");
	f->vcpu_fd = floor_ioctl(f->vm_fd, KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU");
	run_size = floor_ioctl(f->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");
	f->run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, f->vcpu_fd, 0);
	if (f->run == MAP_FAILED)
		floor_die("mmap of the vCPU");
}

static inline void floor_create(struct floor *f)
{
	floor_create_with(f, FLOOR_MEMORY_SIZE, -1, MAP_PRIVATE | MAP_ANONYMOUS);
}

static void floor_set_cpuid(const struct floor *f)
{
	static union {
		struct kvm_cpuid2 head;
		unsigned char bytes[sizeof(struct kvm_cpuid2) +
				    FLOOR_CPUID_MAX * sizeof(struct kvm_cpuid_entry2)];
	} table;

	table.head.nent = FLOOR_CPUID_MAX;
	floor_ioctl(f->kvm_fd, KVM_GET_SUPPORTED_CPUID, &table, "KVM_GET_SUPPORTED_CPUID");
	floor_ioctl(f->vcpu_fd, KVM_SET_CPUID2, &table, "KVM_SET_CPUID2");
}

/* The payloads are ours, so this checks no more than that a read succeeds. */
static void floor_read(int fd, void *to, size_t len, Elf64_Off from)
{
	if (pread(fd, to, len, (off_t)from) != (ssize_t)len)
		floor_die("reading the kernel");
}

static unsigned floor_find_entry(int fd, const Elf64_Phdr *p)
{
	unsigned char note[4096];

	floor_read(fd, note, p->p_filesz < sizeof(note) ? p->p_filesz : sizeof(note), p->p_offset);
	for (size_t at = 0; at + sizeof(Elf64_Nhdr) < p->p_filesz && at + 20 < sizeof(note);) {
		Elf64_Nhdr h;
		unsigned entry;

		memcpy(&h, note + at, sizeof(h));
		memcpy(&entry, note + at + sizeof(h) + 4, sizeof(entry));
		if (h.n_type == FLOOR_NOTE_PVH && h.n_namesz == 4)
			return entry;
		at += sizeof(h) + ((h.n_namesz + 3) & ~3u) + ((h.n_descsz + 3) & ~3u);
	}
	return 0;
}

static unsigned floor_load(const struct floor *f, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned entry = 0;
	Elf64_Phdr phdrs[16];
	Elf64_Ehdr ehdr;

	if (fd < 0)
		floor_die(path);
	floor_read(fd, &ehdr, sizeof(ehdr), 0);
	if (ehdr.e_phnum > 16)
		floor_die("too many program headers");
	floor_read(fd, phdrs, ehdr.e_phnum * sizeof(phdrs[0]), ehdr.e_phoff);
	for (int i = 0; i < ehdr.e_phnum; i++) {
		const Elf64_Phdr *p = &phdrs[i];

		if (p->p_type == PT_LOAD && p->p_paddr + p->p_filesz <= f->memory_size)
			floor_read(fd, f->memory + p->p_paddr, p->p_filesz, p->p_offset);
		else if (p->p_type == PT_NOTE && !entry)
			entry = floor_find_entry(fd, p);
	}
	close(fd);
	return entry;
}

/* 32-bit protected mode with flat segments, ebx = start_info: the PVH entry. */
static void floor_set_registers(const struct floor *f, unsigned entry)
{
	struct kvm_segment flat = {.limit = 0xffffffff,
		.selector = 0x18,
		.type = 3,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1};
	struct kvm_regs regs = {.rip = entry, .rflags = 2, .rbx = FLOOR_START_INFO};
	unsigned magic = FLOOR_PVH_MAGIC;
	struct kvm_sregs sregs;

	memcpy(f->memory + FLOOR_START_INFO, &magic, sizeof(magic));
	floor_ioctl(f->vcpu_fd, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat;
	flat.selector = 0x10;
	flat.type = 0xb;
	sregs.cs = flat;
	sregs.cr0 = 0x31;
	floor_ioctl(f->vcpu_fd, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
	floor_ioctl(f->vcpu_fd, KVM_SET_REGS, &regs, "KVM_SET_REGS");
}
