/* SPDX-License-Identifier: Apache-2.0 */
/* Handing guest memory to a userfaultfd handler. See uffd.h. */
#include "snapshot/uffd.h"

#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

size_t uffd_message(const struct gmem *m, char ret[UFFD_MESSAGE_SIZE])
{
	unsigned long long page = m->pages == GMEM_PAGES_2M ? 2 * MIB : GMEM_PAGE_SIZE;
	size_t used = 0;

	/* page_size_kib has bytes, too: that is what handlers have been given all the time. */
	for (uint32_t i = 0; i < m->region_count; i++) {
		const struct gmem_region *r = &m->regions[i];
		int n = snprintf(ret + used, UFFD_MESSAGE_SIZE - used,
			"%s{\"base_host_virt_addr\":%llu,\"size\":%llu,\"offset\":%llu,"
			"\"page_size\":%llu,\"page_size_kib\":%llu}",
			i == 0 ? "[" : ",", (unsigned long long)(uintptr_t)gmem_host_addr(r->host),
			(unsigned long long)r->size, (unsigned long long)r->file_offset, page,
			page);

		CHECK(n > 0 && (size_t)n + 2 < UFFD_MESSAGE_SIZE - used);
		used += (size_t)n;
	}
	ret[used++] = ']';
	return used;
}

/* By the device, which an administrator can open to us, or else by the system call. */
static int uffd_open(struct err *e)
{
	CLEANUP_FD
	int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	int fd = dev >= 0 ? ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK) : -1;

	if (fd < 0)
		fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 ? fd
		       : err_set_os(e, -errno,
				 "Error creating userfaultfd (it needs /dev/userfaultfd, "
				 "CAP_SYS_PTRACE or vm.unprivileged_userfaultfd=1)");
}

static int uffd_register(int fd, const struct gmem *m, struct err *e)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_EVENT_REMOVE};

	if (ioctl(fd, UFFDIO_API, &api) < 0)
		return err_set_os(e, -errno, "userfaultfd: the kernel has no REMOVE events");
	for (uint32_t i = 0; i < m->region_count; i++) {
		struct uffdio_register r = {
			.range = {.start = (uintptr_t)gmem_host_addr(m->regions[i].host),
				.len = m->regions[i].size},
			.mode = UFFDIO_REGISTER_MODE_MISSING,
		};

		if (ioctl(fd, UFFDIO_REGISTER, &r) < 0)
			return err_set_os(e, -errno, "userfaultfd: cannot register guest memory");
	}
	return 0;
}

static int uffd_connect(const char *path, struct err *e)
{
	CLEANUP_FD
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	if (fd < 0)
		return err_set_os(e, -errno, "userfaultfd: socket");
	if ((size_t)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path) >= sizeof(to.sun_path))
		return err_set(e, -ENAMETOOLONG,
			"mem_backend.backend_path: %s: at most %zu bytes are possible", path,
			sizeof(to.sun_path) - 1);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return err_set_os(e, -errno,
			"mem_backend.backend_path: cannot connect to the handler at %s", path);
	return fd_take(&fd);
}

static int uffd_send(int socket, int fd, const char *text, size_t len, struct err *e)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = len};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n;

	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	do
		n = sendmsg(socket, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)len ? 0
				 : err_set_os(e, n < 0 ? -errno : -EIO,
					   "mem_backend.backend_path: cannot send to the handler");
}

int uffd_hand_over(struct uffd *u, const struct gmem *m, const char *socket_path, struct err *e)
{
	char text[UFFD_MESSAGE_SIZE];
	size_t len = uffd_message(m, text);
	int rc;

	*u = UFFD_NONE;
	u->fd = uffd_open(e);
	rc = u->fd < 0 ? u->fd : uffd_register(u->fd, m, e);
	if (rc == 0)
		rc = u->socket = uffd_connect(socket_path, e);
	if (rc >= 0)
		rc = uffd_send(u->socket, u->fd, text, len, e);
	if (rc < 0)
		uffd_close(u);
	return rc;
}

void uffd_close(struct uffd *u)
{
	fd_close(&u->fd);
	fd_close(&u->socket);
}
