/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 16550A: registers, divisor latch, loopback, interrupts for both directions through I/O APIC
 * pin 4, string output, and payload.rx bytes of input (0 and up, counting modulo 251), the first
 * half polled slowly, the second by interrupt; none may be lost however late they are read. Without
 * payload.rx there must be no input, as it would mix with the looped bytes.
 */
#include "rt/rt.h"

#define VEC      0x44
#define IER      (COM1 + 1)
#define IIR      (COM1 + 2)
#define LCR      (COM1 + 3)
#define MCR      (COM1 + 4)
#define LSR      (COM1 + 5)
#define MSR      (COM1 + 6)
#define SCR      (COM1 + 7)
#define LSR_DR   0x01
#define LSR_OE   0x02
#define LSR_IDLE 0x60
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10

static void drain(void)
{
	struct patience p = patience_s(2);

	while ((inb(LSR) & LSR_IDLE) != LSR_IDLE)
		EXPECT(patient(&p), "the transmitter does not become idle");
}

static void check_registers(void)
{
	uint8_t lcr = inb(LCR);

	for (unsigned v = 0; v < 256; v += 51) {
		outb(SCR, (uint8_t)v);
		EXPECT_EQ(inb(SCR), v, "scratch register");
	}
	outb(LCR, 0x83);
	outb(COM1, 0x34);
	outb(IER, 0x12);
	EXPECT_EQ(inb(COM1), 0x34, "divisor latch, low");
	EXPECT_EQ(inb(IER), 0x12, "divisor latch, high");
	outb(COM1, 1);
	outb(IER, 0);
	outb(LCR, 0x03);
	EXPECT_EQ(inb(IER), 0, "IER behind the divisor latch");
	EXPECT_EQ(inb(LCR), 0x03, "LCR");
	outb(LCR, lcr & 0x7f);
	outb(IER, 0xff);
	EXPECT_EQ(inb(IER), 0x0f, "IER has four bits");
	outb(IER, 0);
	outb(IIR, 0x01);
	EXPECT_EQ(inb(IIR) & 0xc0, 0xc0, "IIR with the FIFO on");
	EXPECT_EQ(inb(IIR) & 1, 1, "IIR with nothing pending");
}

static void check_loopback(void)
{
	drain();
	outb(MCR, MCR_LOOP);
	for (unsigned i = 0; i < 16; i++)
		outb(COM1, (uint8_t)(i * 17));
	for (unsigned i = 0; i < 16; i++) {
		EXPECT((inb(LSR) & LSR_DR) != 0, "looped byte %u is missing", i);
		EXPECT_EQ(inb(COM1), i * 17, "looped byte");
	}
	EXPECT_EQ(inb(LSR) & LSR_DR, 0, "data ready after the last looped byte");
	outb(MCR, MCR_LOOP | 0x0f);
	EXPECT_EQ(inb(MSR) & 0xf0, 0xf0, "MSR in loopback, all outputs on");
	outb(MCR, MCR_LOOP);
	EXPECT_EQ(inb(MSR) & 0xf0, 0, "MSR in loopback, all outputs off");
	outb(MCR, MCR_OUT2);
}

static void wait_irq(uint32_t more_than, const char *what)
{
	struct patience p = patience_s(2);

	while (irq_count(0, VEC) <= more_than)
		EXPECT(patient(&p), "no interrupt: %s", what);
}

static void check_irq(void)
{
	uint32_t n = irq_count(0, VEC);

	outb(IER, 2);
	wait_irq(n, "transmitter empty when enabled");
	EXPECT_EQ(inb(IIR) & 0x0f, 2, "IIR: transmitter empty");
	EXPECT_EQ(inb(IIR) & 0x0f, 1, "IIR is cleared by reading");
	n = irq_count(0, VEC);
	outb(COM1, '.');
	wait_irq(n, "transmitter empty after a byte");
	outb(IER, 0);
	drain();
	outb(MCR, MCR_LOOP | MCR_OUT2);
	n = irq_count(0, VEC);
	outb(IER, 1);
	outb(COM1, 'x');
	wait_irq(n, "received data");
	EXPECT_EQ(inb(IIR) & 0x0b, 0, "IIR: no data indication"); /* 4 or 12, bits 0, 1, 3 tell */
	EXPECT_EQ(inb(COM1), 'x', "received byte");
	EXPECT_EQ(inb(IIR) & 0x0f, 1, "IIR after the byte is read");
	outb(IER, 0);
	outb(MCR, MCR_OUT2);
}

static void check_string_output(void)
{
	const char *s = "string output\n";
	uint64_t n = strlen(s);

	drain();
	__asm__ volatile("rep outsb" : "+S"(s), "+c"(n) : "d"(COM1) : "memory");
	EXPECT_EQ(n, 0, "bytes left by rep outsb");
}

static void receive(unsigned i)
{
	uint8_t lsr = inb(LSR);
	uint8_t got;

	EXPECT_EQ(lsr & LSR_OE, 0, "overrun");
	EXPECT((lsr & LSR_DR) != 0, "no data for byte %u", i);
	got = inb(COM1);
	EXPECT(got == i % 251, "input byte %u is 0x%x, not 0x%x", i, got, i % 251);
}

static void check_input(unsigned total)
{
	uint32_t n;
	unsigned i;

	print("reading\n");
	for (i = 0; i < total / 2; i++) {
		struct patience p = patience_s(5);

		while ((inb(LSR) & LSR_DR) == 0)
			EXPECT(patient(&p), "input byte %u does not come", i);
		receive(i);
	}
	n = irq_count(0, VEC);
	outb(IER, 1);
	while (i < total) {
		wait_irq(n, "input");
		n = irq_count(0, VEC);
		while (i < total && (inb(LSR) & LSR_DR) != 0)
			receive(i++);
	}
	outb(IER, 0);
}

int payload_main(const struct payload_boot *boot)
{
	unsigned rx = (unsigned)arg_u64("payload.rx", 0);

	(void)boot;
	if (rx == 0) {
		check_registers();
		check_loopback();
		outb(IIR, 0x01); /* not with input: switching the FIFO on drops what has come */
	}
	outb(MCR, MCR_OUT2);
	ioapic_route(4, VEC, apic_id());
	irq_on();
	if (rx != 0) {
		check_input(rx);
		return 0;
	}
	check_irq();
	check_string_output();
	return 0;
}
