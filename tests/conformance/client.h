/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the tests' HTTP client share. */
#pragma once

/* A connected socket, or -1 with errno. */
int client_dial(const char *path);
_Noreturn void client_die(const char *what);

/* hostile.c: attacks the server in the way that WHAT names, and says what came of it. */
int client_flood(const char *path, const char *what);
