/* SPDX-License-Identifier: Apache-2.0 */
/* The log. See log.h. */
#include "vmm/base/log.h"

#include "vmm/base/clock.h"

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

static struct log_config log_cfg = {
	.id = "anonymous-instance",
	.fd = STDOUT_FILENO,
	.level = LOG_INFO,
};
static _Thread_local char log_thread[16] = "main";
static _Atomic uint64_t log_missed, log_limited;

static const char *const log_level_names[] = {
	[LOG_OFF] = "OFF",
	[LOG_ERROR] = "ERROR",
	[LOG_WARN] = "WARN",
	[LOG_INFO] = "INFO",
	[LOG_DEBUG] = "DEBUG",
	[LOG_TRACE] = "TRACE",
};

void log_configure(const struct log_config *c)
{
	log_cfg = *c;
}

const struct log_config *log_config_get(void)
{
	return &log_cfg;
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
	int fd = open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);

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

static bool log_site_admits(struct log_site *site)
{
	uint64_t now = clock_mono_ns();
	uint64_t start = __atomic_load_n(&site->window_start_ns, __ATOMIC_RELAXED);

	if (start == 0 || now - start > LOG_SITE_WINDOW_NS) {
		__atomic_store_n(&site->window_start_ns, now, __ATOMIC_RELAXED);
		__atomic_store_n(&site->line_count, 1, __ATOMIC_RELAXED);
		return true;
	}
	return __atomic_add_fetch(&site->line_count, 1, __ATOMIC_RELAXED) <= LOG_SITE_LINES_MAX;
}

/* A line holds no control characters: guest and file text can neither forge lines nor terminals. */
static void log_sanitize(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
}

static bool log_enabled(enum log_level level, struct log_site *site, const char *file)
{
	if (level > log_cfg.level || level == LOG_OFF)
		return false;
	if (log_cfg.module && strncmp(file, log_cfg.module, strlen(log_cfg.module)) != 0)
		return false;
	if (site && !log_site_admits(site)) {
		atomic_fetch_add_explicit(&log_limited, 1, memory_order_relaxed);
		return false;
	}
	return true;
}

/* #syscalls:* write clock_gettime */
void log_line(enum log_level level, struct log_site *site, const char *file, int line,
	const char *fmt, ...)
{
	char buf[1400], origin[128] = "", stamp[CLOCK_STAMP_SIZE];
	size_t used;
	va_list ap;
	int n;

	if (!log_enabled(level, site, file))
		return;
	if (log_cfg.show_origin)
		(void)snprintf(origin, sizeof(origin), ":%s:%d", file, line);
	clock_stamp_utc(stamp);
	n = snprintf(buf, sizeof(buf) - 1, "%s [%s:%s%s%s%s] ", stamp, log_cfg.id, log_thread,
		log_cfg.show_level ? ":" : "", log_cfg.show_level ? log_level_names[level] : "",
		origin);
	used = MIN((size_t)n, sizeof(buf) - 2);
	va_start(ap, fmt);
	(void)vsnprintf(buf + used, sizeof(buf) - 1 - used, fmt, ap);
	va_end(ap);
	log_sanitize(buf + used);
	used += strlen(buf + used);
	buf[used++] = '\n';
	if (write(log_cfg.fd, buf, used) != (ssize_t)used)
		atomic_fetch_add_explicit(&log_missed, 1, memory_order_relaxed);
}
