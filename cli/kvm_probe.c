/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe guest. It starts in 64-bit mode, with paging, at the ring in question, does one thing
 * and writes to a port; how KVM_RUN returns is the answer. There is no interrupt controller and
 * no IDT, so a fault ends in a shutdown exit.
 *
 *	guest memory	0x0000 PML4	0x1000 PDPT	0x2000 PD (one 2 MiB page)
 *			0x3000 code	0x4000 data, stack above it
 */
#include "cli/kvm_probe.h"

#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/layout.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>

#define GUEST_SIZE  (2 * MIB)
#define GUEST_PML4  0x0000u
#define GUEST_PDPT  0x1000u
#define GUEST_PD    0x2000u
#define GUEST_CODE  0x3000u
#define GUEST_DATA  0x4000u
#define GUEST_STACK 0x6000u

#define PTE_PRESENT     0x01u
#define PTE_WRITE       0x02u
#define PTE_USER        0x04u
#define PTE_LARGE       0x80u
#define CR0_PE_NE_WP_PG 0x80010021u
#define CR4_PAE_OSFXSR  0x220u
#define EFER_LME_LMA    0x500u
#define RFLAGS_IOPL3    0x3002u

/*
 * Loops, of two instructions each. The longest takes 0.1 ms natively; LOOP_LONG takes 10 to 20 ms
 * in an instruction emulator (2 to 4 M/s), and some ms on an emulated processor (50 M/s).
 */
#define LOOP_SHORT     1000u
#define LOOP_LONG      20000u
#define LOOP_LONGER    400000u
#define LOOP_TRIES     3
#define NATIVE_IPS_MIN 20000000u
#define HANG_S         5

struct probe_vm {
	int vm_fd;
	int vcpu_fd;
	uint8_t *mem;
	struct kvm_run *run;
	size_t run_size;
};

/* Each ends in `out %al, $0x10`. RDI points at the data page, RCX is the count. */
static const uint8_t code_loop[] = {0xff, 0xc9, 0x75, 0xfc, 0xe6, 0x10};

static const struct {
	const char *name;
	uint8_t code[8];
} kernel_insns[] = {
	{"cmpxchg16b", {0x48, 0x0f, 0xc7, 0x0f, 0xe6, 0x10}},
	{"fxsave64", {0x48, 0x0f, 0xae, 0x07, 0xe6, 0x10}},
	{"fxrstor64", {0x48, 0x0f, 0xae, 0x0f, 0xe6, 0x10}},
};

static void on_alarm(int sig)
{
	(void)sig; /* it only has to interrupt KVM_RUN */
}

static void vm_fini(struct probe_vm *vm)
{
	if (vm->run)
		(void)munmap(vm->run, vm->run_size);
	fd_close(&vm->vcpu_fd);
	fd_close(&vm->vm_fd);
	if (vm->mem)
		(void)munmap(vm->mem, GUEST_SIZE);
}

static void page_tables_write(uint8_t *mem)
{
	const uint64_t flags = PTE_PRESENT | PTE_WRITE | PTE_USER;
	const uint64_t pml4 = GUEST_PDPT | flags, pdpt = GUEST_PD | flags, pd = flags | PTE_LARGE;

	memcpy(mem + GUEST_PML4, &pml4, sizeof(pml4));
	memcpy(mem + GUEST_PDPT, &pdpt, sizeof(pdpt));
	memcpy(mem + GUEST_PD, &pd, sizeof(pd));
}

/* The emulator looks at the guest's CPUID before it executes fxsave. */
static int cpuid_set(int kvm_fd, int vcpu_fd)
{
	enum { ENTRIES_MAX = 256 };
	CLEANUP_FREE
	struct kvm_cpuid2 *c =
		calloc(1, sizeof(*c) + ENTRIES_MAX * sizeof(struct kvm_cpuid_entry2));

	if (!c) {
		errno = ENOMEM;
		return -1;
	}
	c->nent = ENTRIES_MAX;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, c) < 0)
		return -1;
	return ioctl(vcpu_fd, KVM_SET_CPUID2, c);
}

