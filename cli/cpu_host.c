/* SPDX-License-Identifier: Apache-2.0 */
/* What of the host may change a template's effect without a bit changing. See cpu.h. */
#include "cli/cpu.h"

#include "vmm/base/cleanup.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#define VALUE_SIZE 128

/* The first line of a small file, or the value after ": " of its first line that starts so. */
static json_t *host_read(const char *path, const char *start)
{
	CLEANUP_FCLOSE FILE *f = fopen(path, "re");
	char line[VALUE_SIZE];

	while (f && fgets(line, sizeof(line), f)) {
		const char *value = line;

		line[strcspn(line, "\n")] = '\0';
		if (start) {
			value = strstr(line, ": ");
			if (!value || strncmp(line, start, strlen(start)) != 0)
				continue;
			value += 2;
		}
		return json_string(value);
	}
	return json_string("unknown");
}

json_t *cpu_host_describe(void)
{
	struct utsname u = {0};

	(void)uname(&u);
	return json_pack("{s:s, s:s, s:o, s:o, s:o}", "mayfly_version", MAYFLY_VERSION,
		"kernel_version", u.release, "microcode_version",
		host_read("/proc/cpuinfo", "microcode"), "bios_version",
		host_read("/sys/class/dmi/id/bios_version", NULL), "bios_revision",
		host_read("/sys/class/dmi/id/bios_release", NULL));
}
