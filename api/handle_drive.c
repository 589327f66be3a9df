/* SPDX-License-Identifier: Apache-2.0 */
/* Drives: PUT before the start, PATCH while the VM runs. */
#include "api/handle.h"
#include "api/vm_rules.h"
#include "api/vm_schema.h"
#include "virtio/blk_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WHERE_SIZE (ENDPOINT_ID_SIZE + 16)

/* Its place in the list, or the number of drives. */
static uint32_t drive_find(const struct vm_config *c, const char *id)
{
	uint32_t i = 0;

	while (i < c->drive_count && strcmp(c->drives[i].drive_id, id) != 0)
		i++;
	return i;
}

/* Opens the file as the device will, and closes it again. */
static int drive_try(const struct vm_drive_config *d, struct err *e)
{
	struct blk_config bc = {
		.drive_id = d->drive_id,
		.path = d->path_on_host,
		.fd = -1,
		.read_only = d->is_read_only,
		.writeback = d->writeback,
		.direct = d->direct,
	};
	struct blk_file f = {.fd = -1};
	int rc = blk_file_open(&f, &bc, e);

	if (rc == 0)
		blk_file_close(&f);
	return rc < 0 ? err_wrap(e, "drives.%s.path_on_host", d->drive_id) : 0;
}

/* The root drive is the first of the list, and of the machine's. */
static void drive_store(struct vm_config *c, uint32_t index, struct vm_drive_config *d)
{
	struct vm_drive_config old = {0};

	if (index < c->drive_count)
		old = c->drives[index];
	else
		c->drive_count++;
	c->drives[index] = *d;
	*d = old; /* released with the request's body */
	if (!c->drives[index].is_root_device || index == 0)
		return;
	old = c->drives[index];
	if (d->drive_id) { /* one that was there changes places */
		c->drives[index] = c->drives[0];
	} else {
		memmove(&c->drives[1], &c->drives[0], index * sizeof(c->drives[0]));
	}
	c->drives[0] = old;
}

int handle_put_drive(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	struct vm_drive_config *d = call->parsed;
	uint32_t index = drive_find(&c->config, d->drive_id);
	char where[WHERE_SIZE];
	int rc;

	(void)ret;
	if (index == VM_CONFIG_DRIVES_MAX)
		return err_set(e, -ENOSPC, "drives.%s: at most %u drives can be configured: %s",
			d->drive_id, VM_CONFIG_DRIVES_MAX, VM_SCHEMA_NO_GSI_TEXT);
	(void)snprintf(where, sizeof(where), "drives.%s", d->drive_id);
	if ((rc = vm_rules_drive(&c->config, index, d, where, e)) < 0 || (rc = drive_try(d, e)) < 0)
		return rc;
	drive_store(&c->config, index, d);
	return 0;
}

void handle_merge_limiter(
	bool *has, struct rate_limiter_config *to, const struct rate_limiter_config *patch)
{
	if (patch->has_bandwidth) {
		to->has_bandwidth = true;
		to->bandwidth = patch->bandwidth;
	}
	if (patch->has_ops) {
		to->has_ops = true;
		to->ops = patch->ops;
	}
	*has = true;
	vm_rules_normalise_limiter(has, to);
}

/*
 * A PATCH with nothing but the id makes the device look at its file again: it may have grown.
 */
int handle_patch_drive(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	struct vm_drive_config *patch = call->parsed;
	uint32_t index = drive_find(&c->config, patch->drive_id);
	struct virtio_dev *dev = machine_find_device(c->o.machine, "block", patch->drive_id);
	struct vm_drive_config *d = &c->config.drives[index];
	char *old;
	int rc = 0;

	(void)ret;
	if (!dev || index == c->config.drive_count)
		return err_set(
			e, -ENODEV, "drives.%s: there is no drive of that id", patch->drive_id);
	if (patch->path_on_host)
		rc = blk_update_path(dev, patch->path_on_host, e);
	else if (!patch->has_rate_limiter)
		rc = blk_resize(dev, e);
	if (rc < 0)
		return err_wrap(e, "drives.%s.path_on_host", patch->drive_id);
	if (patch->path_on_host) {
		old = d->path_on_host;
		d->path_on_host = patch->path_on_host;
		patch->path_on_host = old;
	}
	if (patch->has_rate_limiter) {
		blk_update_limiter(dev, &patch->rate_limiter);
		handle_merge_limiter(&d->has_rate_limiter, &d->rate_limiter, &patch->rate_limiter);
	}
	return 0;
}
