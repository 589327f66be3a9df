/* SPDX-License-Identifier: Apache-2.0 */
/* The message of a launcher: the first byte says how many descriptors come with the names that are the rest. */
#include "vmm/base/passed_fd.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS_MAX 80u /* more than are taken */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void send_names(int sock, const uint8_t *data, size_t size, unsigned count)
{
	union {
		struct cmsghdr align;
		unsigned char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} control = {.bytes = {0}};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	int fds[FDS_MAX], null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	for (unsigned i = 0; i < count; i++)
		fds[i] = null;
	if (count > 0) {
		struct cmsghdr *c;

		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
	}
	(void)sendmsg(sock, &m, MSG_NOSIGNAL);
	(void)close(null);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int at = -1;
	int pair[2];
	char ref[16];
	struct err e = {0};

	if (size < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;
	if (at < 0) { /* the only number that counts as passed */
		at = pair[1];
		passed_fd_init(-1);
	} else if (pair[1] != at) {
		(void)dup2(pair[1], at);
		(void)close(pair[1]);
	}
	send_names(pair[0], data + 1, size - 1, data[0] % (FDS_MAX + 1));
	(void)close(pair[0]);
	(void)snprintf(ref, sizeof(ref), "fd:%d", at);
	if (passed_fd_receive(ref, &e) == 0) {
		char name[PASSED_FD_NAME_MAX + 4] = "fd:";
		size_t len = strcspn((const char *)data + 1, "\n");
		int fd;

		memcpy(name + 3, data + 1, len); /* a good message: the name has its bounds */
		fd = passed_fd_open(name, &e);
		if (fd < 0)
			abort();
		(void)close(fd);
	}
	return 0;
}
