/* SPDX-License-Identifier: Apache-2.0 */
/* The table of ends. See vm_end.h. */
#include "vmm/base/vm_end.h"

const struct vm_end_info vm_end_infos[VM_END_COUNT] = {
	[VM_END_NONE] = {"none", "the VM has not ended", 1, 1},
	[VM_END_POWEROFF] = {"poweroff", "the guest powered off (ACPI S5)", 0, 0},
	[VM_END_REBOOT] = {"reboot", "the guest rebooted (ACPI reset register)", 0, 64},
	[VM_END_RESET] = {"reset", "the guest reset the machine (keyboard controller)", 0, 65},
	[VM_END_PANIC] = {"panic", "the guest's kernel panicked (pvpanic)", 0, 66},
	[VM_END_TRIPLE_FAULT] = {"triple-fault", "triple fault", 3, 67},
	[VM_END_INTERNAL_ERROR] = {"internal-error", "KVM could not go on", 4, 68},
	[VM_END_STOPPED] = {"stopped", "the supervisor stopped the VM", 0, 69},
};
