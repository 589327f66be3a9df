/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of vsock: Unix stream sockets, by Firecracker's rules. A client of the host
 * connects to uds_path and says "CONNECT <port>\n"; when the guest has accepted it reads
 * "OK <local port>\n" and then the guest's bytes. A guest that connects to port P of the host
 * reaches whoever listens on "<uds_path>_<P>". All descriptors are non-blocking.
 */
#pragma once

#include "vmm/base/err.h"

#include <sys/un.h>

/*
 * Binds and listens on path. A socket file there that nobody serves is replaced; one that is
 * served, or a file of another kind, is refused. The descriptor, or -errno and *e. At set-up.
 */
int vsock_unix_listen(const char *path, struct err *e) MUST_USE;

/* Where it is bound, for vsock_unix_connect; an empty path if it has no name among files. */
void vsock_unix_name(int listen_fd, struct sockaddr_un *ret);

/* The next waiting client, or -errno (-EAGAIN: none). */
int vsock_unix_accept(int listen_fd) MUST_USE;

/* Connects to "<path>_<port>". The descriptor or -errno; never waits. */
int vsock_unix_connect(const char *path, uint32_t port) MUST_USE;

/*
 * Takes the client's first line, and not a byte more. 1 and *ret_port, 0 if it is not complete
 * yet, or -EPROTO (not a greeting) or another -errno (the client is gone).
 */
int vsock_unix_greeting(int fd, uint32_t *ret_port) MUST_USE;

/* Answers "OK <local_port>\n". 0 or -errno. */
int vsock_unix_greet(int fd, uint32_t local_port) MUST_USE;

/* True if the line (without its newline) is "CONNECT <port>"; any case, blanks as they come. */
bool vsock_greeting_parse(const char *line, size_t len, uint32_t *ret_port);
