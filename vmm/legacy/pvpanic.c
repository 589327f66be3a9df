/* SPDX-License-Identifier: Apache-2.0 */
/* pvpanic. See pvpanic.h. */
#include "vmm/legacy/pvpanic.h"

#include <string.h>

#define PVPANIC_PANICKED 0x01

static void pvpanic_read(void *dev, uint64_t off, void *data, uint32_t len)
{
	(void)dev;
	(void)off;
	memset(data, 0, len);
	*(uint8_t *)data = PVPANIC_PANICKED; /* the events that are understood */
}

static void pvpanic_write(void *dev, uint64_t off, const void *data, uint32_t len)
{
	const struct pvpanic *p = dev;

	(void)off;
	(void)len;
	if (*(const uint8_t *)data & PVPANIC_PANICKED)
		p->panicked(p->ctx);
}

const struct bus_ops pvpanic_bus_ops = {.read = pvpanic_read, .write = pvpanic_write};
