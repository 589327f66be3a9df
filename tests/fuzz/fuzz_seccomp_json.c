/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the JSON of a filter. What compiles is a file that the monitor reads. */
#include "cli/seccomp_json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seccomp_set s = {0}, again = {0};
	struct err e;
	bool has_api;
	void *out;
	size_t len;

	if (seccomp_json_compile(&s, &has_api, (const char *)data, size, &e) < 0)
		return 0;
	out = seccomp_set_format(&s, &len);
	if (!out || seccomp_set_parse(&again, out, len, &e) < 0)
		abort();
	free(out);
	seccomp_set_fini(&s);
	seccomp_set_fini(&again);
	return 0;
}
