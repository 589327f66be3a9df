/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mayfly-vmm: one process, one VM. Options, API, configuration, machine, exit status. The process
 * owns one event loop, on which the API is served from the start to the end; a machine that runs
 * takes it into its own (vmm/core/machine.h).
 */
#include "api/controller.h"
#include "api/mmds/mmds.h"
#include "seccomp/filter.h"
#include "seccomp/seccomp.h"
#include "snapshot/describe.h"
#include "snapshot/format.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/base/passed_fd.h"
#include "vmm/base/vm_end.h"
#include "vmm/core/console.h"
#include "vmm/core/signals.h"
#include "vmm/options.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

/* The process's one VM. Static: large, and signal handlers reach the metrics. */
static struct loop loop;
static struct http_server server;
static struct controller controller;
static struct machine machine;
static struct mmds mmds;
static struct metrics metrics;
static struct metrics_process process_counters;
static struct timeline timeline;

static void main_last_metrics(void)
{
	process_counters.num_faults = seccomp_violation_count();
	process_counters.panic_count = signals_panic_count();
	(void)metrics_flush_last(&metrics);
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
		.json = o->log_json,
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

/* Without an API nothing is opened once the guest runs. */
static struct landlock_config main_landlock(const struct vmm_options *o)
{
	bool off = o->landlock ? strcmp(o->landlock, "off") == 0 : !o->no_api;

	return (struct landlock_config){
		.on = !off,
		.required = o->landlock != NULL,
		.dirs = o->landlock,
	};
}

static int main_prepare(const struct vmm_options *o, struct err *e)
{
	const struct controller_config cc = {
		.id = o->id,
		.loop = &loop,
		.machine = &machine,
		.metrics = &metrics,
		.timeline = &timeline,
		.seccomp = !o->no_seccomp,
		.landlock = main_landlock(o),
		.metrics_open = o->metrics_path != NULL,
		.supervisor_fd = o->supervisor_fd,
		.mmds = &mmds,
	};
	int rc;

	if (o->fds_from && (rc = passed_fd_receive(o->fds_from, e)) < 0)
		return rc;
	if ((rc = main_set_log(o, &controller.config, e)) < 0)
		return rc;
	log_info("Running Firecracker v%s (mayfly-vmm v%s)", CONTROLLER_COMPATIBLE_VERSION,
		MAYFLY_VERSION);
	metrics_init(&metrics); /* before the handlers, which write them */
	if ((rc = signals_init(main_last_metrics, e)) < 0 ||
		(rc = seccomp_violation_init(main_on_violation, e)) < 0)
		return rc;
	mmds_init(&mmds, o->mmds_size_max);
	if ((rc = metrics_add_process(&metrics, &process_counters, e)) < 0 ||
		(rc = metrics_add_signals(&metrics, &signal_counters, e)) < 0 ||
		(rc = metrics_add_mmds(&metrics, &mmds.counters, e)) < 0 ||
		(rc = loop_init(&loop, e)) < 0 || (rc = controller_init(&controller, &cc, e)) < 0 ||
		(rc = o->metadata ? mmds_preload(&mmds, o->metadata, e) : 0) < 0)
		return rc;
	return o->metrics_path ? metrics_open(&metrics, o->metrics_path, e) : 0;
}

/* What the threads will put on; checked now, not when a client asks for the start. */
static int main_choose_filters(const struct vmm_options *o, struct err *e)
{
	struct seccomp_set s = {0};

	if (o->seccomp_filter) {
		if (seccomp_set_load(&s, o->seccomp_filter, e) < 0)
			return err_wrap(e, "Seccomp error: Filter deserialization failed");
		seccomp_set_use(&s);
		log_warn("seccomp: the filters of %s are used", o->seccomp_filter);
	}
	if (o->no_seccomp)
		log_warn("seccomp: no filters (--no-seccomp): nothing confines this process");
	if (!o->seccomp_log && !o->seccomp_record)
		return 0;
	log_warn("seccomp: denied calls are made (--seccomp-%s): nothing confines this process",
		o->seccomp_record ? "record" : "log");
	return seccomp_debug_init(o->seccomp_record, e);
}

/* The file's own log and metrics take the place of the command line's. */
static int main_configure(const struct vmm_options *o, struct err *e)
{
	const struct vm_config *c = &controller.config;
	int rc = controller_load_file(&controller, o->config_file, e);

	if (rc < 0 || (c->has_logger && (rc = main_set_log(o, c, e)) < 0) || !c->metrics_path)
		return rc;
	rc = metrics_set_extra(
		&metrics, c->metrics_emit_id ? o->id : NULL, c->metrics_properties, e);
	if (rc == 0)
		rc = metrics_open(&metrics, c->metrics_path, e);
	controller.o.metrics_open = true;
	return rc;
}

static int main_serve(const struct vmm_options *o, struct err *e)
{
	struct http_server_config hc = {
		.loop = &loop,
		.path = o->api_sock,
		.listen_fd = -1,
		.body_max = (uint32_t)o->payload_size_max,
		.handler = controller_handle,
		.ctx = &controller,
	};
	int rc;

	if (passed_fd_is(o->api_sock)) {
		hc.listen_fd = passed_fd_open(o->api_sock, e);
		if (hc.listen_fd < 0)
			return err_wrap(e, "--api-sock");
	}
	rc = http_server_init(&server, &hc, e);
	if (rc < 0)
		return rc;
	log_info("API server started.");
	return 0;
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
static int main_run(void)
{
	const struct vm_end_info *info;
	enum vm_end end = machine_run(&machine);

	log_info("Vmm is stopping.");
	console_restore();
	info = &vm_end_infos[end];
	log_info("Firecracker exiting %s. exit_code=%d end=%s: %s",
		info->vmm_status == 0 ? "successfully" : "with error", info->vmm_status, info->name,
		info->text);
	main_last_metrics();
	main_tell_supervisor(end);
	return info->vmm_status;
}

/* --restore, --fork-from: as PUT /snapshot/load would do it. */
static int main_restore(const struct vmm_options *o, struct err *e)
{
	char state[PATH_MAX], memory[PATH_MAX], prefetch[PATH_MAX];
	struct api_snapshot_load b = {
		.snapshot_path = state,
		.has_backend = true,
		.backend = {.uffd = o->restore_handler != NULL, .path = memory},
		.resume_vm = !o->restore_paused,
		.clock_realtime = o->restore_clock,
		.force = o->restore_force,
		.huge_pages = API_PAGES_SNAPSHOT,
	};

	if (o->fork_from) {
		(void)snprintf(state, sizeof(state), "%s", o->fork_from);
		b.fork_from = state;
		b.snapshot_path = NULL;
		b.has_backend = false;
		return controller_restore(&controller, &b, e);
	}
	(void)snprintf(state, sizeof(state), "%s", o->restore);
	(void)snprintf(memory, sizeof(memory), "%s",
		o->restore_memory ? o->restore_memory : o->restore_handler);
	if (o->restore_prefetch) {
		(void)snprintf(prefetch, sizeof(prefetch), "%s", o->restore_prefetch);
		b.prefetch_path = prefetch;
	}
	return controller_restore(&controller, &b, e);
}

/* Serves until the VM has been started and has ended. */
static int main_live(const struct vmm_options *o, struct err *e)
{
	int rc;

	if (o->config_file && main_configure(o, e) < 0)
		return main_fail(e, o, VMM_STATUS_BAD_CONFIG);
	if (!o->no_api && main_serve(o, e) < 0)
		return main_fail(e, o, VMM_STATUS_ERROR);
	if (o->config_file && controller_start(&controller, e) < 0)
		return main_fail(e, o, VMM_STATUS_BAD_CONFIG);
	if ((o->restore || o->fork_from) && main_restore(o, e) < 0)
		return main_fail(e, o, VMM_STATUS_ERROR);
	while (controller.state == API_NOT_STARTED) {
		rc = loop_run(&loop);
		if (rc < 0) {
			(void)err_set_os(e, rc, "the event loop failed");
			return main_fail(e, o, VMM_STATUS_ERROR);
		}
		if (controller.load_failed) {
			main_last_metrics();
			return VMM_STATUS_ERROR; /* the answer and the log have said why */
		}
	}
	return main_run();
}

static int main_describe_state(const struct vmm_options *o)
{
	struct err e = {0};

	if (describe_snapshot_state(stdout, &e) < 0)
		return main_fail(&e, o, VMM_STATUS_ERROR);
	return VMM_STATUS_OK;
}

static int main_describe_snapshot(const struct vmm_options *o)
{
	struct err e = {0};

	if (describe_file(stdout, o->describe_snapshot, &e) < 0)
		return main_fail(&e, o, VMM_STATUS_ERROR);
	return VMM_STATUS_OK;
}

/* Installers link Firecracker's name to us; tools parse its version from the first line. */
static void main_version(const char *name)
{
	const char *slash = strrchr(name, '/');

	if (strcmp(slash ? slash + 1 : name, "firecracker") == 0)
		(void)printf("Firecracker v%s\n", CONTROLLER_COMPATIBLE_VERSION);
	(void)printf("mayfly-vmm v%s\n", MAYFLY_VERSION);
}

/*
 * Where the kernel leaves it to each process: no speculation past stores, and no indirect branches that others
 * have trained. Threads inherit both; a guest has its own setting.
 */
static void main_stop_speculation(void)
{
	static const unsigned long which[] = {PR_SPEC_STORE_BYPASS, PR_SPEC_INDIRECT_BRANCH};

	for (size_t i = 0; i < NELEM(which); i++) {
		int now = prctl(PR_GET_SPECULATION_CTRL, which[i], 0, 0, 0);

		if (now > 0 && ((unsigned long)now & PR_SPEC_PRCTL) != 0)
			(void)prctl(PR_SET_SPECULATION_CTRL, which[i], PR_SPEC_FORCE_DISABLE, 0, 0);
	}
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
		main_version(argv[0]);
		return VMM_STATUS_OK;
	case VMM_ACTION_DESCRIBE_STATE:
		return main_describe_state(&o);
	case VMM_ACTION_DESCRIBE_API:
		endpoint_describe(stdout);
		return VMM_STATUS_OK;
	case VMM_ACTION_DESCRIBE_OPTIONS:
		vmm_options_describe();
		return VMM_STATUS_OK;
	case VMM_ACTION_SNAPSHOT_VERSION:
		(void)printf("v%u.%d.0\n", SNAPSHOT_FORMAT, FIELD_SCHEMA_VERSION);
		return VMM_STATUS_OK;
	case VMM_ACTION_DESCRIBE_SNAPSHOT:
		return main_describe_snapshot(&o);
	case VMM_ACTION_DESCRIBE_SECCOMP:
		seccomp_describe(stdout);
		return VMM_STATUS_OK;
	case VMM_ACTION_RUN:
		break;
	}
	main_mark_start(&o);
	passed_fd_init(o.supervisor_fd);
	if (o.supervisor_fd >= 0)
		signals_leave_to_supervisor();
	main_stop_speculation();
	if (main_prepare(&o, &e) < 0)
		return main_fail(&e, &o, VMM_STATUS_BAD_CONFIG);
	if (main_choose_filters(&o, &e) < 0)
		return main_fail(&e, &o, VMM_STATUS_ERROR);
	return main_live(&o, &e);
}
