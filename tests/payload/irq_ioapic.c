/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O APIC: registers, mask and unmask, delivery of edges to the CPU that the entry names.
 * The edges come from the serial port, whose interrupt rises each time the enable bit is set while
 * the transmitter is empty.
 */
#include "rt/rt.h"

#define PIN   4
#define VEC_A 0x51
#define VEC_B 0x52

static uint32_t stop;

static void take_interrupts(unsigned cpu)
{
	(void)cpu;
	irq_on();
	while (__atomic_load_n(&stop, __ATOMIC_ACQUIRE) == 0)
		cpu_relax();
	irq_off();
}

static void edge(void)
{
	struct patience p = patience_s(2);

	while ((inb(COM1 + 5) & 0x60) != 0x60)
		EXPECT(patient(&p), "the transmitter does not become idle");
	outb(COM1 + 1, 0);
	(void)inb(COM1 + 2);
	outb(COM1 + 1, 2);
}

/* Waits for that many interrupts and makes sure that no more come. */
static void expect(unsigned cpu, uint8_t vec, uint32_t count, const char *what)
{
	struct patience p = patience_s(2);
	struct patience quiet;

	while (irq_count(cpu, vec) < count && patient(&p))
		continue;
	quiet = patience_ticks(30000000);
	while (patient(&quiet))
		continue;
	EXPECT(irq_count(cpu, vec) == count, "%s: CPU %u took %u interrupts, not %u", what, cpu,
		irq_count(cpu, vec), count);
}

static void check_registers(void)
{
	unsigned pins = ioapic_pins();
	uint32_t version = ioapic_read(1) & 0xff;

	EXPECT(version >= 0x10 && version <= 0x2f, "version 0x%x", version);
	EXPECT(pins >= 24, "%u pins", pins);
	for (unsigned pin = 0; pin < pins; pin++)
		EXPECT((ioapic_read(0x10 + 2 * pin) & IOAPIC_MASKED) != 0,
			"pin %u is not masked after reset", pin);
	ioapic_write(0x10, IOAPIC_MASKED | 0x77);
	ioapic_write(0x11, 0x0a000000);
	EXPECT_EQ(ioapic_read(0x10), IOAPIC_MASKED | 0x77, "entry 0, low");
	EXPECT_EQ(ioapic_read(0x11), 0x0a000000, "entry 0, high");
	ioapic_write(0x10, IOAPIC_MASKED);
	ioapic_write(0x11, 0);
	ioapic_write(1, 0xffffffff);
	EXPECT_EQ(ioapic_pins(), pins, "pins after a write to a read-only register");
	ioapic_write(0xfe, 0xffffffff);
	(void)ioapic_read(0xfe);
}

int payload_main(const struct payload_boot *boot)
{
	unsigned n = smp_start_all();

	(void)boot;
	check_registers();
	outb(COM1 + 4, 8);
	outb(COM1 + 1, 0);
	(void)inb(COM1 + 2);
	irq_on();
	ioapic_route(PIN, VEC_A, apic_id());
	edge();
	expect(0, VEC_A, 1, "first edge");
	edge();
	expect(0, VEC_A, 2, "second edge");
	outb(COM1 + 1, 0);
	(void)inb(COM1 + 2);
	ioapic_route(PIN, VEC_B | IOAPIC_MASKED, apic_id());
	edge();
	expect(0, VEC_B, 0, "edge while masked");
	outb(COM1 + 1, 0);
	(void)inb(COM1 + 2);
	ioapic_route(PIN, VEC_B, apic_id());
	edge();
	expect(0, VEC_A, 2, "old vector");
	EXPECT(irq_count(0, VEC_B) >= 1, "no interrupt after unmasking");
	for (unsigned cpu = 1; cpu < n; cpu++) {
		uint32_t mine = irq_count(0, VEC_A);

		stop = 0;
		smp_run(cpu, take_interrupts);
		outb(COM1 + 1, 0);
		ioapic_route(PIN, VEC_A, smp_apic_id(cpu));
		edge();
		expect(cpu, VEC_A, 1, "edge to another CPU");
		EXPECT_EQ(irq_count(0, VEC_A), mine, "interrupts of CPU 0");
		__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
		smp_wait(cpu);
	}
	outb(COM1 + 1, 0);
	return 0;
}
