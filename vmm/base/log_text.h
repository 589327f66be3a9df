/* SPDX-License-Identifier: Apache-2.0 */
/* One log line in the making: a bounded text on the caller's stack. For log.c. Any thread. */
#pragma once

#include "vmm/base/log.h"

/* What a line says, before it has a form. Everything is borrowed. */
struct log_record {
	const struct log_config *config;
	const char *stamp, *thread, *level, *file, *message;
	int line;
};

struct log_text {
	size_t len;
	char text[LOG_LINE_MAX]; /* not terminated */
};

/* Makes the whole line, its newline included, cutting the message where it no longer fits. */
void log_text_make(struct log_text *t, const struct log_record *r);
