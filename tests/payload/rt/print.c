/* SPDX-License-Identifier: Apache-2.0 */
/* Output on the first serial port, and the ways a payload ends. */
#include <stdarg.h>

#include "rt.h"

void rt_exception(uint64_t vector, uint64_t error, uint64_t rip, uint64_t cr2);

static uint8_t print_lock;

void uart_putc(char c)
{
	while ((inb(COM1 + 5) & 0x20) == 0)
		cpu_relax();
	outb(COM1, (uint8_t)c);
}

static void put_str(const char *s, const char *end)
{
	for (; *s != '\0' && s != end; s++)
		uart_putc(*s);
}

static void put_num(uint64_t v, unsigned base)
{
	char buf[24];
	char *p = buf + sizeof(buf) - 1;

	*p = '\0';
	do {
		*--p = "0123456789abcdef"[v % base];
		v /= base;
	} while (v != 0);
	put_str(p, NULL);
}

/* %s %c %d %u %x with l, ll or z; %p. Nothing else is needed. */
static void vprint(const char *fmt, va_list *ap)
{
	for (; *fmt != '\0'; fmt++) {
		bool wide = false;
		uint64_t v;

		if (*fmt != '%') {
			uart_putc(*fmt);
			continue;
		}
		while (*++fmt == 'l' || *fmt == 'z')
			wide = true;
		if (*fmt == 's') {
			put_str(va_arg(*ap, const char *), NULL);
			continue;
		}
		if (*fmt == 'c') {
			uart_putc((char)va_arg(*ap, int));
			continue;
		}
		if (*fmt == 'd') {
			int64_t d = wide ? va_arg(*ap, int64_t) : va_arg(*ap, int);

			if (d < 0)
				uart_putc('-');
			put_num(d < 0 ? 0 - (uint64_t)d : (uint64_t)d, 10);
			continue;
		}
		v = wide || *fmt == 'p' ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned);
		put_num(v, *fmt == 'u' ? 10 : 16);
	}
}

void print(const char *fmt, ...)
{
	va_list ap;

	while (__atomic_test_and_set(&print_lock, __ATOMIC_ACQUIRE))
		cpu_relax();
	va_start(ap, fmt);
	vprint(fmt, &ap);
	va_end(ap);
	__atomic_clear(&print_lock, __ATOMIC_RELEASE);
}

void fail(const char *fmt, ...)
{
	va_list ap;

	/* A payload may have left the port with its divisor latch open or in loopback. */
	outb(COM1 + 3, 0x03);
	outb(COM1 + 4, 0x08);
	put_str("PAYLOAD fail: ", NULL);
	va_start(ap, fmt);
	vprint(fmt, &ap);
	va_end(ap);
	uart_putc('\n');
	machine_reset();
}

void rt_exception(uint64_t vector, uint64_t error, uint64_t rip, uint64_t cr2)
{
	fail("exception %lu error 0x%lx rip 0x%lx cr2 0x%lx", vector, error, rip, cr2);
}

void stop_here(void)
{
	for (;;)
		cpu_relax();
}

static uint64_t k_triple_fault(uint64_t a, uint64_t b, uint64_t c, struct iret_frame *f)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none;

	(void)a, (void)b, (void)c, (void)f;
	__asm__ volatile("lidt %0; ud2" ::"m"(none));
	return 0;
}

void triple_fault(void)
{
	(void)kcall(k_triple_fault, 0, 0, 0);
}

void end_by(void (*act)(void))
{
	struct patience p;

	print("PAYLOAD ok\n");
	act();
	p = patience_s(2);
	while (patient(&p))
		continue;
	fail("the machine goes on");
}

void machine_reset(void)
{
	struct patience p;

	if (arg_is("payload.reset", "triple"))
		triple_fault();
	outb(0x64, 0xfe);
	/* Some monitors have no i8042 (QEMU microvm): a triple fault resets those. */
	p = patience_s(2);
	while (patient(&p))
		continue;
	triple_fault();
	stop_here();
}
