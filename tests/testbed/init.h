/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the testbed's outer machine: what init.c (machine set-up) and relay.c (running the
 * command) share. One thread, PID 1; nothing is freed because the machine ends with the command.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#define SPEC_ARGS_MAX 1024

/* What to run; read from the file that tests/testbed/run wrote. Strings point into one buffer. */
struct spec {
	const char *cwd;
	const char *rw;      /* directory shared back, or NULL */
	const char *modules; /* unpacked kernel package: has lib/modules */
	int64_t date_s;      /* the host's wall clock at start */
	int has_stdin;
	char *argv[SPEC_ARGS_MAX + 1];
	char *env[SPEC_ARGS_MAX + 1];
	int arg_count, env_count;
};

/* Reports to the host that the testbed itself failed, and ends the machine. */
_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Opens the virtio-serial port of that name. Dies when the port never shows up. */
int port_open(const char *name, int flags);

/* Runs the command to its end with its output sent through the ports; returns its exit status. */
int relay_command(const struct spec *spec);
