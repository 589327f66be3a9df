/* SPDX-License-Identifier: Apache-2.0 */
/* Listening on a Unix socket by its path. Set-up only: these calls have no filter rules. */
#pragma once

#include "vmm/base/err.h"

/*
 * A listening stream socket (non-blocking, close-on-exec), or -errno and *e. A socket file that
 * nobody serves is replaced, one that is served and any other file is left alone (-EADDRINUSE). The
 * file stays behind when the socket is closed.
 */
int unix_listen(const char *path, int backlog, struct err *e) MUST_USE;
