/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime directory, $XDG_RUNTIME_DIR/mayfly or /run/mayfly: who runs which VM. `mayfly run`
 * makes an entry, the other commands read them.
 *
 *	NAME.json   the entry: process, socket, log
 *	NAME.sock   the monitor's API socket
 *	NAME.log    what the monitor logs, unless it was sent elsewhere
 *
 * An entry lives as long as its process, which is known by pid and start time, so a used pid or a
 * kill -9 deceives nobody: whoever comes across a dead entry removes it. Changes happen under a
 * lock on the directory, which the kernel lets go of with its holder. A NAME.sock without an entry
 * is listed while somebody serves it, and is otherwise left alone.
 */
#pragma once

#include "vmm/base/err.h"

#include <limits.h>
#include <sys/types.h>

#define RUNTIME_NAME_SIZE 65

/* A process that cannot be mistaken for a later one with its pid. */
struct runtime_process {
	pid_t pid;           /* 0: none */
	uint64_t start_time; /* as in /proc/PID/stat */
};

struct runtime_vm {
	char name[RUNTIME_NAME_SIZE];
	char socket[PATH_MAX];
	char log[PATH_MAX];             /* or "": not known */
	struct runtime_process monitor; /* `mayfly run` itself until the monitor has been started */
	struct runtime_process runner;  /* `mayfly run`, or pid 0 */
};

/* 1 to 64 letters, digits and dashes: also an instance id. */
bool runtime_name_ok(const char *name);

/* Fills *p, with pid 0 if there is no such process. */
void runtime_process_get(struct runtime_process *p, pid_t pid);
bool runtime_process_lives(const struct runtime_process *p);

/*
 * A pidfd of the process, which the caller owns; -ESRCH if it has gone. What is done through it
 * meets no later process.
 */
int runtime_process_open(const struct runtime_process *p) MUST_USE;

/*
 * Makes the entry of vm->name for this process and fills the rest of *vm. -EEXIST if a VM of that
 * name runs.
 */
int runtime_claim(struct runtime_vm *vm, const char *name, struct err *e) MUST_USE;
/* The monitor has been started. */
int runtime_update(struct runtime_vm *vm, pid_t monitor, struct err *e) MUST_USE;
/* Removes the entry and its files, if they are still ours. */
void runtime_release(const struct runtime_vm *vm);

/* All that live, sorted by name; *ret is the caller's, from the heap. The count or -errno. */
int runtime_list(struct runtime_vm **ret, struct err *e) MUST_USE;

/*
 * By name; or by the path of a socket, which has a slash; or, with NULL, the only one there is.
 * -ENOENT or -EINVAL with a message.
 */
int runtime_find(struct runtime_vm *ret, const char *target, struct err *e) MUST_USE;
