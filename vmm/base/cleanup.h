/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound resources: declare them with their destructor, at -1 or NULL, and hand them over
 * with fd_take / ptr_take once an owner exists.
 *
 *	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
 *	...
 *	owner->fd = fd_take(&fd);
 */
#pragma once

#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>

static inline void cleanup_fd(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void cleanup_free(void *pp)
{
	free(*(void **)pp);
}

static inline void cleanup_fclose(FILE *const *f)
{
	if (*f)
		(void)fclose(*f);
}

static inline int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Closes *fd if it is open and leaves -1: for x_fini functions, which accept half-built owners. */
static inline void fd_close(int *fd)
{
	int old = fd_take(fd);

	cleanup_fd(&old);
}

#define CLEANUP_FD     __attribute__((cleanup(cleanup_fd)))
#define CLEANUP_FREE   __attribute__((cleanup(cleanup_free)))
#define CLEANUP_FCLOSE __attribute__((cleanup(cleanup_fclose)))
