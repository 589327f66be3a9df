/* SPDX-License-Identifier: Apache-2.0 */
/* The log. See log.h. */
#include "vmm/base/log.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/log_text.h"
#include "vmm/base/passed_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define LOG_SITE_LINES_MAX 10
#define LOG_SITE_WINDOW_NS (5 * CLOCK_NS_PER_S)
#define LOG_MODULE_SIZE    256
#define LOG_TAKE_OVER_NS   CLOCK_NS_PER_S

/*
 * Two of each: the one that log_now points to is never written, so a handler that logs in the
 * middle of a change sees the old configuration or the new one.
 */
static struct log_config log_configs[2] = {{
	.id = "anonymous-instance",
	.fd = STDOUT_FILENO,
	.level = LOG_INFO,
}};
static char log_modules[2][LOG_MODULE_SIZE];
static _Atomic unsigned log_now; /* index into both */
static int log_owned_fd = -1;    /* opened by log_change */

static _Thread_local char log_thread[16] = "main";
static _Atomic uint64_t log_missed, log_limited;
static _Atomic uint32_t log_writers; /* threads inside log_write */
static _Atomic bool log_taken_over;  /* by the thread whose log_is_last is set */
static _Thread_local uint32_t log_depth;
static _Thread_local bool log_is_last;
static _Atomic bool log_torn; /* part of a line was written: the next starts on a new line */

static const char *const log_level_names[] = {
	[LOG_OFF] = "OFF",
	[LOG_ERROR] = "ERROR",
	[LOG_WARN] = "WARN",
	[LOG_INFO] = "INFO",
	[LOG_DEBUG] = "DEBUG",
	[LOG_TRACE] = "TRACE",
};

const struct log_config *log_config_get(void)
{
	return &log_configs[atomic_load_explicit(&log_now, memory_order_acquire)];
}

/* The module is copied, so that it may be what the current configuration has or a passing text. */
static void log_publish(const struct log_config *c)
{
	unsigned next = 1 - atomic_load_explicit(&log_now, memory_order_relaxed);

	log_configs[next] = *c;
	if (c->module) {
		(void)snprintf(log_modules[next], LOG_MODULE_SIZE, "%s", c->module);
		log_configs[next].module = log_modules[next];
	}
	atomic_store_explicit(&log_now, next, memory_order_release);
}

void log_configure(const struct log_config *c)
{
	log_publish(c);
}

int log_change(const struct log_change *c, struct err *e)
{
	struct log_config next = *log_config_get();
	int old_fd = -1;

	if (c->module && strlen(c->module) >= LOG_MODULE_SIZE)
		return err_set(e, -EINVAL, "module: longer than %d bytes", LOG_MODULE_SIZE - 1);
	if (c->path) {
		next.fd = log_open_target(c->path, "log_path", e);
		if (next.fd < 0)
			return next.fd;
		old_fd = log_owned_fd;
		log_owned_fd = next.fd;
	}
	if (c->has_level)
		next.level = c->level;
	if (c->has_show_level)
		next.show_level = c->show_level;
	if (c->has_show_origin)
		next.show_origin = c->show_origin;
	if (c->module)
		next.module = *c->module ? c->module : NULL;
	log_publish(&next);
	fd_close(&old_fd);
	return 0;
}

