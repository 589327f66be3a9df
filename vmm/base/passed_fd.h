/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors in the place of paths: wherever a path of the outside is given, "fd:N" is descriptor N (3 to 255), which
 * whoever started us has left open, and "fd:NAME" one that a launcher has sent (passed_fd_receive). So a launcher
 * keeps all privilege, and we need no path at all. Only what was open when the process began counts: nobody
 * can name a descriptor of our own. A file whose name begins so is "./fd:...".
 *
 * A launcher sends one message: the names, each with a newline behind it, of letters, digits, - and _, and as many
 * descriptors. The name "kvm" is /dev/kvm.
 */
#pragma once

#include "vmm/base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define PASSED_FD_MAX      64u
#define PASSED_FD_NAME_MAX 31u

/*
 * Marks what is open, from descriptor 3 on, as passed and as close-on-exec; but for `own`, which was passed for
 * another purpose (-1: none). First thing of the main thread.
 */
void passed_fd_init(int own);
/* Connects to the launcher's Unix socket, or uses the connected one if path is "fd:N", and takes its message. */
int passed_fd_receive(const char *path, struct err *e) MUST_USE;
/* True if something was passed by the name of path, which is of the form fd:... */
bool passed_fd_has(const char *path);
/* True if path is of the form fd:... */
bool passed_fd_is(const char *path);
/*
 * A duplicate, owned by the caller and close-on-exec, so that a name may be used again; -EBADF with *e if nothing
 * was passed by that name. path is of the form. Main thread.
 */
int passed_fd_open(const char *path, struct err *e) MUST_USE;
/* open(2) of path, or the same of what was passed. -errno; *e only if path is of the form. */
int passed_fd_or_file(const char *path, int flags, struct err *e) MUST_USE;
