/* SPDX-License-Identifier: Apache-2.0 */
/* Powers off by the sleep control register that the FADT names, sleep type 5. */
#include "rt/rt.h"

#define FADT_FLAGS         112
#define FADT_HW_REDUCED    (1u << 20)
#define FADT_SLEEP_CONTROL 244
#define FADT_SLEEP_STATUS  256
#define GAS_IO             1

static uint16_t control;

static uint32_t word(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void act(void)
{
	outb(control, 5 << 2 | 0x20);
}

int payload_main(const struct payload_boot *boot)
{
	const uint8_t *fadt = acpi_table("FACP");

	(void)boot;
	EXPECT(fadt != NULL, "no FADT");
	EXPECT((word(fadt + FADT_FLAGS) & FADT_HW_REDUCED) != 0, "ACPI is not hardware-reduced");
	EXPECT_EQ(fadt[FADT_SLEEP_CONTROL], GAS_IO, "address space of the sleep control register");
	control = (uint16_t)word(fadt + FADT_SLEEP_CONTROL + 4);
	(void)inb((uint16_t)word(fadt + FADT_SLEEP_STATUS + 4));
	outb(control, 5 << 2);        /* the type without the enable bit: nothing happens */
	outb(control, 0 << 2 | 0x20); /* S0: nothing happens */
	end_by(act);
}
