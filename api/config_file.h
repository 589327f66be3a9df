/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file: Firecracker's JSON, parsed by jansson and driven by the schema tables of
 * api/schema.h into a struct vm_config.
 */
#pragma once

#include "vmm/core/vm_config.h"

#define CONFIG_FILE_SIZE_MAX ((size_t)1024 * 1024)

/*
 * Parses text (len bytes, hostile) into *c, which the caller has initialised with vm_config_init
 * and finishes with vm_config_fini, also after a failure. 0 or -EINVAL; *e names section, key,
 * value and rule. Unknown or null sections at the top are accepted; those unknown are named in
 * one warning each. Main thread.
 */
int config_file_parse(const char *text, size_t len, struct vm_config *c, struct err *e) MUST_USE;

/* Reads path and parses it. */
int config_file_load(const char *path, struct vm_config *c, struct err *e) MUST_USE;
