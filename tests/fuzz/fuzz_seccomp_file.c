/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the file of --seccomp-filter, whose magic, version and checksum are made right, or
 * nothing behind them would be reached. What is read is written and read again.
 */
#include "seccomp/filter.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seal(uint8_t *bytes, size_t size)
{
	static const uint8_t head[12] = {'M', 'A', 'Y', 'F', 'L', 'Y', 'B', 'P', 1};
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t i = 24; i < size; i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3;
	memcpy(bytes, head, sizeof(head));
	memcpy(bytes + 16, &sum, sizeof(sum));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seccomp_set s = {0}, again = {0};
	struct err e;
	uint8_t *bytes = malloc(size ? size : 1);
	void *out;
	size_t len;

	if (!bytes)
		abort();
	if (size > 0)
		memcpy(bytes, data, size);
	if (size >= 24)
		seal(bytes, size);
	if (seccomp_set_parse(&s, bytes, size, &e) == 0) {
		out = seccomp_set_format(&s, &len);
		if (!out || len != size || seccomp_set_parse(&again, out, len, &e) < 0)
			abort();
		free(out);
	}
	seccomp_set_fini(&s);
	seccomp_set_fini(&again);
	free(bytes);
	return 0;
}
