/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the time by kvm-clock, as Linux takes it: for each byte 'c' on the serial port a line with
 * wall clock and monotonic time in nanoseconds, at the moment the byte was read. Ends at a byte 'q'.
 */
#include "rt/rt.h"

#define MSR_KVM_WALL_CLOCK_NEW   0x4b564d00
#define MSR_KVM_SYSTEM_TIME_NEW  0x4b564d01
#define KVM_CLOCK_ENABLE         1u
#define KVM_CPUID_FEATURES       0x40000001
#define KVM_FEATURE_CLOCKSOURCE2 3
#define LSR                      (COM1 + 5)
#define LSR_DR                   0x01
#define NS_PER_S                 1000000000u

/* Documentation/virt/kvm/x86/msr.rst */
struct wall_clock {
	uint32_t version;
	uint32_t sec;
	uint32_t nsec;
};
struct vcpu_time {
	uint32_t version;
	uint32_t pad;
	uint64_t tsc_timestamp;
	uint64_t system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags;
	uint8_t pad2[2];
};

static volatile struct wall_clock *wall;
static volatile struct vcpu_time *now;

/* At CPL 0, where every KVM gives the guest its own time stamp counter. */
static uint64_t tsc_read(uint64_t a, uint64_t b, uint64_t c, struct iret_frame *frame)
{
	uint32_t low, high;

	(void)a, (void)b, (void)c, (void)frame;
	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static uint64_t monotonic_ns(void)
{
	uint32_t version;
	uint64_t ns, ticks;

	do {
		version = now->version;
		ticks = kcall(tsc_read, 0, 0, 0) - now->tsc_timestamp;
		ticks = now->tsc_shift < 0 ? ticks >> -now->tsc_shift : ticks << now->tsc_shift;
		ns = now->system_time +
		     (uint64_t)((unsigned __int128)ticks * now->tsc_to_system_mul >> 32);
	} while ((version & 1) != 0 || version != now->version);
	return ns;
}

static void tell(void)
{
	uint64_t mono = monotonic_ns();

	print("clock %lu %lu end\n", (uint64_t)wall->sec * NS_PER_S + wall->nsec + mono, mono);
}

int payload_main(const struct payload_boot *boot)
{
	(void)boot;
	EXPECT((cpuid(KVM_CPUID_FEATURES, 0).a >> KVM_FEATURE_CLOCKSOURCE2 & 1) != 0,
		"no kvm-clock");
	wall = alloc(sizeof(*wall), 64);
	now = alloc(sizeof(*now), 64);
	wrmsr(MSR_KVM_WALL_CLOCK_NEW, (uint64_t)wall);
	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (uint64_t)now | KVM_CLOCK_ENABLE);
	print("ready\n");
	for (;;) {
		if ((inb(LSR) & LSR_DR) == 0)
			continue;
		switch (inb(COM1)) {
		case 'c':
			tell();
			break;
		case 'q':
			return 0;
		}
	}
}
