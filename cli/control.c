/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mayfly pause`, `resume` and `stop`. A VM of `mayfly run` is stopped through that process: it
 * has the power button, and reports the end. Any other monitor is asked over its API.
 */
#include "cli/cli.h"
#include "cli/run.h"
#include "cli/vm.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

#define STOP_TIMEOUT_S     15
#define STOP_TIMEOUT_S_MAX 86400

static const struct cli_option pause_options[] = {
	CLI_OPTION_HELP,
};

static const struct cli_option stop_options[] = {
	{'f', "force", NULL, NULL, "do not ask the guest"},
	{'t', "timeout", "S", NULL, "wait so many seconds for the end (15); 0 does not wait"},
	CLI_OPTION_HELP,
};

struct stop_options {
	bool force;
	int timeout_s;
};

/* fn for each VM named, or for the only one there is. The worst status. */
static int each_vm(const char *command, char **names,
	int (*fn)(const struct runtime_vm *vm, const void *arg, struct err *e), const void *arg)
{
	int status = CLI_OK;

	do {
		struct runtime_vm vm;
		struct err e;
		int rc = runtime_find(&vm, *names, &e);

		if (rc == 0 && (rc = fn(&vm, arg, &e)) < 0)
			(void)err_wrap(&e, "%s", vm.name);
		if (rc < 0) {
			cli_say(command, "%s", e.msg);
			status = CLI_FAILED;
		}
	} while (*names && *++names);
	return status;
}

static int set_state(const struct runtime_vm *vm, const void *body, struct err *e)
{
	struct http_answer a = {0};
	int rc = vm_call(vm, "PATCH", "/vm", body, &a, e);

	http_answer_fini(&a);
	return rc;
}

static int state_main(const struct cli_command *c, const char *body, int argc, char **argv)
{
	int opt;

	while ((opt = cli_option_next(c, argc, argv)) != -1) {
		if (opt == 'h')
			return cli_help(c);
		return CLI_USAGE;
	}
	return each_vm(c->name, argv + optind, set_state, body);
}

static int pause_main(int argc, char **argv)
{
	return state_main(&cli_pause_command, "{\"state\": \"Paused\"}", argc, argv);
}

static int resume_main(int argc, char **argv)
{
	return state_main(&cli_resume_command, "{\"state\": \"Resumed\"}", argc, argv);
}

/* The value tells `mayfly run` what it cannot tell from a plain kill(1). */
static int runner_signal(int pidfd, bool force, struct err *e)
{
	siginfo_t si = {0};

	si.si_signo = SIGTERM;
	si.si_code = SI_QUEUE;
	si.si_pid = getpid();
	si.si_uid = getuid();
	si.si_value.sival_int = force ? RUN_SIGNAL_FORCE : 0;
	if (pidfd_send_signal(pidfd, SIGTERM, &si, 0) == 0 || errno == ESRCH)
		return 0;
	return err_set_os(e, -errno, "cannot signal 'mayfly run'");
}

static int monitor_ask(const struct runtime_vm *vm, int pidfd, bool force, struct err *e)
{
	struct http_answer a = {0};
	int rc = 0;

	if (!force) {
		rc = vm_call(vm, "PUT", "/actions", "{\"action_type\": \"SendCtrlAltDel\"}", &a, e);
		http_answer_fini(&a);
	} else if (pidfd_send_signal(pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH) {
		rc = err_set_os(e, -errno, "cannot signal the monitor");
	}
	return rc;
}

/* A pidfd is readable once its process has ended. */
static int wait_end(int pidfd, int timeout_s, struct err *e)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	uint64_t end = clock_mono_ns() + (unsigned)timeout_s * CLOCK_NS_PER_S;
	uint64_t now;

	while (timeout_s > 0 && (now = clock_mono_ns()) < end) {
		int n = poll(&p, 1, (int)((end - now) / CLOCK_NS_PER_MS) + 1);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_set_os(e, -errno, "cannot wait for the end");
	}
	return timeout_s == 0
		       ? 0
		       : err_set(e, -ETIMEDOUT,
				 "has not ended within %d s; --force stops it at once", timeout_s);
}

static int stop_vm(const struct runtime_vm *vm, const void *arg, struct err *e)
{
	const struct stop_options *o = arg;
	bool by_runner = runtime_process_lives(&vm->runner);
	CLEANUP_FD
	int pidfd = runtime_process_open(by_runner ? &vm->runner : &vm->monitor);
	int rc;

	if (pidfd == -ESRCH)
		return 0; /* it has just ended */
	if (pidfd < 0)
		return err_set_os(e, pidfd, "cannot watch the monitor");
	rc = by_runner ? runner_signal(pidfd, o->force, e) : monitor_ask(vm, pidfd, o->force, e);
	return rc < 0 ? rc : wait_end(pidfd, o->timeout_s, e);
}

static int timeout_parse(const char *text, int *ret)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (errno || end == text || *end || v < 0 || v > STOP_TIMEOUT_S_MAX)
		return cli_usage("stop", "--timeout '%s': must be seconds, from 0 to %d", text,
			STOP_TIMEOUT_S_MAX);
	*ret = (int)v;
	return CLI_OK;
}

static int stop_main(int argc, char **argv)
{
	struct stop_options o = {.timeout_s = STOP_TIMEOUT_S};
	int opt, status = CLI_OK;

	while (status == CLI_OK && (opt = cli_option_next(&cli_stop_command, argc, argv)) != -1) {
		if (opt == 'h')
			return cli_help(&cli_stop_command);
		if (opt == '?')
			return CLI_USAGE;
		if (opt == 'f')
			o.force = true;
		else
			status = timeout_parse(optarg, &o.timeout_s);
	}
	return status == CLI_OK ? each_vm("stop", argv + optind, stop_vm, &o) : status;
}

const struct cli_command cli_pause_command = {
	.name = "pause",
	.summary = "Let a VM stand still",
	.arguments = "[VM]...",
	.description = "Pauses VMs. A paused VM takes no CPU time; 'mayfly resume' lets it go on. "
		       "VM is a name or the path of an API socket; it may be left out while just "
		       "one VM runs.",
	.words = "@vm",
	.options = pause_options,
	.option_count = NELEM(pause_options),
	.notes = "Exit status: 0, also if it was paused already; 1 if some VM could not be paused; "
		 "2 usage.",
	.main = pause_main,
};

const struct cli_command cli_resume_command = {
	.name = "resume",
	.summary = "Let a paused VM go on",
	.arguments = "[VM]...",
	.description = "Resumes VMs that were paused. VM is a name or the path of an API socket; "
		       "it may be left out while just one VM runs.",
	.words = "@vm",
	.options = pause_options,
	.option_count = NELEM(pause_options),
	.notes = "Exit status: 0, also if it was running already; 1 if some VM could not be "
		 "resumed; 2 usage.",
	.main = resume_main,
};

const struct cli_command cli_stop_command = {
	.name = "stop",
	.summary = "Ask a VM to power off, and wait until it has",
	.arguments = "[-f] [-t S] [VM]...",
	.description =
		"Stops VMs. A VM of 'mayfly run' has its power button pressed and is stopped "
		"if it has not powered off within the --stop-timeout it was run with; the "
		"guest of another monitor gets a Ctrl-Alt-Del. VM is a name or the path of "
		"an API socket; it may be left out while just one VM runs.",
	.words = "@vm",
	.options = stop_options,
	.option_count = NELEM(stop_options),
	.notes = "Exit status: 0 once all have ended; 1 if some VM could not be stopped or has not "
		 "ended in time; 2 usage.",
	.main = stop_main,
};
