/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any accesses to the I/O APIC's registers. Whatever was written, the routes handed to KVM must be
 * ones that KVM could take, and the state one that a load would accept.
 */
#include "vmm/svc/ioapic.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct op {
	uint8_t what; /* bit 7: write; bits 0-1: width */
	uint16_t off;
	uint64_t value;
} __attribute__((packed));

static int check_routes(void *ctx, const struct kvm_irq_routing_entry *routes, uint32_t count)
{
	(void)ctx;
	if (count > LAYOUT_GSI_COUNT)
		abort();
	for (uint32_t i = 0; i < count; i++)
		if (routes[i].gsi >= LAYOUT_GSI_COUNT || routes[i].u.msi.address_hi ||
			routes[i].u.msi.address_lo >> 20 != 0xfee ||
			(i > 0 && routes[i].gsi <= routes[i - 1].gsi))
			abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ioapic a;
	struct op op;

	ioapic_init(&a, check_routes, NULL);
	for (; size >= sizeof(op); data += sizeof(op), size -= sizeof(op)) {
		memcpy(&op, data, sizeof(op));
		uint32_t width = 1u << (op.what & 3);
		uint64_t off = op.off % (IOAPIC_SIZE - width), value = op.value;

		if (op.what & 0x40) /* most of what matters is at two addresses */
			off &= 0x10;
		if (op.what & 0x80)
			ioapic_bus_ops.write(&a, off, &value, width);
		else
			ioapic_bus_ops.read(&a, off, &value, width);
	}
	if (ioapic_sync_routes(&a) < 0 || field_table_check(&ioapic_state_table, &a.st, NULL) < 0)
		abort();
	ioapic_fini(&a);
	return 0;
}
