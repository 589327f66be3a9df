/* SPDX-License-Identifier: Apache-2.0 */
/* The files of the runtime directory, under its lock. For runtime.c. */
#pragma once

#include "cli/runtime.h"

/* Open and locked. */
struct runtime_dir {
	int fd; /* owned */
	char path[PATH_MAX];
};

/*
 * Makes the directory if asked to. -ENOENT without a message if it is not there; -errno with one
 * if it cannot be used or is not ours alone.
 */
int runtime_dir_open(struct runtime_dir *d, bool create, struct err *e) MUST_USE;
void runtime_dir_close(struct runtime_dir *d);

void runtime_dir_path(
	const struct runtime_dir *d, const char *name, const char *suffix, char ret[PATH_MAX]);

/* 0, -ENOENT, or -EINVAL for an entry that makes no sense. */
int runtime_dir_read(const struct runtime_dir *d, const char *name, struct runtime_vm *ret);
/* Puts the entry in the place of the old one, whole or not at all. */
int runtime_dir_write(
	const struct runtime_dir *d, const struct runtime_vm *vm, struct err *e) MUST_USE;
void runtime_dir_remove(const struct runtime_dir *d, const char *name);
