/* SPDX-License-Identifier: Apache-2.0 */
/* The console. See console.h. */
#include "vmm/core/console.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define CONSOLE_DRAIN_MS 200

/* The terminal's state is the process's, and signal handlers need it: static. */
static struct termios console_saved;
static volatile sig_atomic_t console_is_raw;

/*
 * tcsetattr reads back what it has set.
 *
 * #syscalls:* ioctl:1=TCSETS ioctl:1=TCGETS
 */
void console_restore(void)
{
	if (!console_is_raw)
		return;
	console_is_raw = 0;
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &console_saved);
}

static int console_set_raw(struct err *e)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &console_saved) < 0)
		return err_set_os(e, -errno, "cannot read the terminal's mode");
	raw = console_saved;
	cfmakeraw(&raw);
	raw.c_lflag |= ISIG; /* Ctrl-C still ends the monitor */
	raw.c_oflag |= OPOST;
	console_is_raw = 1;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
		return err_set_os(e, -errno, "cannot put the terminal into raw mode");
	return 0;
}

/*
 * A description of our own, so that O_NONBLOCK does not leak into the parent's shell. Files are
 * shared as they are (their offset matters, and they never make a writer wait), and so are
 * sockets, which cannot be opened anew.
 */
static int console_open_output(struct err *e)
{
	struct stat st;
	int fd = -1;

	if (fstat(STDOUT_FILENO, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)))
		fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return fd >= 0 ? fd : err_set_os(e, -errno, "standard output cannot be used");
}

static void console_init_limiter(struct console *c, const struct token_bucket_config *bucket)
{
	struct rate_limiter_config lc = {.has_bandwidth = bucket != NULL};

	if (bucket)
		lc.bandwidth = *bucket;
	rate_limiter_init(&c->limiter, &c->limiter_state, &lc, clock_mono_ns());
}

/* What is over the limit is lost: the guest must not wait for its own console. */
static bool console_admit(void *ctx)
{
	struct console *c = ctx;

	return rate_limiter_charge(&c->limiter, 1, 0, clock_mono_ns());
}

int console_init(struct console *c, const struct console_config *o, struct err *e)
{
	*c = (struct console){.in_fd = STDIN_FILENO, .out_fd = -1, .kick_fd = -1};
	console_init_limiter(c, o->limiter);
	c->out_fd = o->out_path ? log_open_target(o->out_path, "serial_out_path", e)
				: console_open_output(e);
	if (c->out_fd < 0)
		return c->out_fd;
	c->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->kick_fd < 0) {
		int rc = err_set_os(e, -errno, "cannot make the console's eventfd");

		fd_close(&c->out_fd);
		return rc;
	}
	return 0;
}

static void console_watch_input(struct console *c, bool on)
{
	if (!c->in_pollable || c->in_watched == on)
		return;
	if (on) {
		c->in_watched = loop_add(c->loop, &c->in, EPOLLIN) == 0;
	} else {
		loop_del(c->loop, &c->in);
		c->in_watched = false;
	}
}

/*
 * Moves input to the UART as far as it has room; then stops watching until it has again.
 *
 * #syscalls:main read
 */
static void console_pump_input(struct console *c)
{
	uint8_t buf[UART_FIFO_SIZE];
	uint32_t room;

	while (c->in_fd >= 0 && (room = uart_receive_room(c->uart)) > 0) {
		ssize_t n = read(c->in_fd, buf, MIN(room, sizeof(buf)));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) { /* end of input, or a terminal that is gone */
			console_watch_input(c, false);
			c->in_fd = -1;
			return;
		}
		(void)uart_receive(c->uart, buf, (uint32_t)n);
		if (c->in_pollable)
			return; /* one read per readiness: the next may block */
	}
	if (c->in_fd >= 0)
		console_watch_input(c, false);
}

static void console_flush(struct console *c)
{
	bool empty = uart_flush(c->uart);

	if (!empty && !c->out_watched) {
		c->out_watched = loop_add(c->loop, &c->out, EPOLLOUT) == 0;
	} else if (empty && c->out_watched) {
		loop_del(c->loop, &c->out);
		c->out_watched = false;
	}
}

static void console_on_input(void *ctx, uint32_t events)
{
	(void)events;
	console_pump_input(ctx);
}

static void console_on_output(void *ctx, uint32_t events)
{
	(void)events;
	console_flush(ctx);
}

/* #syscalls:main read */
static void console_on_kick(void *ctx, uint32_t events)
{
	struct console *c = ctx;
	uint64_t count;

	(void)events;
	(void)!read(c->kick_fd, &count, sizeof(count));
	console_flush(c);
	if (c->in_fd < 0)
		return;
	if (c->in_pollable)
		console_watch_input(c, true);
	else
		console_pump_input(c);
}

int console_start(struct console *c, struct uart *u, struct loop *l, bool raw, struct err *e)
{
	int rc;

	c->uart = u;
	c->loop = l;
	if (rate_limiter_active(&c->limiter)) {
		u->admit_ctx = c;
		u->admit = console_admit;
	}
	c->in = (struct loop_source){.fd = c->in_fd, .fn = console_on_input, .ctx = c};
	c->out = (struct loop_source){.fd = c->out_fd, .fn = console_on_output, .ctx = c};
	c->kick = (struct loop_source){.fd = c->kick_fd, .fn = console_on_kick, .ctx = c};
	rc = loop_add(l, &c->kick, EPOLLIN);
	if (rc < 0)
		return err_set_os(e, rc, "cannot watch the console");
	rc = loop_add(l, &c->in, EPOLLIN);
	c->in_pollable = c->in_watched = rc == 0;
	if (rc == -EPERM) /* a file: always readable */
		console_pump_input(c);
	else if (rc < 0)
		c->in_fd = -1; /* closed: no input */
	return raw && isatty(STDIN_FILENO) ? console_set_raw(e) : 0;
}

/* #syscalls:main poll */
void console_drain(struct console *c)
{
	struct pollfd p = {.fd = c->out_fd, .events = POLLOUT};

	while (!uart_flush(c->uart))
		if (poll(&p, 1, CONSOLE_DRAIN_MS) <= 0)
			break;
}

void console_fini(struct console *c)
{
	fd_close(&c->out_fd);
	fd_close(&c->kick_fd);
}
