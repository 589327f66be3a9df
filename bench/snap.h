/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of bench/snap share. All end the process with a message if they fail. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SNAP_COUNT_MAX 10000

_Noreturn void snap_die(const char *what);
uint64_t snap_now_ns(void); /* by CLOCK_REALTIME */

/* Starts a program; its standard output is read from *ret_fd, which is the caller's. */
pid_t snap_spawn(char **argv, int *ret_fd);

/* Reads until byte comes, at most 30 s. Returns when it was written, by the kernel: nobody needs to be awake. */
uint64_t snap_wait_byte(int fd, char byte);

/*
 * COUNT programs alive at once: rows of the time until each has answered, of what each takes, and of
 * their end. memory is the memory file that they map. Returns an exit status.
 */
int snap_clones(int count, const char *program, const char *memory, char **argv);
