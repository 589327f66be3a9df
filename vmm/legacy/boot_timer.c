/* SPDX-License-Identifier: Apache-2.0 */
/* The boot timer. See boot_timer.h. */
#include "vmm/legacy/boot_timer.h"

#include <string.h>

static void boot_timer_read(void *dev, uint64_t off, void *data, uint32_t len)
{
	(void)dev;
	(void)off;
	memset(data, 0, len);
}

static void boot_timer_write(void *dev, uint64_t off, const void *data, uint32_t len)
{
	const struct boot_timer *t = dev;

	if (off == 0 && len == 1 && *(const uint8_t *)data == BOOT_TIMER_MAGIC)
		t->booted(t->ctx);
}

const struct bus_ops boot_timer_bus_ops = {.read = boot_timer_read, .write = boot_timer_write};
