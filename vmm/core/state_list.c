/* SPDX-License-Identifier: Apache-2.0 */
/* The list of state tables. See state_list.h. */
#include "vmm/core/state_list.h"

#include "virtio/blk.h"
#include "virtio/mmio.h"
#include "virtio/net.h"
#include "virtio/rng.h"
#include "virtio/vsock.h"
#include "vmm/kvm/vcpu_state.h"
#include "vmm/legacy/i8042.h"
#include "vmm/legacy/uart.h"
#include "vmm/legacy/vmclock.h"
#include "vmm/legacy/vmgenid.h"
#include "vmm/svc/ioapic.h"

/* The power, pvpanic and boot timer devices have no state of their own. */
const struct field_table *const state_list[] = {
	&vcpu_state_table,
	&ioapic_state_table,
	&uart_state_table,
	&i8042_state_table,
	&vmgenid_state_table,
	&vmclock_state_table,
	&virtio_mmio_state_table,
	&virtio_dev_state_table,
	&blk_state_table,
	&rng_state_table,
	&net_state_table,
	&vsock_state_table,
};
const uint32_t state_list_count = NELEM(state_list);
