/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's configuration, made from the options. It lives in a memfd: nothing is written to
 * a disk, no name can collide, and no way of dying leaves a file behind.
 */
#include "cli/run.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/mman.h>

static void json_cleanup(json_t **j)
{
	json_decref(*j);
}

/* NULL if memory is short or a string is not UTF-8; jansson passes NULL through. */
static json_t *drives_json(const struct run_options *o)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < o->drive_count; i++) {
		const struct run_drive *d = &o->drives[i];
		const char id[] = {'v', 'd', (char)('a' + i), '\0'}; /* as Linux will name it */
		json_t *one = json_pack("{s:s, s:s, s:b, s:b}", "drive_id", id, "path_on_host",
			d->path, "is_root_device", d->is_root, "is_read_only", d->is_read_only);

		if (json_array_append_new(list, one) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *config_json(const struct run_options *o)
{
	char args[LAYOUT_CMDLINE_SIZE_MAX + sizeof(RUN_CMDLINE_DEFAULT) + 1];

	(void)snprintf(args, sizeof(args), "%s%s%s", o->cmdline_replaces ? "" : RUN_CMDLINE_DEFAULT,
		o->cmdline && !o->cmdline_replaces ? " " : "", o->cmdline ? o->cmdline : "");
	return json_pack("{s:{s:s, s:s*, s:s}, s:{s:i, s:I}, s:o, s:o*}", "boot-source",
		"kernel_image_path", o->kernel, "initrd_path", o->initrd, "boot_args", args,
		"machine-config", "vcpu_count", (int)o->vcpu_count, "mem_size_mib",
		(json_int_t)o->memory_mib, "drives", drives_json(o), "entropy",
		o->entropy ? json_object() : NULL);
}

int run_config_create(const struct run_options *o, struct err *e)
{
	__attribute__((cleanup(json_cleanup))) json_t *config = config_json(o);
	CLEANUP_FD
	int fd = memfd_create("mayfly-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CLEANUP_FREE
	char *text = NULL;
	int r;

	if (!config)
		return err_set(e, -EINVAL,
			"cannot write the configuration: a path or --cmdline "
			"is not valid UTF-8");
	if (fd < 0)
		return err_set_os(e, -errno, "cannot create the configuration (memfd_create)");
	text = json_dumps(config, JSON_INDENT(2));
	if (!text)
		return err_set_os(e, -ENOMEM, "cannot write the configuration");
	r = io_write_full(fd, text, strlen(text));
	if (r < 0)
		return err_set_os(e, r, "cannot write the configuration");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return err_set_os(e, -errno, "cannot seal the configuration");
	return fd_take(&fd);
}
