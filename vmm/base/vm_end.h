/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a VM can end, and what each end is called and reported as. mayfly-vmm and the mayfly
 * command share this table; docs/exit-status.md is written from it.
 */
#pragma once

#include "vmm/base/compiler.h"

enum vm_end {
	VM_END_NONE,           /* still running */
	VM_END_POWEROFF,       /* ACPI sleep state S5 */
	VM_END_REBOOT,         /* ACPI reset register */
	VM_END_RESET,          /* keyboard controller reset line */
	VM_END_PANIC,          /* the guest said so by pvpanic, then ended in any way */
	VM_END_TRIPLE_FAULT,   /* KVM_EXIT_SHUTDOWN */
	VM_END_INTERNAL_ERROR, /* KVM_EXIT_INTERNAL_ERROR, FAIL_ENTRY, or an exit nobody knows */
	VM_END_STOPPED,        /* the supervisor asked for it */
	VM_END_COUNT,
};

struct vm_end_info {
	const char *name; /* one word with dashes, in messages and on the supervisor socket */
	const char *text; /* for the last log line */
	int vmm_status;   /* exit status of mayfly-vmm; clients rely on 0 for the first four */
	int run_status;   /* exit status of `mayfly run` */
};

extern const struct vm_end_info vm_end_infos[VM_END_COUNT];

/* Exit statuses of mayfly-vmm that are not the end of a VM: Firecracker's. */
enum {
	VMM_STATUS_OK = 0,
	VMM_STATUS_ERROR = 1,      /* host or user error, message in the log */
	VMM_STATUS_UNEXPECTED = 2, /* something that cannot happen, such as a SIGSYS sent by hand */
	VMM_STATUS_BAD_SYSCALL = 148,
	VMM_STATUS_SIGBUS = 149,
	VMM_STATUS_SIGSEGV = 150,
	VMM_STATUS_SIGXFSZ = 151,
	VMM_STATUS_BAD_CONFIG = 152,   /* the configuration file or one of its values */
	VMM_STATUS_BAD_ARGUMENT = 153, /* the command line */
	VMM_STATUS_SIGXCPU = 154,
	VMM_STATUS_SIGHUP = 156,
	VMM_STATUS_SIGILL = 157,
};