int log_level_parse(const char *s, enum log_level *ret_level)
{
	if (strcasecmp(s, "Warning") == 0) {
		*ret_level = LOG_WARN;
		return 0;
	}
	for (size_t i = 0; i < NELEM(log_level_names); i++) {
		if (strcasecmp(s, log_level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

int log_open_target(const char *path, const char *field, struct err *e)
{
	int fd;

	if (passed_fd_is(path)) {
		fd = passed_fd_open(path, e);
		return fd >= 0 ? fd : err_wrap(e, "%s", field);
	}
	fd = open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
	return fd >= 0 ? fd : err_set_os(e, -errno, "%s: cannot open %s", field, path);
}

void log_thread_name(const char *name)
{
	(void)snprintf(log_thread, sizeof(log_thread), "%s", name);
}

uint64_t log_missed_count(void)
{
	return atomic_load_explicit(&log_missed, memory_order_relaxed);
}

uint64_t log_limited_count(void)
{
	return atomic_load_explicit(&log_limited, memory_order_relaxed);
}

/* *ret_left_out: lines of the window that this one ends, to be reported before it. */
static bool log_site_admits(struct log_site *site, uint32_t *ret_left_out)
{
	uint64_t now = clock_mono_ns();
	uint64_t start = __atomic_load_n(&site->window_start_ns, __ATOMIC_RELAXED);
	uint32_t count;

	if (start == 0 || now - start > LOG_SITE_WINDOW_NS) {
		__atomic_store_n(&site->window_start_ns, now, __ATOMIC_RELAXED);
		count = __atomic_exchange_n(&site->line_count, 1, __ATOMIC_RELAXED);
		*ret_left_out = count > LOG_SITE_LINES_MAX ? count - LOG_SITE_LINES_MAX : 0;
		return true;
	}
	return __atomic_add_fetch(&site->line_count, 1, __ATOMIC_RELAXED) <= LOG_SITE_LINES_MAX;
}

/* #syscalls:* write */
static void log_write_now(int fd, const struct log_text *t)
{
	ssize_t n;

	if (atomic_load_explicit(&log_torn, memory_order_relaxed) && write(fd, "\n", 1) == 1)
		atomic_store_explicit(&log_torn, false, memory_order_relaxed);
	do
		n = write(fd, t->text, t->len);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)t->len)
		return;
	atomic_fetch_add_explicit(&log_missed, 1, memory_order_relaxed);
	if (n > 0)
		atomic_store_explicit(&log_torn, true, memory_order_relaxed);
}

/* Count, then look: log_take_over says the opposite order. One of the two sees the other. */
static void log_write(int fd, const struct log_text *t)
{
	atomic_fetch_add(&log_writers, 1);
	log_depth++;
	if (!atomic_load(&log_taken_over) || log_is_last)
		log_write_now(fd, t);
	else
		atomic_fetch_add_explicit(&log_missed, 1, memory_order_relaxed);
	log_depth--;
	atomic_fetch_sub(&log_writers, 1);
}

void log_take_over(void)
{
	uint64_t start = clock_mono_ns();

	log_is_last = true;
	atomic_store(&log_taken_over, true);
	/* A line of this very thread may be the one that was interrupted. */
	while (atomic_load(&log_writers) > log_depth && clock_mono_ns() - start < LOG_TAKE_OVER_NS)
		__builtin_ia32_pause();
}

void log_give_up(void)
{
	atomic_fetch_sub(&log_writers, log_depth);
	log_depth = 0;
}

/* #syscalls:* clock_gettime */
static void log_emit(const struct log_config *c, enum log_level level, const char *file, int line,
	const char *message)
{
	char stamp[CLOCK_STAMP_SIZE];
	const struct log_record r = {
		.config = c,
		.stamp = stamp,
		.thread = log_thread,
		.level = log_level_names[level],
		.file = file,
		.line = line,
		.message = message,
	};
	struct log_text t;

	clock_stamp_utc(stamp);
	log_text_make(&t, &r);
	log_write(c->fd, &t);
}

/* #syscalls:* write clock_gettime */
void log_line(enum log_level level, struct log_site *site, const char *file, int line,
	const char *fmt, ...)
{
	const struct log_config *c = log_config_get();
	int saved_errno = errno;
	char message[LOG_LINE_MAX];
	uint32_t left_out = 0;
	va_list ap;

	if (level > c->level || level == LOG_OFF)
		return;
	if (c->module && strncmp(file, c->module, strlen(c->module)) != 0)
		return;
	if (site && !log_site_admits(site, &left_out)) {
		atomic_fetch_add_explicit(&log_limited, 1, memory_order_relaxed);
		return;
	}
	if (left_out) {
		(void)snprintf(message, sizeof(message),
			"%u messages like the next were suppressed by the rate limit", left_out);
		log_emit(c, level, file, line, message);
	}
	/* glibc's takes no lock and no heap for the conversions in use: integers and strings. */
	va_start(ap, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	log_emit(c, level, file, line, message);
	errno = saved_errno;
}
