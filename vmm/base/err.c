/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed-size error messages with context. See err.h. */
#include "vmm/base/err.h"

#include "vmm/base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

PRINTF_LIKE(3, 0)
static int err_vset(struct err *e, int code, const char *fmt, va_list ap)
{
	CHECK(code < 0);
	if (e) {
		e->code = code;
		(void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	}
	return code;
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)err_vset(e, code, fmt, ap);
	va_end(ap);
	return code;
}

int err_set_os(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)err_vset(e, code, fmt, ap);
	va_end(ap);
	if (e) {
		size_t used = strlen(e->msg);
		const char *text = strerrordesc_np(-code);

		(void)snprintf(e->msg + used, sizeof(e->msg) - used, ": %s (os error %d)",
			text ? text : "unknown error", -code);
	}
	return code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char cause[sizeof(e->msg)];
	size_t used;
	va_list ap;
	int n;

	if (!e)
		return -1;
	CHECK(e->code < 0);
	memcpy(cause, e->msg, sizeof(cause));
	va_start(ap, fmt);
	n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	used = n < 0 ? 0 : MIN((size_t)n, sizeof(e->msg) - 1);
	n = snprintf(e->msg + used, sizeof(e->msg) - used, ": %s", cause);
	if (n < 0) /* what fits is kept; only a broken format is not text */
		e->msg[used] = '\0';
	return e->code;
}
