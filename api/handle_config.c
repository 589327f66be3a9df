/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sections of the configuration that are there once. What was given changes places with what was
 * there; the old strings are then released with the request's body.
 */
#include "api/cpu_config.h"
#include "api/handle.h"
#include "api/vm_rules.h"
#include "api/vm_schema.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/passed_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static void swap_text(char **a, char **b)
{
	char *was = *a;

	*a = *b;
	*b = was;
}

/* A path that cannot be opened is told now, not at the start. */
static int config_try_open(const char *path, const char *field, const char *what, struct err *e)
{
	CLEANUP_FD
	int fd = passed_fd_or_file(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, e);

	if (fd < 0 && passed_fd_is(path))
		return err_wrap(e, "boot-source.%s: %s", field, what);
	return fd >= 0 ? 0 : err_set_os(e, fd, "boot-source.%s: %s: %s", field, what, path);
}

int handle_put_boot_source(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	struct vm_config *given = call->parsed;
	int rc = config_try_open(given->kernel_image_path, "kernel_image_path",
		"The kernel file cannot be opened", e);

	(void)ret;
	if (rc == 0 && given->initrd_path)
		rc = config_try_open(
			given->initrd_path, "initrd_path", "The initrd file cannot be opened", e);
	if (rc < 0)
		return rc;
	swap_text(&c->config.kernel_image_path, &given->kernel_image_path);
	swap_text(&c->config.initrd_path, &given->initrd_path);
	swap_text(&c->config.boot_args, &given->boot_args);
	return 0;
}

static int config_take_machine(struct controller *c, const struct vm_config *given, struct err *e)
{
	int rc = vm_rules_machine(given, e);

	if (rc < 0)
		return rc;
	c->config.vcpu_count = given->vcpu_count;
	c->config.mem_size_mib = given->mem_size_mib;
	c->config.smt = given->smt;
	c->config.track_dirty_pages = given->track_dirty_pages;
	c->config.huge_pages = given->huge_pages;
	vm_config_take_cpu_template(&c->config, given->cpu_template);
	return 0;
}

int handle_put_machine_config(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	(void)ret;
	return config_take_machine(c, call->parsed, e);
}

/* What is there, with what is given in its place, read as if it had been PUT. */
static int config_merge_machine(
	const struct controller *c, const json_t *patch, struct vm_config *into, struct err *e)
{
	json_t *merged = schema_print(&machine_config_schema, &c->config), *v;
	const char *key;
	int rc = merged ? 0 : -ENOMEM;

	json_object_foreach((json_t *)(uintptr_t)patch, key, v)
	{
		if (rc == 0 && !json_is_null(v))
			rc = json_object_set(merged, key, v) < 0 ? -ENOMEM : 0;
	}
	if (rc == 0)
		rc = schema_parse(&machine_config_schema, merged, "", into, e);
	else
		rc = err_set_os(e, rc, "machine-config");
	json_decref(merged);
	return rc;
}

int handle_patch_machine_config(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	bool given = false;
	const char *key;
	json_t *v;
	int rc;

	(void)ret;
	json_object_foreach((json_t *)(uintptr_t)call->json, key, v)
	{
		given = given || !json_is_null(v);
	}
	if (!given)
		return err_set(e, -EINVAL,
			"Empty PATCH request.: machine-config: give at least one field");
	rc = config_merge_machine(c, call->json, call->parsed, e);
	return rc < 0 ? rc : config_take_machine(c, call->parsed, e);
}

int handle_put_cpu_config(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	struct cpu_template *copy = malloc(sizeof(*copy));

	(void)ret;
	if (!copy)
		return err_set_os(e, -ENOMEM, "cpu-config");
	memcpy(copy, call->parsed, sizeof(*copy));
	free(c->config.cpu_config);
	c->config.cpu_config = copy;
	c->config.cpu_template = CPU_TEMPLATE_NONE;
	return 0;
}

/* The machine binds the socket; that it can is checked now as far as that is possible. */
int handle_put_vsock(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	struct vm_config *given = call->parsed;

	(void)ret;
	if (access(given->vsock_uds_path, F_OK) == 0)
		return err_set_os(e, -EADDRINUSE,
			"vsock.uds_path: Cannot create backend for vsock device: %s exists; remove "
			"it or give another path",
			given->vsock_uds_path);
	c->config.has_vsock = true;
	c->config.vsock_guest_cid = given->vsock_guest_cid;
	swap_text(&c->config.vsock_uds_path, &given->vsock_uds_path);
	swap_text(&c->config.vsock_id, &given->vsock_id);
	return 0;
}

int handle_put_entropy(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	struct vm_config *given = call->parsed;

	(void)ret;
	(void)e;
	vm_rules_normalise_limiter(&given->has_entropy_limiter, &given->entropy_limiter);
	c->config.has_entropy = true;
	c->config.has_entropy_limiter = given->has_entropy_limiter;
	c->config.entropy_limiter = given->entropy_limiter;
	return 0;
}

int handle_put_serial(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	struct vm_config *given = call->parsed;
	int fd;

	(void)ret;
	if (given->serial_out_path) {
		fd = log_open_target(given->serial_out_path, "serial.serial_out_path", e);
		if (fd < 0)
			return fd;
		(void)close(fd);
	}
	vm_rules_normalise_bucket(&given->has_serial_limiter, &given->serial_limiter);
	swap_text(&c->config.serial_out_path, &given->serial_out_path);
	c->config.has_serial_limiter = given->has_serial_limiter;
	c->config.serial_limiter = given->serial_limiter;
	return 0;
}
