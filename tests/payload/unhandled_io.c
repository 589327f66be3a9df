/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports and addresses where nothing is: reads give ones (or zeros for memory), writes nothing,
 * of any width, misaligned, across the edges of devices, as strings, and ten thousand of them do
 * not fill the log or stop the machine.
 */
#include "rt/rt.h"

static void check_port(uint16_t port)
{
	outb(port, 0);
	outw(port, 0);
	outl(port, 0);
	EXPECT(inb(port) == 0xff, "port 0x%x reads 0x%x", port, inb(port));
	EXPECT(inw(port) == 0xffff, "port 0x%x reads 0x%x", port, inw(port));
	EXPECT(inl(port) == 0xffffffff, "port 0x%x reads 0x%x", port, inl(port));
}

static void expect_empty(uint64_t v, unsigned bits, uint64_t addr)
{
	uint64_t ones = bits == 64 ? ~0ull : (1ull << bits) - 1;

	EXPECT(v == 0 || v == ones, "0x%lx reads 0x%lx", addr, v);
}

static void check_mmio(uint64_t a)
{
	mmio_write8(a, 0x55);
	mmio_write16(a, 0x5555);
	mmio_write32(a, 0x55555555);
	mmio_write64(a, 0x5555555555555555);
	expect_empty(mmio_read8(a), 8, a);
	expect_empty(mmio_read16(a), 16, a);
	expect_empty(mmio_read32(a), 32, a);
	expect_empty(mmio_read64(a), 64, a);
}

/* Whatever these give, the machine must go on. */
static void poke_edges(void)
{
	static const uint64_t edges[] = {
		0xbffffffc, 0xc0000ffd, 0xc0001fff, 0xfebffffe, 0xfec00ffc, 0xfec0000d, 0xfffffff8};
	static char bytes[64];
	char *to = bytes;
	const char *from = bytes;
	uint64_t n = sizeof(bytes);

	for (unsigned i = 0; i < NELEM(edges); i++) {
		(void)mmio_read64(edges[i]);
		(void)mmio_read32(edges[i] + 1);
		mmio_write16(edges[i] + 1, 0);
	}
	(void)inl(COM1 - 1);
	(void)inl(COM1 + 6);
	(void)inw(0x63);
	__asm__ volatile("rep outsb" : "+S"(from), "+c"(n) : "d"(0x1234) : "memory");
	n = sizeof(bytes) / 2;
	__asm__ volatile("rep insw" : "+D"(to), "+c"(n) : "d"(0x1234) : "memory");
	for (unsigned i = 0; i < sizeof(bytes); i++)
		EXPECT((uint8_t)bytes[i] == 0xff, "rep insw gives 0x%x", (uint8_t)bytes[i]);
}

int payload_main(const struct payload_boot *boot)
{
	static const uint16_t ports[] = {0x42, 0x80, 0x2f8, 0x1234, 0x1235, 0xfffc};

	(void)boot;
	for (unsigned i = 0; i < NELEM(ports); i++)
		check_port(ports[i]);
	check_mmio(0xd0000000);
	check_mmio(0xd0000ffc);
	check_mmio(0xd0000ffe);
	check_mmio(0xe0000001);
	poke_edges();
	for (unsigned i = 0; i < 10000; i++) {
		outb(0x1234, (uint8_t)i);
		mmio_write32(0xd0000000 + i * 4, i);
	}
	return 0;
}
