/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPU threads and vCPU state, on a real /dev/kvm with a guest of seven bytes: it counts in ax
 * and writes each count to a port, for ever, in real mode. Without /dev/kvm every test is skipped.
 */
#include "tests/unit/lib/cm.h"
#include "vmm/core/vcpu.h"
#include "vmm/kvm/vcpu_state.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GUEST_PORT 0x40
#define GUEST_CODE 0x1000

static struct {
	struct gmem mem;
	struct kvm_vm vm;
	struct bus ports, mmio;
	struct vcpus vcpus;
	struct timeline timeline;
	uint64_t writes; /* atomic */
	uint32_t end_at; /* writes after which the "device" ends the VM; 0: never */
	uint32_t ends;   /* atomic */
} f;

static void count_write(void *dev, uint64_t off, const void *data, uint32_t len)
{
	(void)dev;
	(void)off;
	(void)data;
	(void)len;
	if (__atomic_add_fetch(&f.writes, 1, __ATOMIC_SEQ_CST) == f.end_at)
		f.vcpus.end(NULL, VM_END_POWEROFF);
}

static void no_read(void *dev, uint64_t off, void *data, uint32_t len)
{
	(void)dev;
	(void)off;
	memset(data, 0, len);
}

static const struct bus_ops count_ops = {.read = no_read, .write = count_write};

static void note_end(void *ctx, enum vm_end end)
{
	(void)ctx;
	(void)end;
	__atomic_add_fetch(&f.ends, 1, __ATOMIC_SEQ_CST);
	vcpus_halt(&f.vcpus);
}

static void start_guest_at(int fd, uint64_t rip)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = {.rip = rip, .rflags = 2};

	assert_int_equal(ioctl(fd, KVM_GET_SREGS, &sregs), 0);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	assert_int_equal(ioctl(fd, KVM_SET_SREGS, &sregs), 0);
	assert_int_equal(ioctl(fd, KVM_SET_REGS, &regs), 0);
}

static int set_up(void **state)
{
	static const uint8_t code[] = {0x40, 0xe7, GUEST_PORT, 0xeb, 0xfb}; /* inc; out; jmp */
	struct gmem_config mc = {.size = 2 * MIB};

	(void)state;
	memset(&f, 0, sizeof(f));
	if (access("/dev/kvm", R_OK | W_OK) != 0)
		return 0;
	assert_int_equal(kvm_vm_init(&f.vm, NULL, NULL), 0);
	assert_int_equal(gmem_init(&f.mem, &mc, NULL), 0);
	assert_int_equal(kvm_vm_map_memory(&f.vm, &f.mem, false, NULL), 0);
	assert_int_equal(kvm_vm_split_irqchip(&f.vm, LAYOUT_GSI_COUNT, NULL), 0);
	assert_int_equal(vcpus_init(&f.vcpus, &f.vm, 2, NULL), 0);
	bus_init(&f.ports, "port");
	bus_init(&f.mmio, "mmio");
	assert_int_equal(bus_add(&f.ports, GUEST_PORT, 4, &count_ops, NULL, NULL), 0);
	f.vcpus.ports = &f.ports;
	f.vcpus.mmio = &f.mmio;
	f.vcpus.timeline = &f.timeline;
	f.vcpus.end = note_end;
	assert_int_equal(gmem_write(&f.mem, GPA(GUEST_CODE), code, sizeof(code)), 0);
	start_guest_at(f.vcpus.vcpu[0].fd, GUEST_CODE);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (f.vcpus.count == 0)
		return 0;
	vcpus_fini(&f.vcpus);
	kvm_vm_fini(&f.vm);
	gmem_fini(&f.mem);
	return 0;
}

static uint64_t writes(void)
{
	return __atomic_load_n(&f.writes, __ATOMIC_SEQ_CST);
}

static void wait_writes(uint64_t n)
{
	while (writes() < n)
		(void)usleep(100);
}

static void paused_guest_stands_still_and_resumes(void **state)
{
	(void)state;
	if (f.vcpus.count == 0)
		skip();
	assert_int_equal(vcpus_start(&f.vcpus, NULL), 0);
	assert_int_equal(writes(), 0);
	for (int turn = 0; turn < 50; turn++) {
		uint64_t at = writes();

		vcpus_resume(&f.vcpus);
		wait_writes(at + 3);
		vcpus_pause(&f.vcpus);
		at = writes();
		(void)usleep(2000);
		assert_int_equal(writes(), at);
	}
	assert_true(f.timeline.at_ns[TIMELINE_FIRST_INSTRUCTION] > 0);
}

