/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory that another process fills: a userfaultfd over all of it, handed over a Unix socket
 * with one message, a JSON text that says which address is which part of the memory file. The
 * protocol is Firecracker's; docs/snapshot.md describes it.
 *
 * Both descriptors are kept open for the life of the VM: the handler sees its socket close when the
 * VM ends; and if the handler dies, the guest waits instead of reading zeroes.
 */
#pragma once

#include "vmm/mem/gmem.h"

struct uffd {
	int fd;     /* owned, or -1 */
	int socket; /* owned, or -1 */
};

#define UFFD_NONE ((struct uffd){.fd = -1, .socket = -1})

/* Before anything touches the memory of m. -errno: *e, and *u is UFFD_NONE. */
int uffd_hand_over(
	struct uffd *u, const struct gmem *m, const char *socket_path, struct err *e) MUST_USE;
void uffd_close(struct uffd *u);

#define UFFD_MESSAGE_SIZE 1024u
/* The message: a length, never more than the room. */
size_t uffd_message(const struct gmem *m, char ret[UFFD_MESSAGE_SIZE]);
