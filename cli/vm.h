/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands that talk to a running VM have in common. */
#pragma once

#include "cli/http.h"
#include "cli/runtime.h"

#include <jansson.h>

#define VM_CALL_TIMEOUT_S 10u
#define VM_LIST_TIMEOUT_S 2u /* for one of many, of which some may hang */

/* One API request. 0 for a success (2xx), -EINVAL with the monitor's words, or as http_do. */
int vm_call(const struct runtime_vm *vm, const char *method, const char *path, const char *body,
	struct http_answer *a, struct err *e) MUST_USE;

/* GET of a JSON object, which the caller owns. */
int vm_get(const struct runtime_vm *vm, const char *path, uint32_t timeout_s, json_t **ret,
	struct err *e) MUST_USE;

/* What the monitor said of a request that failed. */
int vm_fault(const struct http_answer *a, struct err *e);
