/* SPDX-License-Identifier: Apache-2.0 */
/* The two forms of a log line. See log_text.h. By hand: no libc state, no heap. */
#include "vmm/base/log_text.h"

#include <string.h>

#define TAIL_MAX 4 /* `"}` and a newline */

/* All or nothing, so that an escape is never cut; room for the tail stays. */
static bool text_put(struct log_text *t, const char *s, size_t len)
{
	if (len > sizeof(t->text) - TAIL_MAX - t->len)
		return false;
	memcpy(t->text + t->len, s, len);
	t->len += len;
	return true;
}

static void text_puts(struct log_text *t, const char *s)
{
	(void)text_put(t, s, strlen(s));
}

static void text_tail(struct log_text *t, const char *s)
{
	memcpy(t->text + t->len, s, strlen(s));
	t->len += strlen(s);
}

static void text_put_number(struct log_text *t, int value)
{
	char digits[12], *p = digits + sizeof(digits);
	unsigned v = value > 0 ? (unsigned)value : 0;

	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	(void)text_put(t, p, (size_t)(digits + sizeof(digits) - p));
}

static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

static void text_put_plain(struct log_text *t, const char *s)
{
	for (; *s; s++)
		if (!text_put(t, is_control((unsigned char)*s) ? " " : s, 1))
			return;
}

/* Bytes of the UTF-8 character at s, or 0 if there is none: overlong, a surrogate, too large. */
static size_t utf8_len(const unsigned char *s)
{
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

/* The inside of a JSON string. */
static void text_put_json(struct log_text *t, const char *s)
{
	static const char hex[] = "0123456789abcdef";

	while (*s) {
		unsigned char c = (unsigned char)*s;
		size_t len = utf8_len((const unsigned char *)s);
		char escape[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
		bool ok;

		if (c == '"' || c == '\\')
			ok = text_put(t, (char[]){'\\', (char)c}, 2);
		else if (is_control(c))
			ok = text_put(t, escape, sizeof(escape));
		else if (len == 0)
			ok = text_put(t, "\\ufffd", 6);
		else
			ok = text_put(t, s, len);
		if (!ok)
			return;
		s += len ? len : 1;
	}
}

static void text_put_member(struct log_text *t, const char *open, const char *value)
{
	text_puts(t, open);
	text_put_json(t, value);
}

static void log_text_make_json(struct log_text *t, const struct log_record *r)
{
	text_put_member(t, "{\"timestamp\":\"", r->stamp);
	text_put_member(t, "Z\",\"id\":\"", r->config->id);
	text_put_member(t, "\",\"thread\":\"", r->thread);
	text_put_member(t, "\",\"level\":\"", r->level);
	text_put_member(t, "\",\"file\":\"", r->file);
	text_puts(t, "\",\"line\":");
	text_put_number(t, r->line);
	text_put_member(t, ",\"message\":\"", r->message);
	text_tail(t, "\"}\n");
}

void log_text_make(struct log_text *t, const struct log_record *r)
{
	t->len = 0;
	if (r->config->json) {
		log_text_make_json(t, r);
		return;
	}
	text_puts(t, r->stamp);
	text_puts(t, " [");
	text_puts(t, r->config->id);
	text_puts(t, ":");
	text_puts(t, r->thread);
	if (r->config->show_level) {
		text_puts(t, ":");
		text_puts(t, r->level);
	}
	if (r->config->show_origin) {
		text_puts(t, ":");
		text_puts(t, r->file);
		text_puts(t, ":");
		text_put_number(t, r->line);
	}
	text_puts(t, "] ");
	text_put_plain(t, r->message);
	text_tail(t, "\n");
}
