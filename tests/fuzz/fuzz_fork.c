/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a child of a fork is given: the message, then the manifest. What comes through goes
 * to guest memory, which checks the runs.
 */
#include "snapshot/fork.h"
#include "vmm/base/cleanup.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int memfd_of(const uint8_t *data, size_t len, uint64_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || (len > 0 && write(fd, data, len) != (ssize_t)len) ||
		(size > len && ftruncate(fd, (off_t)size) < 0))
		abort();
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fork_message msg = {0};
	size_t len = MIN(size, sizeof(msg));
	int fds[FORK_FDS_MAX];
	struct fork_gift g;
	struct gmem m;
	struct err e;
	uint32_t count;

	memcpy(&msg, data, len);
	msg.magic = FORK_MAGIC; /* or nothing behind it would be reached */
	msg.mem_size = 64 * MIB;
	count = MIN(2 + msg.overlay_count % (GMEM_OVERLAYS_MAX + 1), (uint32_t)FORK_FDS_MAX);
	fds[0] = memfd_of(data + len, size - len, 0);
	for (uint32_t i = 1; i < count; i++)
		fds[i] = memfd_of(data, 0, 64 * MIB);
	if (fork_unpack(&g, &msg, sizeof(msg), fds, count, &e) < 0)
		return 0;
	struct gmem_config c = {
		.size = g.mem_size,
		.backing = GMEM_BACKING_FILE,
		.file_fd = g.base_fd,
		.overlays = g.overlays,
		.overlay_count = g.overlay_count,
	};

	if (gmem_init(&m, &c, &e) == 0) {
		g.base_fd = -1;
		gmem_fini(&m);
	}
	fork_gift_fini(&g);
	return 0;
}