static void port_write_under_way_is_completed_before_the_pause(void **state)
{
	struct kvm_regs regs;

	(void)state;
	if (f.vcpus.count == 0)
		skip();
	assert_int_equal(vcpus_start(&f.vcpus, NULL), 0);
	for (int turn = 0; turn < 20; turn++) {
		uint64_t at = writes();

		vcpus_resume(&f.vcpus);
		wait_writes(at + 1);
		vcpus_pause(&f.vcpus);
		assert_int_equal(ioctl(f.vcpus.vcpu[0].fd, KVM_GET_REGS, &regs), 0);
		/* inc comes before out: they differ by at most the one that is not out yet. */
		assert_in_range((regs.rax & 0xffff) - (writes() & 0xffff), 0, 1);
		if (regs.rip == GUEST_CODE + 3)
			assert_int_equal(regs.rax & 0xffff, writes() & 0xffff);
	}
}

static void end_stops_the_guest_without_the_main_thread(void **state)
{
	(void)state;
	if (f.vcpus.count == 0)
		skip();
	f.end_at = 5;
	assert_int_equal(vcpus_start(&f.vcpus, NULL), 0);
	vcpus_resume(&f.vcpus);
	wait_writes(5);
	(void)usleep(5000);
	assert_int_equal(writes(), 5);
	assert_int_equal(__atomic_load_n(&f.ends, __ATOMIC_SEQ_CST), 1);
	vcpus_stop(&f.vcpus);
	vcpus_stop(&f.vcpus); /* idempotent */
}

static uint64_t rip(uint32_t vcpu)
{
	struct kvm_regs regs = {0};

	assert_int_equal(ioctl(f.vcpus.vcpu[vcpu].fd, KVM_GET_REGS, &regs), 0);
	return regs.rip;
}

static void warm_vcpus_have_not_run_an_instruction(void **state)
{
	uint64_t at;

	(void)state;
	if (f.vcpus.count == 0)
		skip();
	assert_int_equal(vcpus_start(&f.vcpus, NULL), 0);
	vcpus_warm(&f.vcpus);
	assert_int_equal(rip(0), GUEST_CODE);
	assert_int_equal(writes(), 0);
	/* The kick that kept them from it is gone, and works again. */
	for (int turn = 0; turn < 3; turn++) {
		at = writes();
		vcpus_resume(&f.vcpus);
		wait_writes(at + 3);
		vcpus_pause(&f.vcpus);
	}
	at = writes();
	vcpus_warm(&f.vcpus); /* once is enough */
	assert_int_equal(writes(), at);
	vcpus_stop(&f.vcpus);
}

static void counters_sum_over_vcpus(void **state)
{
	struct vcpu_counters c;

	(void)state;
	if (f.vcpus.count == 0)
		skip();
	assert_int_equal(vcpus_start(&f.vcpus, NULL), 0);
	vcpus_resume(&f.vcpus);
	wait_writes(10);
	vcpus_pause(&f.vcpus);
	vcpus_counters(&f.vcpus, &c);
	assert_int_equal(c.exit_io_out, writes());
	assert_int_equal(c.failures, 0);
}

/* KVM_GET_MSR_INDEX_LIST, whole. */
static uint32_t msr_indices(uint32_t ret[1024])
{
	struct {
		uint32_t count;
		uint32_t index[1024];
	} list = {.count = 1024};

	assert_int_equal(ioctl(f.vm.kvm_fd, KVM_GET_MSR_INDEX_LIST, &list), 0);
	memcpy(ret, list.index, list.count * sizeof(ret[0]));
	return list.count;
}

static void saved_state_continues_on_another_vcpu(void **state)
{
	static struct vcpu_state saved, again;
	static uint32_t indices[1024];
	uint32_t msr_count, xsave_size = sizeof(struct kvm_xsave);
	struct err e = {0};

	(void)state;
	if (f.vcpus.count == 0)
		skip();
	assert_int_equal(vcpus_start(&f.vcpus, NULL), 0);
	vcpus_resume(&f.vcpus);
	wait_writes(7);
	vcpus_pause(&f.vcpus);
	msr_count = msr_indices(indices);
	if (vcpu_state_save(f.vcpus.vcpu[0].fd, xsave_size, indices, msr_count, &saved, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(field_table_check(&vcpu_state_table, &saved, &e), 0);
	assert_true(saved.msr_count > 10);
	if (vcpu_state_load(f.vcpus.vcpu[1].fd, &saved, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(
		vcpu_state_save(f.vcpus.vcpu[1].fd, xsave_size, indices, msr_count, &again, &e), 0);
	assert_memory_equal(&saved.regs, &again.regs, sizeof(saved.regs));
	assert_memory_equal(&saved.sregs.cs, &again.sregs.cs, sizeof(saved.sregs.cs));
	assert_int_equal(saved.sregs.cr0, again.sregs.cr0);
	assert_memory_equal(saved.xsave, again.xsave, xsave_size);
	assert_int_equal(again.mp_state.mp_state, KVM_MP_STATE_RUNNABLE);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(paused_guest_stands_still_and_resumes),
		TEST(port_write_under_way_is_completed_before_the_pause),
		TEST(end_stops_the_guest_without_the_main_thread),
		TEST(warm_vcpus_have_not_run_an_instruction),
		TEST(counters_sum_over_vcpus),
		TEST(saved_state_continues_on_another_vcpu),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