static int vm_init(struct probe_vm *vm, int kvm_fd, struct err *e)
{
	const uint64_t identity_map = LAYOUT_IDENTITY_MAP;
	struct kvm_userspace_memory_region slot = {.memory_size = GUEST_SIZE};
	int size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *p;

	vm->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (size < 0 || vm->vm_fd < 0)
		return err_set_os(e, -errno, "cannot create a VM (KVM_CREATE_VM)%s",
			errno == EBUSY ? "; another hypervisor holds the processor's virtualization"
				       : "");
	p = mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return err_set_os(e, -errno, "cannot map the memory of a VM");
	vm->mem = p;
	page_tables_write(vm->mem);
	slot.userspace_addr = (uintptr_t)vm->mem;
	if (ioctl(vm->vm_fd, KVM_SET_TSS_ADDR, (unsigned long)LAYOUT_TSS) < 0 ||
		ioctl(vm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0 ||
		ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return err_set_os(e, -errno, "cannot give memory to a VM");
	vm->vcpu_fd = ioctl(vm->vm_fd, KVM_CREATE_VCPU, 0);
	if (vm->vcpu_fd < 0 || cpuid_set(kvm_fd, vm->vcpu_fd) < 0)
		return err_set_os(e, -errno, "cannot create a vCPU");
	vm->run_size = (size_t)size;
	p = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu_fd, 0);
	if (p == MAP_FAILED)
		return err_set_os(e, -errno, "cannot map a vCPU");
	vm->run = p;
	return 0;
}

static int regs_set(const struct probe_vm *vm, uint8_t cpl, uint32_t rcx)
{
	struct kvm_segment code = {.limit = 0xffffffff,
		.type = 11,
		.present = 1,
		.s = 1,
		.l = 1,
		.g = 1,
		.dpl = cpl,
		.selector = (uint16_t)(0x08 | cpl)};
	struct kvm_segment data = {.limit = 0xffffffff,
		.type = 3,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
		.dpl = cpl,
		.selector = (uint16_t)(0x10 | cpl)};
	struct kvm_regs regs = {.rip = GUEST_CODE,
		.rsp = GUEST_STACK,
		.rdi = GUEST_DATA,
		.rcx = rcx,
		.rflags = RFLAGS_IOPL3};
	struct kvm_sregs s;

	if (ioctl(vm->vcpu_fd, KVM_GET_SREGS, &s) < 0)
		return -1;
	s.cr0 = CR0_PE_NE_WP_PG;
	s.cr3 = GUEST_PML4;
	s.cr4 = CR4_PAE_OSFXSR;
	s.efer = EFER_LME_LMA;
	s.cs = code;
	s.ss = s.ds = s.es = s.fs = s.gs = data;
	if (ioctl(vm->vcpu_fd, KVM_SET_SREGS, &s) < 0)
		return -1;
	return ioctl(vm->vcpu_fd, KVM_SET_REGS, &regs);
}

/* Runs code at cpl until it exits. The exit reason, or -errno. *ret_ns is how long that took. */
static int code_run(const struct probe_vm *vm, const uint8_t *code, size_t size, uint8_t cpl,
	uint32_t rcx, uint64_t *ret_ns)
{
	uint64_t start;

	memset(vm->mem + GUEST_DATA, 0, 0x1000);
	memcpy(vm->mem + GUEST_CODE, code, size);
	if (regs_set(vm, cpl, rcx) < 0)
		return -errno;
	start = clock_mono_ns();
	if (ioctl(vm->vcpu_fd, KVM_RUN, 0) < 0)
		return -errno;
	*ret_ns = clock_mono_ns() - start;
	return (int)vm->run->exit_reason;
}

/* The best of a few runs: the first pays for page faults, and others may have lost their CPU. */
static int loop_time(
	const struct probe_vm *vm, uint8_t cpl, uint32_t loops, uint64_t *ret_ns, struct err *e)
{
	uint64_t ns = 0, best_ns = UINT64_MAX;

	for (int i = 0; i < LOOP_TRIES; i++) {
		int reason = code_run(vm, code_loop, sizeof(code_loop), cpl, loops, &ns);

		if (reason == -EINTR)
			return err_set(e, -ETIMEDOUT,
				"a VM hangs: %u instructions took more than %d s", 2 * loops,
				HANG_S);
		if (reason < 0)
			return err_set_os(e, reason, "cannot run a VM (KVM_RUN)");
		if (reason != KVM_EXIT_IO)
			return err_set(e, -EIO,
				"a VM that counts at CPL %u ends with exit reason %d", cpl, reason);
		best_ns = MIN(best_ns, ns);
	}
	*ret_ns = best_ns;
	return 0;
}

/*
 * The difference of a long and a short loop, without the cost of entry and exit, which a nested
 * KVM has a lot of. Where the long loop is over too fast to be measured, a longer one is not slow.
 */
static int speed_measure(const struct probe_vm *vm, uint8_t cpl, uint64_t *ret_ips, struct err *e)
{
	uint32_t loops = LOOP_LONG;
	uint64_t short_ns = 0, long_ns = 0;
	int r = loop_time(vm, cpl, LOOP_SHORT, &short_ns, e);

	if (r == 0)
		r = loop_time(vm, cpl, loops, &long_ns, e);
	if (r == 0 && long_ns < short_ns + CLOCK_NS_PER_MS) {
		loops = LOOP_LONGER;
		r = loop_time(vm, cpl, loops, &long_ns, e);
	}
	if (r < 0)
		return r;
	*ret_ips = 2 * (uint64_t)(loops - LOOP_SHORT) * CLOCK_NS_PER_S /
		   (long_ns > short_ns ? long_ns - short_ns : 1);
	return 0;
}

static const char *kernel_insn_missing(const struct probe_vm *vm)
{
	uint64_t ns;

	for (size_t i = 0; i < NELEM(kernel_insns); i++) {
		if (code_run(vm, kernel_insns[i].code, sizeof(kernel_insns[i].code), 0, 0, &ns) !=
			KVM_EXIT_IO)
			return kernel_insns[i].name;
	}
	return NULL;
}

static int probe_vm_measure(const struct probe_vm *vm, struct kvm_probe *ret, struct err *e)
{
	struct kvm_probe p = {0};
	int r = speed_measure(vm, 0, &p.kernel_ips, e);

	if (r == 0)
		r = speed_measure(vm, 3, &p.user_ips, e);
	if (r < 0)
		return r;
	if (p.kernel_ips >= NATIVE_IPS_MIN)
		p.kind = KVM_PROBE_HARDWARE;
	else
		p.kind = p.user_ips >= NATIVE_IPS_MIN ? KVM_PROBE_PAGE_TABLE : KVM_PROBE_EMULATED;
	/* Last: an emulation failure leaves nothing behind that regs_set would not replace. */
	p.missing = kernel_insn_missing(vm);
	*ret = p;
	return 0;
}

int kvm_probe_run(int kvm_fd, struct kvm_probe *ret, struct err *e)
{
	const struct itimerval limit = {.it_value = {.tv_sec = HANG_S}}, none = {0};
	struct sigaction old, alarm_action = {.sa_handler = on_alarm}; /* no SA_RESTART */
	struct probe_vm vm = {.vm_fd = -1, .vcpu_fd = -1};
	int r = vm_init(&vm, kvm_fd, e);

	if (r == 0) {
		CHECK(vm.mem && vm.run);
		(void)sigaction(SIGALRM, &alarm_action, &old);
		(void)setitimer(ITIMER_REAL, &limit, NULL);
		r = probe_vm_measure(&vm, ret, e);
		(void)setitimer(ITIMER_REAL, &none, NULL);
		(void)sigaction(SIGALRM, &old, NULL);
	}
	vm_fini(&vm);
	return r;
}

bool kvm_probe_boots_stock_kernels(const struct kvm_probe *p)
{
	return p->kind == KVM_PROBE_HARDWARE && !p->missing;
}
