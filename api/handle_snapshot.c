/* SPDX-License-Identifier: Apache-2.0 */
/* Making and loading snapshots. See snapshot/save.h and load.h. */
#include "api/config_file.h"
#include "api/handle.h"
#include "api/mmds/mmds.h"
#include "api/vm_schema.h"
#include "snapshot/fork.h"
#include "snapshot/load.h"
#include "snapshot/save.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/base/scratch.h"

#include <errno.h>
#include <string.h>

/* ---- create ---- */

int handle_put_snapshot_create(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	const struct api_snapshot_create *b = call->parsed;
	uint64_t start_ns = clock_mono_ns();
	json_t *config = schema_print(&vm_config_schema, &c->config);
	CLEANUP_FREE
	char *text = config ? json_dumps(config, JSON_COMPACT) : NULL;
	const struct snapshot_save_options o = {
		.state_path = b->snapshot_path,
		.mem_path = b->mem_file_path,
		.config = text,
		.diff = b->diff,
	};
	struct pages_written written;
	int rc;

	(void)ret;
	json_decref(config);
	if (!text)
		return err_set_os(e, -ENOMEM, "Create snapshot error");
	if (c->state != API_PAUSED)
		return err_set(e, -EPERM,
			"Create snapshot error: the microVM must be Paused: PATCH /vm first");
	rc = snapshot_save(c->o.machine, &o, &written, e);
	if (rc < 0)
		return err_wrap(e, "Create snapshot error");
	log_info("snapshot: %llu pages written, %llu of zeroes left out",
		(unsigned long long)written.pages, (unsigned long long)written.zeroes);
	metrics_latency_set(b->diff ? &c->latencies.vmm_diff_create_snapshot
				    : &c->latencies.vmm_full_create_snapshot,
		start_ns);
	metrics_latency_set(
		b->diff ? &c->latencies.diff_create_snapshot : &c->latencies.full_create_snapshot,
		start_ns);
	return 0;
}

/* ---- fork ---- */

static int fork_disks(struct controller *c, const struct api_snapshot_fork *b,
	struct fork_options *o, struct err *e)
{
	static struct fork_clone clones[FORK_CLONES_MAX];

	for (uint32_t i = 0; i < b->clone_count; i++) {
		clones[i] = (struct fork_clone){
			.disk = machine_find_device(c->o.machine, "block", b->clones[i].drive_id),
			.path = b->clones[i].path,
		};
		if (!clones[i].disk)
			return err_set(e, -ENODEV,
				"Fork error: drive_clones[%u]: there is no drive %s", i,
				b->clones[i].drive_id);
	}
	o->clones = clones;
	o->clone_count = b->clone_count;
	return 0;
}

int handle_put_snapshot_fork(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	static struct fork_offer offer; /* goes on after the answer */
	const struct api_snapshot_fork *b = call->parsed;
	json_t *config = schema_print(&vm_config_schema, &c->config);
	CLEANUP_FREE
	char *text = config ? json_dumps(config, JSON_COMPACT) : NULL;
	struct fork_options o = {
		.socket_path = b->socket_path,
		.config = text,
		.children = b->children,
		.timeout_ms = b->timeout_ms,
	};
	struct fork_report report;
	int rc;

	(void)ret;
	json_decref(config);
	if (!text)
		return err_set_os(e, -ENOMEM, "Fork error");
	rc = fork_disks(c, b, &o, e);
	if (rc == 0)
		rc = fork_begin(&offer, c->o.machine, &o, &report, e);
	if (rc < 0)
		return err_wrap(e, "Fork error");
	log_info("fork: paused for %llu us, %llu pages copied, offered on %s",
		(unsigned long long)(report.pause_ns / CLOCK_NS_PER_US),
		(unsigned long long)report.pages, b->socket_path);
	return 0;
}

/* ---- load: names of the outside that are to be others ---- */

/* The string takes the place of *to. */
static int override_string(char **to, const char *value, struct err *e)
{
	char *copy = strdup(value);

	if (!copy)
		return err_set_os(e, -ENOMEM, "snapshot load");
	free(*to);
	*to = copy;
	return 0;
}

static int override_net(struct vm_config *c, const struct api_network_override *o, struct err *e)
{
	for (uint32_t i = 0; i < c->net_count; i++) {
		struct vm_net_config *n = &c->nets[i];
		int rc;

		if (strcmp(n->iface_id, o->iface_id) != 0)
			continue;
		/* A tap or a socket from now on, whatever it was. */
		free(o->passt_socket ? n->host_dev_name : n->passt_socket);
		*(o->passt_socket ? &n->host_dev_name : &n->passt_socket) = NULL;
		rc = o->passt_socket ? override_string(&n->passt_socket, o->passt_socket, e)
				     : override_string(&n->host_dev_name, o->host_dev_name, e);
		if (rc < 0 || !o->guest_mac)
			return rc;
		if (!n->guest_mac)
			return err_set(e, -EINVAL,
				"network_overrides: guest_mac: interface %s was saved without one",
				o->iface_id);
		return override_string(&n->guest_mac, o->guest_mac, e);
	}
	return err_set(e, -ENOENT,
		"network_overrides: Unknown Network Device: %s is not in the snapshot",
		o->iface_id);
}

