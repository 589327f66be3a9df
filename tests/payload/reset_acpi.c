/* SPDX-License-Identifier: Apache-2.0 */
/* Resets by the reset register and value that the FADT names. */
#include "rt/rt.h"

#define FADT_FLAGS       112
#define FADT_RESET_SUP   (1u << 10)
#define FADT_RESET_REG   116
#define FADT_RESET_VALUE 128
#define GAS_IO           1

static uint16_t port;
static uint8_t value;

static uint32_t word(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void act(void)
{
	outb(port, value);
}

int payload_main(const struct payload_boot *boot)
{
	const uint8_t *fadt = acpi_table("FACP");

	(void)boot;
	EXPECT(fadt != NULL, "no FADT");
	EXPECT((word(fadt + FADT_FLAGS) & FADT_RESET_SUP) != 0, "no reset register");
	EXPECT_EQ(fadt[FADT_RESET_REG], GAS_IO, "address space of the reset register");
	port = (uint16_t)word(fadt + FADT_RESET_REG + 4);
	value = fadt[FADT_RESET_VALUE];
	outb(port, (uint8_t)(value + 1)); /* another value: nothing happens */
	end_by(act);
}
