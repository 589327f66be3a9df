/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of this folder that stand in for the ordinary filters need of install.c. */
#pragma once

#include "seccomp/filter.h"

/* The programs that seccomp_install uses. */
const struct seccomp_set *seccomp_set_get(void);

/* The role that the calling thread has had its filter put on for. Async-signal-safe. */
enum seccomp_role seccomp_role_get(void);
