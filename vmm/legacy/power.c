/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI power registers. See power.h. */
#include "vmm/legacy/power.h"

#include "vmm/base/layout.h"

#include <string.h>

#define SLEEP_ENABLE  0x20u
#define SLEEP_TYPE(v) ((uint32_t)(v) >> 2 & 7u)
#define OFF_SLEEP     (LAYOUT_PORT_ACPI_SLEEP - LAYOUT_PORT_ACPI_SLEEP)
#define OFF_RESET     (LAYOUT_PORT_ACPI_RESET - LAYOUT_PORT_ACPI_SLEEP)

static void power_read(void *dev, uint64_t off, void *data, uint32_t len)
{
	(void)dev;
	(void)off;
	memset(data, 0, len); /* sleep status: never woken; the others are write-only */
}

static void power_write(void *dev, uint64_t off, const void *data, uint32_t len)
{
	const struct power *p = dev;
	uint8_t value = *(const uint8_t *)data;

	if (len != 1)
		return;
	if (off == OFF_SLEEP && (value & SLEEP_ENABLE) && SLEEP_TYPE(value) == LAYOUT_ACPI_SLEEP_S5)
		p->end(p->end_ctx, VM_END_POWEROFF);
	else if (off == OFF_RESET && value == LAYOUT_ACPI_RESET_VALUE)
		p->end(p->end_ctx, VM_END_REBOOT);
}

const struct bus_ops power_bus_ops = {.read = power_read, .write = power_write};
