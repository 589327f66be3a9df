/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a payload may use. A payload is payload_main() and runs at CPL 3 on an identity map of all
 * memory, with devices and ports open to it: port I/O and MMIO work, privileged instructions go through
 * kcall(). It ends by returning 0, or by fail(), or by never coming back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))
#define KIB      1024ul
#define MIB      (1024 * KIB)
#define GIB      (1024 * MIB)
#define PAGE     4096ul

#define E820_RAM       1
#define E820_ACPI      3
#define BOOT_RANGE_MAX 64

struct mem_range {
	uint64_t start, len;
	uint32_t type;
};

struct payload_boot {
	uint32_t kind; /* BOOT_KIND_* */
	uint32_t range_count;
	struct mem_range range[BOOT_RANGE_MAX];
	uint64_t rsdp; /* 0: the monitor gave none */
	uint64_t initrd, initrd_size;
	uint64_t raw; /* hvm_start_info or zero page, still in place */
	char cmdline[4096];
};

int payload_main(const struct payload_boot *boot);

/* boot.c: the command line */
extern struct payload_boot rt_boot;
/* The value of the nth `key=value`, NULL if there is none; ends at a space or NUL. */
const char *arg_find(const char *key, unsigned nth);
uint64_t arg_u64(const char *key, uint64_t otherwise);
bool arg_is(const char *key, const char *value);
uint64_t parse_u64(const char **s); /* decimal or 0x, moves *s past it; suffix K, M or G */

/* print.c: polled output on COM1 */
#define COM1 0x3f8
void uart_putc(char c);
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* One line "PAYLOAD fail: ..." and the end of the machine. */
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *fmt, ...);
#define EXPECT(cond, ...)                                                                          \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fail(__VA_ARGS__);                                                         \
	} while (0)
#define EXPECT_EQ(got, want, what)                                                                 \
	do {                                                                                       \
		uint64_t g_ = (uint64_t)(got), w_ = (uint64_t)(want);                              \
		if (g_ != w_)                                                                      \
			fail("%s is 0x%lx, expected 0x%lx", what, g_, w_);                         \
	} while (0)
__attribute__((noreturn)) void machine_reset(void);
void triple_fault(void);
/* Says "PAYLOAD ok", runs act, and fails if the machine goes on for two seconds. */
__attribute__((noreturn)) void end_by(void (*act)(void));
__attribute__((noreturn)) void stop_here(void);

/* mem.c */
void *memset(void *p, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
void *alloc(size_t len, size_t align);       /* zeroed, never freed but by heap_reset */
void heap_keep(void);                        /* what is allocated now stays */
void heap_reset(void);                       /* frees the rest */
void map_high(uint64_t start, uint64_t len); /* identity-maps memory above 4 GiB */
uint64_t ram_top(void);                      /* first byte after the last RAM range */
uint64_t ram_low_top(void);                  /* the same, below 4 GiB */
extern char rt_image_start[], rt_image_end[];

/* cpu.c */
struct iret_frame {
	uint64_t rip, cs, rflags, rsp, ss;
};
typedef uint64_t (*kcall_fn)(uint64_t a, uint64_t b, uint64_t c, struct iret_frame *frame);
/* Runs fn at CPL 0, where instructions may be emulated: keep it to a few plain ones. */
uint64_t kcall(kcall_fn fn, uint64_t a, uint64_t b, uint64_t c);
uint64_t rdmsr(uint32_t msr);
void wrmsr(uint32_t msr, uint64_t value);
void irq_on(void); /* through CPL 0, as IOPL 3 is not to be relied upon */
void irq_off(void);
void halt(void); /* sti; hlt; cli at CPL 0 */
struct cpuid_regs {
	uint32_t a, b, c, d;
};
struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf); /* as CPL 0 sees it */
uint32_t irq_count(unsigned cpu, uint8_t vector);
uint32_t irq_count_all(uint8_t vector);
void tss_init(unsigned cpu);
void idt_init(void);

