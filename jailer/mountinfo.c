/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of /proc/self/mountinfo:
 *	36 35 98:0 /root /mount/point rw,noatime shared:1 - fstype source super,options
 * Spaces, newlines and backslashes in paths are octal escapes. See proc_pid_mountinfo(5).
 */
#include "jailer/mountinfo.h"

#include <string.h>

struct span {
	const char *at;
	size_t len;
};

/* The next word of the line, and past the one space behind it. */
static struct span mountinfo_word(const char **at, const char *end)
{
	struct span s = {*at, 0};

	while (*at < end && **at != ' ')
		(*at)++;
	s.len = (size_t)(*at - s.at);
	if (*at < end)
		(*at)++;
	return s;
}

static bool span_is(struct span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

static bool mountinfo_unescape(struct span s, char ret[PATH_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (c == '\\' && s.len - i > 3 && is_octal(s.at[i + 1]) && is_octal(s.at[i + 2]) &&
			is_octal(s.at[i + 3])) {
			c = (char)((s.at[i + 1] - '0') * 64 + (s.at[i + 2] - '0') * 8 +
				   (s.at[i + 3] - '0'));
			i += 3;
		}
		if (n + 1 >= PATH_MAX || c == '\0')
			return false;
		ret[n++] = c;
	}
	ret[n] = '\0';
	return n > 0 && ret[0] == '/';
}

static bool mountinfo_has_option(struct span options, const char *name, size_t len)
{
	for (size_t i = 0; i < options.len;) {
		size_t n = 0;

		while (i + n < options.len && options.at[i + n] != ',')
			n++;
		if (n == len && memcmp(options.at + i, name, len) == 0)
			return true;
		i += n + 1;
	}
	return false;
}

static bool mountinfo_line(const char *at, const char *end, unsigned version,
	const char *controller, size_t len, char ret_path[PATH_MAX])
{
	struct span path, word;

	for (int i = 0; i < 4; i++)
		(void)mountinfo_word(&at, end);
	path = mountinfo_word(&at, end);
	do
		word = mountinfo_word(&at, end);
	while (word.len && !span_is(word, "-"));
	word = mountinfo_word(&at, end);
	if (!span_is(word, version == 1 ? "cgroup" : "cgroup2"))
		return false;
	(void)mountinfo_word(&at, end);
	word = mountinfo_word(&at, end);
	return (version == 2 || mountinfo_has_option(word, controller, len)) &&
	       mountinfo_unescape(path, ret_path);
}

bool mountinfo_cgroup(const char *text, unsigned version, const char *controller, size_t len,
	char ret_path[PATH_MAX])
{
	while (*text) {
		const char *end = strchrnul(text, '\n');

		if (mountinfo_line(text, end, version, controller, len, ret_path))
			return true;
		text = *end ? end + 1 : end;
	}
	return false;
}
