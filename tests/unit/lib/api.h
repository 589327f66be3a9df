/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An API without sockets and without KVM: requests go to a controller, whose machine is never
 * built. api_phase makes it believe that the VM was started.
 */
#pragma once

#include "api/controller.h"
#include "api/mmds/mmds.h"

/* A new controller, not configured. One at a time. */
struct controller *api_init(void);
void api_fini(void);
void api_phase(enum api_state state);

/* Sends a request (body may be NULL) and returns the status. The answer holds until the next. */
int api_send(const char *method, const char *path, const char *body);
const char *api_body(void); /* "" if there is none */
bool api_deprecated(void);

/* The text of GET /vm/config; the caller frees it. */
char *api_config(void);