/* apic.c: the local APIC of the running CPU, in either mode, and the I/O APIC */
#define APIC_ID        0x20
#define APIC_VERSION   0x30
#define APIC_SVR       0xf0
#define APIC_ICR       0x300
#define APIC_LVT_TIMER 0x320
#define APIC_TIMER_ICR 0x380
#define APIC_TIMER_CCR 0x390
#define APIC_TIMER_DCR 0x3e0
void apic_init(unsigned cpu);
void apic_use_x2(unsigned cpu);
uint32_t apic_id(void);
uint32_t apic_read(uint32_t reg);
void apic_write(uint32_t reg, uint32_t value);
void apic_ipi(uint32_t dest, uint32_t icr_low);
/* The TSC deadline is set in the TSC as CPL 0 reads it. */
void tsc_deadline_after(uint64_t ticks);

#define IOAPIC_MASKED (1u << 16)
#define IOAPIC_LEVEL  (1u << 15)
uint32_t ioapic_read(uint32_t reg);
void ioapic_write(uint32_t reg, uint32_t value);
void ioapic_route(uint32_t pin, uint32_t low, uint32_t dest);
unsigned ioapic_pins(void);

/* smp.c */
unsigned smp_start_all(void); /* all CPUs of the MADT, returns how many run; 0 is this one */
void smp_run(unsigned cpu, void (*fn)(unsigned cpu)); /* fn at CPL 3 of that CPU; do not wait */
void smp_wait(unsigned cpu);
uint32_t smp_apic_id(unsigned cpu);

/* boot_check.c: what both boot protocols must hand over */
void boot_check(const struct payload_boot *boot);

/* acpi.c */
const uint8_t *acpi_table(const char *signature); /* checksum verified; NULL if absent */
unsigned acpi_cpus(uint32_t *ids, unsigned max);  /* enabled CPUs of the MADT */

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port) : "memory");
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port) : "memory");
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

/* Assembly, so that the compiler can neither merge nor widen an access to a device. */
#define MMIO_ACCESSORS(bits, suffix, reg)                                                          \
	static inline uint##bits##_t mmio_read##bits(uint64_t addr)                                \
	{                                                                                          \
		uint##bits##_t v;                                                                  \
                                                                                                   \
		__asm__ volatile("mov" suffix " (%1), %0" : "=" reg(v) : "r"(addr) : "memory");    \
		return v;                                                                          \
	}                                                                                          \
	static inline void mmio_write##bits(uint64_t addr, uint##bits##_t v)                       \
	{                                                                                          \
		__asm__ volatile("mov" suffix " %0, (%1)" ::reg(v), "r"(addr) : "memory");         \
	}
MMIO_ACCESSORS(8, "b", "q")
MMIO_ACCESSORS(16, "w", "r")
MMIO_ACCESSORS(32, "l", "r")
MMIO_ACCESSORS(64, "q", "r")

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static inline void mb(void)
{
	__asm__ volatile("lock; addl $0, -4(%%rsp)" ::: "memory", "cc");
}

/*
 * Patience: true until about `seconds` passed. The frequency of the TSC is not known to a payload;
 * 3 GHz is assumed, so a second is between half a second and two. Longer gaps between two looks do not count: others
 * had the CPU, or the machine was saved and went on much later (some KVMs show the host's TSC at CPL 3).
 */
#define PATIENCE_GAP 3000000000ull
struct patience {
	uint64_t until, last;
};

extern uint64_t
	rt_patience; /* payload.patience: so many times longer, on a machine that is busy on purpose */

static inline struct patience patience_ticks(uint64_t ticks)
{
	uint64_t start = rdtsc();

	return (struct patience){start + ticks, start};
}

static inline struct patience patience_s(unsigned seconds)
{
	return patience_ticks((uint64_t)seconds * 3000000000ull * rt_patience);
}

static inline bool patient(struct patience *p)
{
	uint64_t tick;

	cpu_relax();
	tick = rdtsc();
	if (tick - p->last > PATIENCE_GAP) /* also if it went back */
		p->until += tick - p->last;
	p->last = tick;
	return tick < p->until;
}
