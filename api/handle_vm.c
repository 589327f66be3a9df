/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, pausing, and the other actions. */
#include "api/handle.h"
#include "api/mmds/mmds.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <unistd.h>

/* Of a start that failed: the path must be free for the next one. */
static void start_remove_vsock(const struct controller *c, bool was_free)
{
	if (c->config.has_vsock && was_free)
		(void)unlink(c->config.vsock_uds_path);
}

int controller_start(struct controller *c, struct err *e)
{
	struct machine_options mo = {
		.seccomp = c->o.seccomp,
		.landlock = c->o.landlock,
		.supervisor_fd = c->o.supervisor_fd,
		.control = c->o.loop,
		.taps = c->taps,
		.open_diverter = mmds_open_interface,
		.diverter_ctx = c->o.mmds,
	};
	bool vsock_free = c->config.has_vsock && access(c->config.vsock_uds_path, F_OK) < 0;
	int rc;

	if (!c->config.kernel_image_path)
		return err_set(e, -EINVAL,
			"boot-source.kernel_image_path: Cannot start microvm without kernel "
			"configuration: PUT /boot-source first");
	log_info("event_start: build microvm for boot");
	mmds_configure(c->o.mmds, &c->config);
	rc = machine_init(c->o.machine, &c->config, &mo, c->o.metrics, c->o.timeline, e);
	if (rc == 0 && (rc = machine_start(c->o.machine, e)) < 0)
		machine_fini(c->o.machine);
	if (rc < 0) {
		console_restore();
		start_remove_vsock(c, vsock_free);
		c->o.supervisor_fd = -1; /* went with the machine */
		return rc;
	}
	log_info("event_end: build microvm for boot");
	c->state = API_RUNNING;
	handle_net_release(c);
	(void)metrics_flush(c->o.metrics);
	return 0;
}

static int action_flush_metrics(struct controller *c, struct err *e)
{
	int rc = metrics_flush(c->o.metrics);

	return rc < 0 ? err_set_os(e, rc, "FlushMetrics: cannot write to metrics_path") : 0;
}

static int action_ctrl_alt_del(struct controller *c)
{
	/* Firecracker says yes to this whatever the guest has. */
	if (!i8042_ctrl_alt_del(&c->o.machine->i8042))
		log_warn("SendCtrlAltDel: the guest has no driver for the keyboard, or has not "
			 "read the last one yet");
	return 0;
}

int handle_put_action(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	const struct api_action_body *b = call->parsed;
	bool started = c->state != API_NOT_STARTED;

	(void)ret;
	if (started == (b->action == API_INSTANCE_START))
		return err_set(e, -EPERM,
			"The requested operation is not supported %s starting the microVM. "
			"(action_type %s)",
			started ? "after" : "before",
			json_string_value(json_object_get(call->json, "action_type")));
	switch ((enum api_action)b->action) {
	case API_INSTANCE_START:
		return controller_start(c, e);
	case API_FLUSH_METRICS:
		return action_flush_metrics(c, e);
	case API_SEND_CTRL_ALT_DEL:
		break;
	}
	return action_ctrl_alt_del(c);
}

int handle_patch_vm(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	const struct api_vm_body *b = call->parsed;
	uint64_t start_ns = clock_mono_ns();

	(void)ret;
	(void)e;
	if (b->paused) {
		machine_pause(c->o.machine);
		metrics_latency_set(&c->latencies.vmm_pause_vm, start_ns);
		metrics_latency_set(&c->latencies.pause_vm, start_ns);
	} else {
		machine_resume(c->o.machine);
		metrics_latency_set(&c->latencies.vmm_resume_vm, start_ns);
		metrics_latency_set(&c->latencies.resume_vm, start_ns);
	}
	c->state = b->paused ? API_PAUSED : API_RUNNING;
	return 0;
}
