/* SPDX-License-Identifier: Apache-2.0 */
/* How a run ended, as an exit status and in words. docs/exit-status.md is the contract. */
#include "cli/run.h"

#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define STATUS_FORCED  137 /* 128 + SIGKILL, as if the guest itself had been killed */
#define STATUS_SIGNAL0 128

static const char *vmm_status_text(int status)
{
	switch (status) {
	case VMM_STATUS_BAD_SYSCALL:
		return ": it made a system call that its filter forbids, which is a fault of "
		       "mayfly";
	case VMM_STATUS_BAD_CONFIG:
		return ": bad configuration";
	case VMM_STATUS_BAD_ARGUMENT:
		return ": it does not know an argument; is it of another version?";
	default:
		return "";
	}
}

/* The monitor is gone and has not said how the VM ended. */
static int report_death(const struct run_result *r)
{
	const char *when = r->started ? "while the VM ran" : "before the VM ran";
	int ws = r->wait_status;

	if (r->signal && (r->killed || !r->started)) {
		if (r->killed)
			cli_say("run", "mayfly-vmm did not stop and was killed");
		return r->forced ? STATUS_FORCED : STATUS_SIGNAL0 + r->signal;
	}
	if (r->killed)
		cli_say("run", "mayfly-vmm closed its socket but did not exit; it was killed");
	else if (WIFSIGNALED(ws))
		cli_say("run", "mayfly-vmm was killed by signal %d (%s) %s", WTERMSIG(ws),
			strsignal(WTERMSIG(ws)), when);
	else
		cli_say("run", "mayfly-vmm exited with status %d %s%s", WEXITSTATUS(ws), when,
			vmm_status_text(WEXITSTATUS(ws)));
	return CLI_FAILED;
}

/* Did the monitor itself end as it does after this end of its VM? */
static bool monitor_is_well(const struct run_result *r, const struct vm_end_info *info)
{
	if (r->killed && WIFSIGNALED(r->wait_status))
		cli_say("run", "mayfly-vmm did not exit after its VM had ended, and was killed");
	else if (WIFSIGNALED(r->wait_status))
		cli_say("run", "mayfly-vmm was killed by signal %d (%s) after its VM had ended",
			WTERMSIG(r->wait_status), strsignal(WTERMSIG(r->wait_status)));
	else if (WEXITSTATUS(r->wait_status) != info->vmm_status)
		cli_say("run", "mayfly-vmm exited with status %d after its VM had ended, not %d",
			WEXITSTATUS(r->wait_status), info->vmm_status);
	else
		return true;
	return false;
}

int run_report(const struct run_result *r)
{
	const struct vm_end_info *info = &vm_end_infos[r->end];

	if (r->end == VM_END_NONE)
		return report_death(r);
	if (r->end != VM_END_POWEROFF)
		cli_say("run", "VM ended by %s: %s", info->name, info->text);
	if (!monitor_is_well(r, info))
		return CLI_FAILED;
	if (r->signal && r->end == VM_END_STOPPED)
		return r->forced ? STATUS_FORCED : STATUS_SIGNAL0 + r->signal;
	if (r->signal && r->end == VM_END_POWEROFF)
		return STATUS_SIGNAL0 + r->signal;
	return info->run_status;
}

/* "vm_created" as "vm created". */
static void label_print(const char *name, int len)
{
	for (int i = 0; i < len; i++)
		(void)fputc(name[i] == '_' ? ' ' : name[i], stderr);
	(void)fprintf(stderr, "%*s", len < 20 ? 20 - len : 1, "");
}

void run_timeline_print(const char *timeline)
{
	uint64_t before_us = 0;

	if (*timeline == '\0') {
		cli_say("run", "the monitor has sent no timeline");
		return;
	}
	(void)fprintf(stderr, "%-20s %12s %12s\n", "timeline", "at ms", "step ms");
	for (const char *s = timeline; *s;) {
		size_t len = strcspn(s, " ");
		const char *eq = memchr(s, '=', len);

		if (eq) {
			char *end;
			uint64_t us = strtoull(eq + 1, &end, 10);

			label_print(s, (int)(eq - s));
			if (end == eq + 1) {
				(void)fprintf(stderr, " %12s %12s\n", "-", "-");
			} else {
				(void)fprintf(stderr, " %12.3f %12.3f\n", (double)us / 1000,
					(double)(int64_t)(us - before_us) / 1000);
				before_us = us;
			}
		}
		s += len + strspn(s + len, " ");
	}
}
