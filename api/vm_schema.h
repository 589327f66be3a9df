/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema tables of struct vm_config: Firecracker's keys, types, ranges and defaults. Each
 * table is one section of the configuration file and will be the body of one API request.
 */
#pragma once

#include "api/schema.h"
#include "vmm/core/vm_config.h"

extern const struct schema boot_source_schema;    /* into struct vm_config */
extern const struct schema machine_config_schema; /* into struct vm_config */
extern const struct schema machine_update_schema; /* into struct vm_config; all keys optional */
extern const struct schema token_bucket_schema;   /* into struct token_bucket_config */
extern const struct schema rate_limiter_schema;   /* into struct rate_limiter_config */
extern const struct schema drive_schema;          /* into struct vm_drive_config */
extern const struct schema vsock_schema;          /* into struct vm_config */
extern const struct schema net_schema;            /* into struct vm_net_config */
extern const struct schema mmds_schema;           /* into struct vm_config */
extern const struct schema entropy_schema;        /* into struct vm_config */
extern const struct schema logger_schema;         /* into struct vm_config */
extern const struct schema metrics_schema;        /* into struct vm_config */

/* The whole configuration file, and the answer of GET /vm/config. */
extern const struct schema vm_config_schema;

/* The end of Firecracker's message when a device finds no interrupt line left. */
#define VM_SCHEMA_NO_GSI_TEXT "Could not allocate GSI: The requested resource is not available."
