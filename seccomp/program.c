/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks at a BPF program before the kernel does. The kernel's own check comes when a thread puts
 * the filter on, which is too late to say what is wrong with a file; this one allows less than the
 * kernel does, so that what passes here passes there. See filter.h.
 */
#include "seccomp/filter.h"

#include <errno.h>
#include <linux/seccomp.h>

/* USER_NOTIF is not among them: nobody listens. */
static bool program_action_ok(uint32_t value)
{
	switch (value & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_KILL_PROCESS:
	case SECCOMP_RET_KILL_THREAD:
	case SECCOMP_RET_TRAP:
	case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_TRACE:
	case SECCOMP_RET_LOG:
	case SECCOMP_RET_ALLOW:
		return true;
	default:
		return false;
	}
}

/* Why the instruction cannot be, with "left" more after it; or NULL. */
static const char *program_fault(const struct sock_filter *i, uint32_t left)
{
	switch (i->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		if (i->k % sizeof(uint32_t) == 0 && i->k < sizeof(struct seccomp_data))
			return NULL;
		return "it loads from outside of the call's data";
	case BPF_ALU | BPF_AND | BPF_K:
		return NULL;
	case BPF_JMP | BPF_JA:
		return i->k < left ? NULL : "it jumps past the end";
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_K:
		return i->jt < left && i->jf < left ? NULL : "it jumps past the end";
	case BPF_RET | BPF_K:
		return program_action_ok(i->k) ? NULL : "it returns an unknown action";
	default:
		return "it is none of those that a filter may have";
	}
}

int seccomp_program_check(const struct sock_filter *code, uint32_t len, struct err *e)
{
	if (len == 0 || len > SECCOMP_PROGRAM_MAX)
		return err_set(e, -EINVAL, "%u instructions; there must be 1 to %d", len,
			SECCOMP_PROGRAM_MAX);
	for (uint32_t i = 0; i < len; i++) {
		const char *fault = program_fault(&code[i], len - 1 - i);

		if (fault)
			return err_set(e, -EINVAL, "instruction %u (code 0x%02x): %s", i,
				code[i].code, fault);
	}
	if (code[len - 1].code != (BPF_RET | BPF_K))
		return err_set(e, -EINVAL, "instruction %u: the last one must return", len - 1);
	return 0;
}
