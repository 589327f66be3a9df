/* SPDX-License-Identifier: Apache-2.0 */
/* mayfly-vmm: one process, one VM. Options, configuration, machine, exit status. */
#include "api/config_file.h"
#include "seccomp/seccomp.h"
#include "snapshot/describe.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/base/vm_end.h"
#include "vmm/core/console.h"
#include "vmm/core/machine.h"
#include "vmm/core/metrics_sources.h"
#include "vmm/core/signals.h"
#include "vmm/core/state_list.h"
#include "vmm/options.h"

#include <stdio.h>
#include <stdlib.h>

/* The process's one VM. Static: large, and signal handlers reach the metrics. */
static struct vm_config config;
static struct machine machine;
static struct metrics metrics;
static struct metrics_process process_counters;
static struct timeline timeline;

static void main_last_metrics(void)
{
	process_counters.num_faults = seccomp_violation_count();
	(void)metrics_flush(&metrics);
}

static void main_on_violation(void)
{
	console_restore();
	main_last_metrics();
}

/*
 * A message that must be seen even if the log goes elsewhere or is off; `mayfly run` relays the log
 * and shows it itself.
 */
static int main_fail(const struct err *e, const struct vmm_options *o, int status)
{
	bool on_terminal = log_config_get()->fd == STDOUT_FILENO && isatty(STDOUT_FILENO);

	log_error("%s", e->msg);
	if (o->supervisor_fd < 0 && (!on_terminal || log_config_get()->level < LOG_ERROR))
		(void)fprintf(stderr, "mayfly-vmm: %s\n", e->msg);
	return status;
}

/* First from the command line, so that errors in the file are logged; then from the file. */
static int main_set_log(const struct vmm_options *o, const struct vm_config *c, struct err *e)
{
	struct log_config lc = {
		.id = o->id,
		.fd = STDOUT_FILENO,
		.level = o->log_level,
		.module = o->log_module,
		.show_level = o->show_level,
		.show_origin = o->show_log_origin,
	};
	const char *path = o->log_path;

	if (c->has_logger) {
		path = c->log_path ? c->log_path : path;
		lc.level = c->log_level;
		lc.show_level = c->show_level;
		lc.show_origin = c->show_log_origin;
		lc.module = c->log_module;
	}
	if (path) {
		lc.fd = log_open_target(path, "log_path", e);
		if (lc.fd < 0)
			return lc.fd;
	}
	log_configure(&lc);
	return 0;
}

static void main_mark_start(const struct vmm_options *o)
{
	uint64_t now = clock_mono_ns(), start = o->start_time_us * CLOCK_NS_PER_US;

	timeline.at_ns[TIMELINE_PROCESS_START] = start && start <= now ? start : now;
	process_counters.process_startup_time_us =
		(now - timeline.at_ns[TIMELINE_PROCESS_START]) / CLOCK_NS_PER_US;
	process_counters.process_startup_time_cpu_us =
		clock_process_cpu_ns() / CLOCK_NS_PER_US + o->parent_cpu_time_us;
}

static int main_prepare(const struct vmm_options *o, struct err *e)
{
	const char *metrics_path;
	int rc;

	if ((rc = main_set_log(o, &config, e)) < 0)
		return rc;
	log_info("Running mayfly-vmm v%s", MAYFLY_VERSION);
	if ((rc = signals_init(main_last_metrics, e)) < 0 ||
		(rc = seccomp_violation_init(main_on_violation, e)) < 0)
		return rc;
	metrics_init(&metrics);
	if ((rc = metrics_add_process(&metrics, &process_counters, e)) < 0 ||
		(rc = metrics_add_signals(&metrics, &signal_counters, e)) < 0 ||
		(rc = config_file_load(o->config_file, &config, e)) < 0 ||
		(rc = config.has_logger ? main_set_log(o, &config, e) : 0) < 0)
		return rc;
	metrics_path = config.metrics_path ? config.metrics_path : o->metrics_path;
	return metrics_path ? metrics_open(&metrics, metrics_path, e) : 0;
}

static void main_tell_supervisor(enum vm_end end)
{
	char marks[TIMELINE_TEXT_SIZE], msg[SUPERVISOR_MESSAGE_MAX];

	timeline_format(&timeline, marks);
	(void)snprintf(msg, sizeof(msg), "timeline %s", marks);
	supervisor_send(&machine.supervisor, msg);
	(void)snprintf(msg, sizeof(msg), "ended %s", vm_end_infos[end].name);
	supervisor_send(&machine.supervisor, msg);
}

/*
 * Memory, VM and devices are left to the end of the process: giving them back one by one takes
 * longer. machine_fini is for failures before the start, and for tests.
 */
static int main_run(const struct vmm_options *o, struct err *e)
{
	struct machine_options mo = {
		.seccomp = !o->no_seccomp,
		.supervisor_fd = o->supervisor_fd,
	};
	int rc = machine_init(&machine, &config, &mo, &metrics, &timeline, e);
	const struct vm_end_info *info;
	enum vm_end end;

	if (rc < 0)
		return main_fail(e, o, VMM_STATUS_BAD_CONFIG);
	rc = machine_start(&machine, e);
	if (rc < 0) {
		console_restore();
		return main_fail(e, o, VMM_STATUS_ERROR);
	}
	(void)metrics_flush(&metrics);
	end = machine_run(&machine);
	console_restore();
	main_last_metrics();
	info = &vm_end_infos[end];
	log_info("mayfly-vmm exiting %s. exit_code=%d end=%s: %s",
		info->vmm_status == 0 ? "successfully" : "with error", info->vmm_status, info->name,
		info->text);
	main_tell_supervisor(end);
	return info->vmm_status;
}

static int main_describe_state(const struct vmm_options *o)
{
	struct err e = {0};

	if (describe_state(stdout, state_list, state_list_count, &e) < 0)
		return main_fail(&e, o, VMM_STATUS_ERROR);
	return VMM_STATUS_OK;
}

int main(int argc, char **argv)
{
	struct vmm_options o;
	struct err e = {0};

	if (vmm_options_parse(&o, argc, argv, &e) < 0)
		return main_fail(&e, &o, VMM_STATUS_BAD_ARGUMENT);
	switch (o.action) {
	case VMM_ACTION_HELP:
		vmm_options_help();
		return VMM_STATUS_OK;
	case VMM_ACTION_VERSION:
		(void)printf("mayfly-vmm v%s\n", MAYFLY_VERSION);
		return VMM_STATUS_OK;
	case VMM_ACTION_DESCRIBE_STATE:
		return main_describe_state(&o);
	case VMM_ACTION_DESCRIBE_SECCOMP:
		seccomp_describe(stdout);
		return VMM_STATUS_OK;
	case VMM_ACTION_RUN:
		break;
	}
	main_mark_start(&o);
	vm_config_init(&config);
	if (main_prepare(&o, &e) < 0)
		return main_fail(&e, &o, VMM_STATUS_BAD_CONFIG);
	return main_run(&o, &e);
}
