/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server. See http.h. Connections are http_conn.c's; here are the socket, the slots and
 * the clock.
 */
#include "api/http.h"

#include "api/http_conn.h"
#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/unix_listen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#define HTTP_BACKLOG 128
#define HTTP_MODE    0755
#define HTTP_TICK_S  1

/* #syscalls:main timerfd_settime */
void http_server_tick(struct http_server *s)
{
	struct itimerspec tick = {.it_value.tv_sec = HTTP_TICK_S};

	if (!s->timer_armed)
		s->timer_armed = timerfd_settime(s->timer_fd, 0, &tick, NULL) == 0;
}

/* Waits for the next tick: descriptors or memory are short, and asking at once is of no use. */
static void server_pause_listening(struct http_server *s)
{
	s->listening = loop_mod(s->config.loop, &s->listen_source, 0) < 0;
	http_server_tick(s);
}

/* #syscalls:main read */
static void server_on_timer(void *ctx, uint32_t events)
{
	struct http_server *s = ctx;
	uint64_t ticks, now = clock_mono_ns();

	(void)events;
	if (read(s->timer_fd, &ticks, sizeof(ticks)) < 0)
		return;
	s->timer_armed = false;
	if (!s->listening)
		s->listening = loop_mod(s->config.loop, &s->listen_source, EPOLLIN) == 0;
	for (size_t i = 0; i < NELEM(s->conns); i++) {
		struct http_conn *c = &s->conns[i];

		if (c->fd >= 0 && c->deadline_ns > 0 && c->deadline_ns <= now)
			http_conn_expire(c);
		if (c->fd >= 0 && c->deadline_ns > 0)
			http_server_tick(s);
	}
	if (!s->listening)
		http_server_tick(s);
}

/* A free slot; or that of the connection that has rested longest, if long enough; or NULL. */
static struct http_conn *server_slot(struct http_server *s)
{
	uint64_t now = clock_mono_ns();
	struct http_conn *idlest = NULL;

	for (size_t i = 0; i < NELEM(s->conns); i++) {
		struct http_conn *c = &s->conns[i];

		if (c->fd < 0)
			return c;
		if (http_conn_rests(c) && (!idlest || c->since_ns < idlest->since_ns))
			idlest = c;
	}
	if (!idlest || now - idlest->since_ns < HTTP_IDLE_TIME_S * CLOCK_NS_PER_S)
		return NULL;
	http_conn_close(idlest);
	return idlest;
}

/* #syscalls:main sendto:3=MSG_NOSIGNAL|MSG_DONTWAIT,4=0 close */
static void server_refuse(int fd)
{
	struct http_reply r = {.status = 503};
	char *answer;
	size_t len;

	r.body = strdup("{ \"error\": \"Too many open connections\" }");
	r.body_len = r.body ? strlen(r.body) : 0;
	answer = http_reply_format(&r, true, &len);
	if (answer)
		(void)send(fd, answer, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	free(answer);
	(void)close(fd);
}

/*
 * One a turn, so that a flood of clients leaves the loop to others.
 *
 * #syscalls:main accept4:3=SOCK_NONBLOCK|SOCK_CLOEXEC
 */
static void server_on_client(void *ctx, uint32_t events)
{
	struct http_server *s = ctx;
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct http_conn *c;

	(void)events;
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			server_pause_listening(s);
		return;
	}
	c = server_slot(s);
	if (c)
		http_conn_open(c, s, fd);
	else
		server_refuse(fd);
}

/* A socket that somebody else has bound and listens on. */
static int server_check_inherited(int fd, struct err *e)
{
	int listening = 0, flags = fcntl(fd, F_GETFL);
	socklen_t len = sizeof(listening);

	if (flags < 0 || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0)
		return err_set_os(e, -errno, "API socket: descriptor %d is no socket", fd);
	if (!listening)
		return err_set(e, -EINVAL,
			"API socket: descriptor %d does not listen; call listen() before handing "
			"it over",
			fd);
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_set_os(e, -errno, "API socket: cannot set up descriptor %d", fd);
	return 0;
}

static int server_listen(struct http_server *s, const char *path, struct err *e)
{
	struct err cause = {0};

	s->listen_fd = unix_listen(path, HTTP_BACKLOG, &cause);
	/* bind() went by the umask */
	if (s->listen_fd >= 0 && chmod(path, HTTP_MODE) < 0)
		(void)err_set_os(&cause, -errno, "cannot set its mode to %o", HTTP_MODE);
	if (cause.code < 0)
		return err_set(e, cause.code,
			"Failed to open the API socket at: %s. Check that it is not already used. "
			"(%s)",
			path, cause.msg);
	return 0;
}

static int server_watch(struct http_server *s, struct err *e)
{
	struct loop *l = s->config.loop;
	int rc;

	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (s->timer_fd < 0)
		return err_set_os(e, -errno, "API socket: cannot make a timer");
	s->timer_source = (struct loop_source){.fd = s->timer_fd, .fn = server_on_timer, .ctx = s};
	s->listen_source =
		(struct loop_source){.fd = s->listen_fd, .fn = server_on_client, .ctx = s};
	rc = loop_add(l, &s->timer_source, EPOLLIN);
	if (rc == 0) {
		rc = loop_add(l, &s->listen_source, EPOLLIN);
		s->listening = rc == 0;
		if (rc < 0)
			loop_del(l, &s->timer_source);
	}
	if (rc < 0)
		fd_close(&s->timer_fd);
	return rc == 0 ? 0 : err_set_os(e, rc, "API socket: cannot wait for connections");
}

int http_server_init(struct http_server *s, const struct http_server_config *c, struct err *e)
{
	int rc;

	CHECK(c->handler && c->loop);
	*s = (struct http_server){.config = *c, .listen_fd = c->listen_fd, .timer_fd = -1};
	for (size_t i = 0; i < NELEM(s->conns); i++)
		s->conns[i].fd = -1;
	rc = c->listen_fd >= 0 ? server_check_inherited(c->listen_fd, e)
			       : server_listen(s, c->path, e);
	if (rc == 0)
		rc = server_watch(s, e);
	if (rc < 0)
		fd_close(&s->listen_fd);
	return rc;
}

void http_server_fini(struct http_server *s)
{
	if (!s->config.loop || s->timer_fd < 0)
		return;
	for (size_t i = 0; i < NELEM(s->conns); i++)
		if (s->conns[i].fd >= 0)
			http_conn_close(&s->conns[i]);
	loop_del(s->config.loop, &s->listen_source);
	loop_del(s->config.loop, &s->timer_source);
	fd_close(&s->listen_fd);
	fd_close(&s->timer_fd);
}
