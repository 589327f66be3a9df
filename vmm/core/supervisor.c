/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor socket. See supervisor.h. */
#include "vmm/core/supervisor.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

/* #syscalls:main recvfrom:3=MSG_DONTWAIT,4=0 */
static void supervisor_on_event(void *ctx, uint32_t events)
{
	struct supervisor *s = ctx;
	char msg[SUPERVISOR_MESSAGE_MAX + 1];
	ssize_t n = recv(s->fd, msg, sizeof(msg) - 1, MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		log_warn("the supervisor is gone: stopping the VM");
		loop_del(s->loop, &s->source);
		s->ops->stop(s->ctx);
		return;
	}
	msg[n] = '\0';
	if (strcmp(msg, "power-button") == 0)
		s->ops->power_button(s->ctx);
	else if (strcmp(msg, "stop") == 0)
		s->ops->stop(s->ctx);
	else
		log_guest(LOG_WARN, "unknown supervisor message \"%s\"", msg);
}

int supervisor_init(struct supervisor *s, int fd, struct loop *l, const struct supervisor_ops *ops,
	void *ctx, struct err *e)
{
	int type = 0, rc;
	socklen_t len = sizeof(type);

	*s = (struct supervisor){.fd = -1, .loop = l, .ops = ops, .ctx = ctx};
	if (fd < 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET)
		return err_set(e, -EINVAL,
			"--supervisor-fd: %d is not a seqpacket socket; it is for `mayfly run` to "
			"give",
			fd);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	s->source = (struct loop_source){.fd = fd, .fn = supervisor_on_event, .ctx = s};
	rc = loop_add(l, &s->source, EPOLLIN);
	if (rc < 0)
		return err_set_os(e, rc, "--supervisor-fd: cannot watch it");
	s->fd = fd;
	return 0;
}

/* #syscalls:main,vcpu sendto:3=MSG_NOSIGNAL|MSG_DONTWAIT,4=0 */
void supervisor_send(const struct supervisor *s, const char *text)
{
	if (s->fd >= 0)
		(void)send(s->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void supervisor_fini(struct supervisor *s)
{
	fd_close(&s->fd);
}
