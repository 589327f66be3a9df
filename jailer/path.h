/* SPDX-License-Identifier: Apache-2.0 */
/* Files reached from a folder's descriptor, never through a symbolic link, never out of it. */
#pragma once

#include "vmm/base/err.h"

#include <dirent.h>
#include <sys/types.h>

/* openat2 of path below dir_fd: no symbolic link anywhere, not upwards. An fd or -errno. */
int path_open(int dir_fd, const char *path, int flags, mode_t mode) MUST_USE;

/* As path_open for a folder, and not onto another mount either. */
int path_open_dir_here(int dir_fd, const char *path) MUST_USE;

/* A small file, terminated: up to size - 1 bytes; the count, or -errno. */
ssize_t path_read(int fd, char *buf, size_t size) MUST_USE;

/*
 * Removes the folder `name` of dir_fd with all that is in it: files of any kind, folders of any
 * depth. Stops at mounts, which are somebody else's. 0, also if there is none, or -errno with a
 * message.
 */
int path_remove_tree(int dir_fd, const char *name, struct err *e) MUST_USE;
