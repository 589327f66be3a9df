/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU templates as JSON: the body of PUT /cpu-config, the value of "cpu-config" in the
 * configuration file, and what `mayfly cpu` reads and prints. The form is Firecracker's:
 *
 *	{"kvm_capabilities": ["171", "!56"],
 *	 "cpuid_modifiers": [{"leaf": "0x7", "subleaf": "0x0", "flags": 1,
 *	   "modifiers": [{"register": "ebx", "bitmap": "0bxxxx_0000"}]}],
 *	 "msr_modifiers": [{"addr": "0x10a", "bitmap": "0b1xx0"}]}
 *
 * Unknown keys are refused at the top and ignored below it, as there. Main thread; uses the heap.
 */
#pragma once

#include "api/schema.h"
#include "vmm/kvm/cpu_template.h"

#define CPU_CONFIG_FILE_SIZE_MAX ((size_t)1024 * 1024)

extern const struct schema cpu_config_schema; /* into struct cpu_template */

/* For a member `struct cpu_template *`: the path of a file, or the object itself. */
extern const struct schema_custom cpu_config_custom;

/* Reads a template. 0 or -EINVAL; *e names field, value and rule. *ret is then undefined. */
int cpu_config_parse(json_t *obj, struct cpu_template *ret, struct err *e) MUST_USE;

/* The same from a file. */
int cpu_config_load(const char *path, struct cpu_template *ret, struct err *e) MUST_USE;

/* Prints a template; cpu_config_parse takes it. NULL: out of memory. */
json_t *cpu_config_print(const struct cpu_template *t) MUST_USE;
