/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of requests that are no section of the configuration: actions, the VM's state, updates of
 * devices, and everything of subjects that are not there yet, which is checked and then forgotten.
 */
#pragma once

#include "api/schema.h"

enum api_action { API_INSTANCE_START, API_FLUSH_METRICS, API_SEND_CTRL_ALT_DEL };

struct api_action_body {
	uint32_t action; /* enum api_action */
};

struct api_vm_body {
	bool paused;
};

/* Somewhere to parse into what is not kept; rate limiters are. */
struct api_later_body {
	uint64_t unused[16];
};

extern const struct schema action_schema;       /* into struct api_action_body */
extern const struct schema vm_state_schema;     /* into struct api_vm_body */
extern const struct schema drive_update_schema; /* into struct vm_drive_config */
extern const struct schema net_update_schema;   /* into struct vm_net_config */
extern const struct schema serial_schema;       /* into struct vm_config */
extern const struct schema pmem_schema;         /* these into struct api_later_body */
extern const struct schema pmem_update_schema;
extern const struct schema balloon_schema;
extern const struct schema balloon_update_schema;
extern const struct schema balloon_stats_schema;
extern const struct schema balloon_hinting_schema;
extern const struct schema hotplug_schema;
extern const struct schema hotplug_update_schema;