static int override_drive(struct vm_config *c, const struct api_drive_override *o, struct err *e)
{
	for (uint32_t i = 0; i < c->drive_count; i++)
		if (strcmp(c->drives[i].drive_id, o->drive_id) == 0)
			return override_string(&c->drives[i].path_on_host, o->path_on_host, e);
	return err_set(e, -ENOENT, "drive_overrides: drive %s is not in the snapshot", o->drive_id);
}

/*
 * The parent goes on with what it has of the outside; two machines cannot write to one disk, or share
 * a tap or a socket. A drive that is only read may be shared.
 */
static int fork_check_names(
	const struct vm_config *c, const struct api_snapshot_load *b, struct err *e)
{
	for (uint32_t i = 0; i < c->drive_count; i++) {
		bool own = c->drives[i].is_read_only;

		for (uint32_t k = 0; k < b->drive_count; k++)
			own |= strcmp(b->drives[k].drive_id, c->drives[i].drive_id) == 0;
		if (!own)
			return err_set(e, -EINVAL,
				"drive_overrides: drive %s is writable and the parent goes on with "
				"%s: give a copy of it as path_on_host",
				c->drives[i].drive_id, c->drives[i].path_on_host);
	}
	for (uint32_t i = 0; i < c->net_count; i++) {
		bool own = false;

		for (uint32_t k = 0; k < b->net_count; k++)
			own |= strcmp(b->nets[k].iface_id, c->nets[i].iface_id) == 0;
		if (!own)
			return err_set(e, -EINVAL,
				"network_overrides: the parent goes on with the tap or socket of "
				"interface %s: give another as host_dev_name or passt_socket",
				c->nets[i].iface_id);
	}
	if (c->has_vsock && !b->has_vsock)
		return err_set(e, -EINVAL,
			"vsock_override: the parent goes on with %s: give another uds_path",
			c->vsock_uds_path);
	return 0;
}

static int load_override(struct vm_config *c, const struct api_snapshot_load *b, struct err *e)
{
	int rc = b->fork_from ? fork_check_names(c, b, e) : 0;

	for (uint32_t i = 0; rc == 0 && i < b->net_count; i++)
		rc = override_net(c, &b->nets[i], e);
	for (uint32_t i = 0; rc == 0 && i < b->drive_count; i++)
		rc = override_drive(c, &b->drives[i], e);
	if (rc == 0 && b->has_vsock)
		rc = c->has_vsock ? override_string(&c->vsock_uds_path, b->vsock.uds_path, e)
				  : err_set(e, -ENOENT,
					    "vsock_override: the snapshot has no vsock device");
	if (b->huge_pages != API_PAGES_SNAPSHOT)
		c->huge_pages = (enum gmem_pages)b->huge_pages;
	c->track_dirty_pages = b->track_dirty_pages || b->enable_diff_snapshots;
	return rc;
}

/* ---- load ---- */

static int load_check_body(const struct api_snapshot_load *b, struct err *e)
{
	for (uint32_t i = 0; i < b->net_count; i++) {
		if (!b->nets[i].host_dev_name && !b->nets[i].passt_socket)
			return err_set(e, -EINVAL,
				"network_overrides[%u]: missing field `host_dev_name`", i);
		if (b->nets[i].host_dev_name && b->nets[i].passt_socket)
			return err_set(e, -EINVAL,
				"network_overrides[%u]: `host_dev_name` and `passt_socket` exclude "
				"each other",
				i);
	}
	if (b->prefetch_path && (b->fork_from || (b->has_backend && b->backend.uffd)))
		return err_set(e, -EINVAL,
			"snapshot load: prefetch_path needs a memory file (mem_backend File): "
			"leave it "
			"out");
	if (b->fork_from && (b->snapshot_path || b->has_backend || b->mem_file_path))
		return err_set(e, -EINVAL,
			"snapshot load: fork_from takes the place of `snapshot_path`, "
			"`mem_backend` and "
			"`mem_file_path`: leave them out");
	if (b->fork_from)
		return 0;
	if (!b->snapshot_path)
		return err_set(e, -EINVAL, "snapshot load: missing field `snapshot_path`");
	if (!b->has_backend && !b->mem_file_path)
		return err_set(e, -EINVAL,
			"snapshot load: missing field: either `mem_backend` or `mem_file_path` is "
			"required");
	if (b->has_backend && b->mem_file_path)
		return err_set(e, -EINVAL,
			"snapshot load: too many fields: either `mem_backend` or `mem_file_path` "
			"exclusively is required");
	return 0;
}

