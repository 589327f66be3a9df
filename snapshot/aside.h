/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that is written aside, under its name with ".part" behind it, and put in the place of the
 * old one in one step when it is whole and on the disk. Whatever happens before that, the old file
 * stays as it was; what a killed process leaves is overwritten by the next. Main thread.
 */
#pragma once

#include "vmm/base/err.h"

struct aside {
	int fd;       /* owned, or -1 */
	char *part;   /* owned: where it is written */
	char *target; /* owned: where it will be */
	enum {
		ASIDE_WRITTEN, /* not committed */
		ASIDE_SWAPPED, /* committed; what was there is in part */
		ASIDE_NEW,     /* committed, and nothing was there; part is NULL */
		ASIDE_REPLACED /* committed, and what was there is gone; part is NULL */
	} state;
};

#define ASIDE_NONE ((struct aside){.fd = -1})

/* A new, empty file, for the owner only. what names the field in messages. -errno: *e. */
int aside_open(struct aside *a, const char *path, const char *what, struct err *e) MUST_USE;
/* To the disk; then the file is whole. */
int aside_sync(struct aside *a, const char *what, struct err *e) MUST_USE;
/* Takes the place of the old file, which is kept until aside_close where the file system can. */
int aside_commit(struct aside *a, const char *what, struct err *e) MUST_USE;
/* After aside_commit: puts the old file back if it was kept. For files that go together, if the other fails. */
void aside_revert(struct aside *a);
/* Removes what was not committed, and what was kept. Idempotent. */
void aside_close(struct aside *a);

/* True if one cannot be written aside without touching the other: the same name, or with ".part". */
bool aside_names_collide(const char *a, const char *b);
