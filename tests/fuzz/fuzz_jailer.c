/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the jailer reads, by the first byte: a jail's record, the list of mounts, its command line (a word a
 * line). A record that is accepted is written and read again.
 */
#include "jailer/mountinfo.h"
#include "jailer/options.h"
#include "jailer/record.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 128

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_record(const char *text)
{
	char again[RECORD_SIZE_MAX];
	struct record r, s;
	struct err e;

	if (record_parse(text, &r, &e) < 0 || record_print(&r, again, &e) < 0)
		return;
	if (record_parse(again, &s, &e) < 0 || r.pid != s.pid || r.pid_start != s.pid_start ||
		strcmp(r.cgroup, s.cgroup) != 0 || r.hierarchy_count != s.hierarchy_count)
		abort();
}

static void one_mountinfo(const char *text)
{
	char path[PATH_MAX];

	if (mountinfo_cgroup(text, 1, "cpu", 3, path) && path[0] != '/')
		abort();
	if (mountinfo_cgroup(text, 2, "", 0, path) && path[0] != '/')
		abort();
}

static void one_command_line(char *text)
{
	struct jailer_options o;
	struct err e;
	char program[] = "mayfly-jailer", *argv[WORDS_MAX + 1] = {program}, *word;
	int argc = 1;

	while (argc < WORDS_MAX && (word = strsep(&text, "\n")))
		argv[argc++] = word;
	if (jailer_options_parse(&o, argc, argv, &e) == 0 && o.action == JAILER_RUN &&
		(!o.id || !*o.id || strchr(o.id, '/') || !o.exec_file || !o.has_uid || !o.has_gid))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	text = malloc(size);
	if (!text)
		abort();
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0]) {
	case 'r':
		one_record(text);
		break;
	case 'm':
		one_mountinfo(text);
		break;
	case 'o':
		one_command_line(text);
		break;
	}
	free(text);
	return 0;
}
