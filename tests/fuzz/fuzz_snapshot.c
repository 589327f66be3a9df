/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a state file. Length and checksum are put right first, or nothing behind them would
 * ever be reached; then every section is decoded and checked.
 */
#include "snapshot/format_wire.h"
#include "snapshot/image.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct snapshot_reader r;
	uint64_t total = size, crc;
	uint8_t *file;
	struct err e;

	if (size < sizeof(struct wire_header) + sizeof(crc) || size > (size_t)256 * 1024)
		return 0;
	file = malloc(size); /* of the very size, so that a read past it is seen */
	if (!file)
		abort();
	memcpy(file, data, size);
	memcpy(file + offsetof(struct wire_header, total), &total, sizeof(total));
	crc = snapshot_crc(0, file, size - sizeof(crc));
	memcpy(file + size - sizeof(crc), &crc, sizeof(crc));
	if (snapshot_open(&r, file, size, snapshot_section_known, &e) == 0)
		(void)!snapshot_verify(&r, &e);
	free(file);
	return 0;
}
