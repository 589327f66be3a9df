/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: lines in Firecracker's format or as JSON, one write(2) each, no lock, no heap. Any
 * thread and any signal handler may log at any point: a line is made on the caller's own stack.
 *
 *	TIMESTAMP [id:thread(:LEVEL)(:path:line)] message
 *	{"timestamp":…,"id":…,"thread":…,"level":…,"file":…,"line":…,"message":…}
 *
 * A line is at most LOG_LINE_MAX bytes, which a pipe takes whole or not at all, and holds no
 * control characters: guest and file text can forge neither lines nor terminals.
 *
 * Configuration is the main thread's, before any other thread starts, as often as it likes.
 */
#pragma once

#include "vmm/base/err.h"

#define LOG_LINE_MAX 4096u /* PIPE_BUF */

enum log_level { LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

struct log_config {
	const char *id; /* borrowed; the instance id */
	int fd;         /* borrowed; where lines go, default 1 */
	enum log_level level;
	bool show_level;
	bool show_origin;
	bool json;
	const char *module; /* only lines whose source path starts so, or NULL */
};

/* Copies *c, and of what it points to the module, cut to 255 bytes. */
void log_configure(const struct log_config *c);
const struct log_config *log_config_get(void);

/* What PUT /logger can say; what it does not say stays as it is. */
struct log_change {
	const char *path;   /* or NULL; opened by log_open_target, owned by the log from then on */
	const char *module; /* or NULL; "" is no filter; copied */
	bool has_level, has_show_level, has_show_origin;
	enum log_level level;
	bool show_level, show_origin;
};

/* 0, or -errno with *e naming log_path or module; then nothing has changed. */
int log_change(const struct log_change *c, struct err *e) MUST_USE;

/* "Error", "Warning", "Info", "Debug", "Trace", "Off", any case. 0 or -EINVAL. */
int log_level_parse(const char *s, enum log_level *ret_level);

/*
 * Opens a log or metrics target the way clients rely on: a fifo without a reader does not block,
 * a missing file is made (0644), an existing file is overwritten from its start. The caller owns
 * the fd. -errno and *e on failure. A passed descriptor (passed_fd.h) is taken as it is: whoever passes
 * one that can block makes it O_NONBLOCK.
 */
int log_open_target(const char *path, const char *field, struct err *e);

/* Names the calling thread in its lines ("main", "vcpu 0"); at most 15 bytes are kept. */
void log_thread_name(const char *name);

/*
 * For a handler that ends the process: from now on only this thread logs. Returns when no other is
 * in the middle of a line, which the kernel would cut short, or after a second. Async-signal-safe.
 */
void log_take_over(void);

/*
 * For a handler that never returns to what it interrupted, before it waits for the end: a line that the thread
 * was in the middle of is not waited for. Async-signal-safe.
 */
void log_give_up(void);

/*
 * Per call site: at most 10 lines in 5 s; the next line after those 5 s is preceded by one that
 * says how many were left out. Several threads may race on it; it is only a limit.
 */
struct log_site {
	uint64_t window_start_ns;
	uint32_t line_count;
};

/* Lines lost to the rate limit or to a target that did not take them. Any thread. */
uint64_t log_missed_count(void);
uint64_t log_limited_count(void);

void log_line(enum log_level level, struct log_site *site, const char *file, int line,
	const char *fmt, ...) PRINTF_LIKE(5, 6);

#define LOG_AT(level, ...) log_line((level), NULL, __FILE__, __LINE__, __VA_ARGS__)
#define log_error(...)     LOG_AT(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)      LOG_AT(LOG_WARN, __VA_ARGS__)
#define log_info(...)      LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_debug(...)     LOG_AT(LOG_DEBUG, __VA_ARGS__)

/* For whatever a guest or a peer can cause at will: the same, rate-limited per call site. */
#define log_guest(level, ...)                                                                      \
	do {                                                                                       \
		static struct log_site log_site_;                                                  \
		log_line((level), &log_site_, __FILE__, __LINE__, __VA_ARGS__);                    \
	} while (0)
