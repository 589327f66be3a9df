/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers of api/endpoint.c's table: see struct endpoint for what one is. */
#pragma once

#include "api/controller.h"

#define HANDLER(name)                                                                              \
	int name(struct controller *c, const struct api_call *call, struct http_reply *ret,        \
		struct err *e)

/* handle_info.c */
HANDLER(handle_get_instance);
HANDLER(handle_get_version);
HANDLER(handle_get_config);
HANDLER(handle_get_machine_config);
HANDLER(handle_get_metrics);

/* handle_vm.c */
HANDLER(handle_put_action);
HANDLER(handle_patch_vm);

/* handle_config.c */
HANDLER(handle_put_boot_source);
HANDLER(handle_put_machine_config);
HANDLER(handle_patch_machine_config);
HANDLER(handle_put_cpu_config);
HANDLER(handle_put_vsock);
HANDLER(handle_put_entropy);
HANDLER(handle_put_serial);

/* handle_output.c */
HANDLER(handle_put_logger);
HANDLER(handle_put_metrics);

/* handle_mmds.c */
HANDLER(handle_get_mmds);
HANDLER(handle_put_mmds);
HANDLER(handle_patch_mmds);
HANDLER(handle_put_mmds_config);

/* handle_drive.c */
HANDLER(handle_put_drive);
HANDLER(handle_patch_drive);

/* handle_net.c */
HANDLER(handle_put_net);
HANDLER(handle_patch_net);
/* Closes the taps that the machine has not taken. */
void handle_net_release(struct controller *c);

/* For PATCH: the given buckets of patch replace those of *to. */
void handle_merge_limiter(
	bool *has, struct rate_limiter_config *to, const struct rate_limiter_config *patch);

/* handle_snapshot.c */
HANDLER(handle_put_snapshot_create);
HANDLER(handle_put_snapshot_fork);
HANDLER(handle_put_snapshot_load);
