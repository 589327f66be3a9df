/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block requests of any bytes, on disks of 8 KiB. A disk keeps its size, a read-only one its
 * contents, and every request taken is given back, whatever the driver wrote; also when an
 * io_uring does the work.
 */
#include "tests/fuzz/virtio_target.h"
#include "virtio/blk_dev.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISK_SIZE 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { READ_WRITE, READ_ONLY, ASYNC, DISK_COUNT };

static struct virtio_dev *disk_create(int fd, int kind)
{
	const struct blk_config c = {.drive_id = "fuzz",
		.fd = dup(fd),
		.read_only = kind == READ_ONLY,
		.writeback = true,
		.async = kind == ASYNC};
	struct virtio_dev *d = NULL;
	struct err e;

	TARGET_REQUIRE(blk_create(&target_mem, &c, &d, &e) == 0);
	return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct virtio_dev *disks[DISK_COUNT];
	static int fds[DISK_COUNT];
	struct virtio_dev *d;
	int kind;
	struct stat st;
	char byte = 0;

	if (size < 1)
		return -1;
	target_fill(data + 1, size - 1);
	for (int i = 0; i < DISK_COUNT && !disks[i]; i++) {
		fds[i] = memfd_create("disk", MFD_CLOEXEC);
		TARGET_REQUIRE(fds[i] >= 0 && ftruncate(fds[i], DISK_SIZE) == 0);
		TARGET_REQUIRE(pwrite(fds[i], "x", 1, DISK_SIZE - 1) == 1);
		disks[i] = disk_create(fds[i], i);
	}
	kind = data[0] & 1 ? READ_ONLY : data[0] & 8 ? ASYNC : READ_WRITE;
	d = disks[kind];
	target_start(d, (uint64_t)data[0] << VIRTIO_F_INDIRECT_DESC | (data[0] & 2u) << 8 |
				(data[0] & 4u ? 3u << 13 : 0)); /* DISCARD, WRITE_ZEROES */
	for (int i = 0; i < 4; i++) {
		virtio_dev_notify(d, 0);
		if (data[0] & 16) /* the driver stops the queue with requests under way */
			virtio_dev_queue_stop(d, 0);
		d->ops->drain(d);
	}

	TARGET_REQUIRE(blk_of(d)->in_flight == 0 && !blk_of(d)->aside);
	TARGET_REQUIRE(data[0] & 16 || d->vqs[0].st.next_avail == d->vqs[0].st.next_used);
	TARGET_REQUIRE(fstat(fds[kind], &st) == 0 && st.st_size == DISK_SIZE);
	TARGET_REQUIRE(pread(fds[READ_ONLY], &byte, 1, DISK_SIZE - 1) == 1 && byte == 'x');
	return 0;
}
