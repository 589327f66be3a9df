/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VM generation id (Microsoft "Virtual Machine Generation ID", 2012): sixteen random bytes in a
 * reserved page that change, with an interrupt, whenever the VM may be running twice. The guest
 * then reseeds its random number generator.
 */
#pragma once

#include "vmm/base/field.h"
#include "vmm/mem/gmem.h"
#include "vmm/svc/irq.h"

#define VMGENID_SIZE 16u

struct vmgenid_state {
	uint8_t guid[VMGENID_SIZE];
};
extern const struct field_table vmgenid_state_table;

struct vmgenid {
	struct vmgenid_state st;
	struct irq_line irq; /* owned */
};

/* Draws the first id and writes it to LAYOUT_VMGENID. 0 or -errno. Main thread, before vCPUs. */
int vmgenid_init(struct vmgenid *g, struct gmem *m, struct err *e) MUST_USE;
void vmgenid_fini(struct vmgenid *g);
