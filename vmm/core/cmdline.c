/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel command line. See cmdline.h. */
#include "vmm/core/cmdline.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int cmdline_add(struct cmdline *l, struct err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int cmdline_add(struct cmdline *l, struct err *e, const char *fmt, ...)
{
	size_t room = sizeof(l->text) - l->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->len, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room)
		return err_set(e, -E2BIG,
			"boot-source.boot_args: with what the machine adds, the kernel command "
			"line "
			"is longer than %zu bytes; shorten it",
			sizeof(l->text) - 1);
	l->len += (size_t)n;
	return 0;
}

static bool cmdline_has(const struct cmdline *l, const char *param)
{
	const char *at = l->text;
	size_t len = strlen(param);

	while ((at = strstr(at, param)) != NULL) {
		if ((at == l->text || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' '))
			return true;
		at += len;
	}
	return false;
}

static int cmdline_add_root(struct cmdline *l, const struct vm_config *c, struct err *e)
{
	for (uint32_t i = 0; i < c->drive_count; i++) {
		const struct vm_drive_config *d = &c->drives[i];
		const char *mode = d->is_read_only ? "ro" : "rw";

		if (!d->is_root_device)
			continue;
		if (d->partuuid)
			return cmdline_add(l, e, " root=PARTUUID=%s %s", d->partuuid, mode);
		return cmdline_add(l, e, " root=/dev/vda %s", mode);
	}
	return 0;
}

int cmdline_build(
	struct cmdline *l, const struct vm_config *c, uint32_t virtio_count, struct err *e)
{
	int rc;

	l->len = 0;
	rc = cmdline_add(l, e, "%s", c->boot_args ? c->boot_args : VM_CONFIG_BOOT_ARGS_DEFAULT);
	if (rc == 0 && !cmdline_has(l, "pci=off"))
		rc = cmdline_add(l, e, " pci=off");
	if (rc == 0)
		rc = cmdline_add_root(l, c, e);
	for (uint32_t i = 0; rc == 0 && i < virtio_count; i++)
		rc = cmdline_add(l, e, " virtio_mmio.device=4K@0x%llx:%u",
			(unsigned long long)(LAYOUT_VIRTIO_MMIO + i * LAYOUT_VIRTIO_MMIO_SIZE),
			LAYOUT_GSI_VIRTIO + i);
	return rc;
}