/* Log, metrics and console are this process's own. */
static void load_keep_own(struct vm_config *to, struct vm_config *from)
{
	to->serial_out_path = from->serial_out_path;
	to->has_serial_limiter = from->has_serial_limiter;
	to->serial_limiter = from->serial_limiter;
	to->has_logger = from->has_logger;
	to->log_path = from->log_path;
	to->log_level = from->log_level;
	to->show_level = from->show_level;
	to->show_log_origin = from->show_log_origin;
	to->log_module = from->log_module;
	to->metrics_path = from->metrics_path;
	to->metrics_emit_id = from->metrics_emit_id;
	to->metrics_properties = from->metrics_properties;
	from->serial_out_path = from->log_path = from->log_module = NULL;
	from->metrics_path = from->metrics_properties = NULL;
}

/* *loaded is the room for it. */
static int load_configure(struct controller *c, const struct snapshot_load *l,
	const struct api_snapshot_load *b, struct vm_config *loaded, struct err *e)
{
	int rc;

	vm_config_init(loaded);
	rc = config_file_parse(l->config, strlen(l->config), loaded, e);
	if (rc < 0)
		rc = err_wrap(e, "the configuration in the snapshot");
	if (rc == 0)
		rc = load_override(loaded, b, e);
	if (rc < 0) {
		vm_config_fini(loaded);
		return rc;
	}
	load_keep_own(loaded, &c->config);
	vm_config_fini(&c->config);
	c->config = *loaded;
	return 0;
}

static int load_start(struct controller *c, struct snapshot_load *l, struct err *e)
{
	const struct machine_options mo = {
		.seccomp = c->o.seccomp,
		.landlock = c->o.landlock,
		.supervisor_fd = c->o.supervisor_fd,
		.control = c->o.loop,
		.open_diverter = mmds_open_interface,
		.diverter_ctx = c->o.mmds,
		.source = &snapshot_source,
		.source_ctx = l,
	};
	int rc;

	mmds_configure(c->o.mmds, &c->config);
	rc = machine_init(c->o.machine, &c->config, &mo, c->o.metrics, c->o.timeline, e);
	if (rc == 0 && (rc = machine_start(c->o.machine, e)) < 0)
		machine_fini(c->o.machine);
	return rc;
}

static void load_go_on(struct controller *c, const struct api_snapshot_load *b)
{
	c->state = API_PAUSED;
	if (b->resume_vm) {
		machine_resume(c->o.machine);
		c->state = API_RUNNING;
	} else if (!b->has_backend ||
		   !b->backend.uffd) { /* a handler need not serve before the guest runs */
		machine_warm(c->o.machine);
	}
}

int controller_restore(struct controller *c, const struct api_snapshot_load *b, struct err *e)
{
	static struct snapshot_load load; /* its userfaultfd lives as long as the VM */
	static _Alignas(SCRATCH_ALIGN) struct vm_config loaded; /* large */
	const struct snapshot_load_options o = {
		.fork_path = b->fork_from,
		.state_path = b->snapshot_path,
		.mem_path = b->has_backend ? b->backend.path : b->mem_file_path,
		.uffd = b->has_backend && b->backend.uffd,
		.prefetch_path = b->prefetch_path,
		.clock_realtime = b->clock_realtime,
		.force = b->force,
		.phases = &c->restore,
	};
	int rc = snapshot_load_open(&load, &o, e);

	if (rc == 0)
		rc = load_configure(c, &load, b, &loaded, e);
	if (rc == 0)
		rc = load_start(c, &load, e);
	if (rc == 0)
		load_go_on(c, b);
	/* Only now: the guest need not wait for it. */
	snapshot_load_forget(&load);
	scratch_drop(&loaded, sizeof(loaded));
	if (rc < 0)
		return err_wrap(e, "Load snapshot error: Failed to restore from snapshot");
	(void)metrics_flush(c->o.metrics);
	return 0;
}

int handle_put_snapshot_load(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	const struct api_snapshot_load *b = call->parsed;
	uint64_t start_ns = clock_mono_ns();
	int rc;

	(void)ret;
	/* The request first, as clients know it from Firecracker, which finds this out while it parses. */
	rc = load_check_body(b, e);
	if (rc < 0)
		return rc;
	if (c->configured)
		return err_set(e, -EPERM,
			"Load snapshot error: Loading a microVM snapshot not allowed after "
			"configuring boot-specific resources.");
	rc = controller_restore(c, b, e);
	if (rc < 0) {
		c->load_failed = true;
		loop_stop(c->o.loop);
		return rc;
	}
	metrics_latency_set(&c->latencies.vmm_load_snapshot, start_ns);
	metrics_latency_set(&c->latencies.load_snapshot, start_ns);
	return 0;
}
