/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of the host or the user on the control plane: a negative errno and one sentence that
 * names the field, the value and the fix. Set once where it happens, wrapped with context on the
 * way up, logged once at the top. No heap: a struct err lives on its creator's stack.
 */
#pragma once

#include "vmm/base/compiler.h"

struct err {
	int code;       /* 0, or a negative errno */
	char msg[1024]; /* always terminated; room for a path and a chain of causes */
};

/* Sets *e (which may be NULL) and returns code. code must be negative. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As err_set, with ": <strerror> (os error N)" appended. code is a negative errno. */
int err_set_os(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "context: " in front of the message in *e; returns e->code. e must hold an error. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
