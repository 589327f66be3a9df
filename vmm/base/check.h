/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CHECK: for our own bugs only, in release builds too. Never put an effect inside it, and never
 * feed it anything that a guest, a file, the API or the host controls.
 */
#pragma once

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __FILE__, __LINE__))

/* Writes one line to standard error and aborts. Any thread. */
_Noreturn void check_failed(const char *what, const char *file, int line);
