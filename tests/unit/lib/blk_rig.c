/* SPDX-License-Identifier: Apache-2.0 */
/* A block device under test. See blk_rig.h. */
#include "tests/unit/lib/blk_rig.h"

#include "vmm/base/check.h"
#include "vmm/base/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

unsigned char blk_rig_pattern(uint64_t off)
{
	return (unsigned char)(off ^ off >> 8 ^ off >> 9 ^ off >> 17);
}

static void blk_rig_fill(int fd, uint64_t size)
{
	unsigned char buf[4096];

	for (uint64_t off = 0; off < size; off += sizeof(buf)) {
		size_t len = MIN(sizeof(buf), size - off);
		int rc;

		for (size_t i = 0; i < len; i++)
			buf[i] = blk_rig_pattern(off + i);
		rc = io_write_full(fd, buf, len);
		CHECK(rc == 0);
	}
}

void blk_rig_init(struct blk_rig *r, struct blk_config c, uint64_t size)
{
	const char *tmp = getenv("TMPDIR");
	struct err e = {0};
	int rc;

	*r = (struct blk_rig){.features = DRIVER_FEATURES};
	driver_init(&r->drv, 128);
	(void)snprintf(r->path, sizeof(r->path), "%s/mayfly-blk-XXXXXX", tmp ? tmp : "/tmp");
	r->fd = mkstemp(r->path);
	CHECK(r->fd >= 0);
	blk_rig_fill(r->fd, size);
	c.drive_id = "rootfs";
	c.path = r->path;
	c.fd = -1;
	rc = blk_create(&r->drv.mem, &c, &r->dev, &e);
	if (rc < 0)
		(void)fprintf(stderr, "# %s\n", e.msg);
	CHECK(rc == 0);
	blk_rig_start(r, r->dev->features);
}

void blk_rig_start(struct blk_rig *r, uint64_t features)
{
	r->features = features;
	driver_start(&r->drv, r->dev, features);
	CHECK(r->dev->activated);
}

void blk_rig_fini(struct blk_rig *r)
{
	if (r->dev)
		r->dev->ops->destroy(r->dev);
	driver_fini(&r->drv);
	(void)close(r->fd);
	(void)unlink(r->path);
}

uint64_t blk_rig_header(struct blk_rig *r, uint32_t type, uint64_t sector)
{
	const struct {
		uint32_t type, reserved;
		uint64_t sector;
	} h = {type, 0, sector};
	uint64_t at = driver_alloc(&r->drv, sizeof(h), 16);

	memcpy(driver_at(&r->drv, at), &h, sizeof(h));
	return at;
}

/* True if the device reads the data of such a request. */
static bool blk_rig_type_reads(uint32_t type)
{
	return type == BLK_OUT || type == BLK_DISCARD || type == BLK_WRITE_ZEROES;
}

void blk_rig_drain(struct blk_rig *r)
{
	virtio_dev_lock(r->dev);
	r->dev->ops->drain(r->dev);
	virtio_dev_unlock(r->dev);
}

uint8_t blk_rig_send(struct blk_rig *r, const struct driver_buf *bufs, unsigned count)
{
	unsigned char *status = NULL;
	struct driver_used u;
	uint16_t head;
	bool got;

	for (unsigned i = 0; i < count; i++)
		if (bufs[i].writable && bufs[i].len > 0)
			status = driver_at(&r->drv, bufs[i].at + bufs[i].len - 1);
	if (status)
		*status = BLK_NOT_WRITTEN;
	head = driver_chain(&r->drv, bufs, count);
	virtio_dev_notify(r->dev, 0);
	blk_rig_drain(r);
	got = driver_poll(&r->drv, &u);
	CHECK(got && u.id == head);
	r->used_len = u.len;
	return status ? *status : BLK_NOT_WRITTEN;
}

uint8_t blk_rig_request(struct blk_rig *r, uint32_t type, uint64_t sector, const void *data,
	uint32_t len, unsigned char **ret_data)
{
	uint64_t free = r->drv.free; /* each request reuses the memory of the last */
	uint64_t header = blk_rig_header(r, type, sector);
	uint64_t at = driver_alloc(&r->drv, len + 1u, GMEM_PAGE_SIZE);
	uint64_t status = driver_alloc(&r->drv, 1, 1);
	const struct driver_buf bufs[] = {
		{header, 16, false}, {at, len, !blk_rig_type_reads(type)}, {status, 1, true}};

	if (data)
		memcpy(driver_at(&r->drv, at), data, len);
	else
		memset(driver_at(&r->drv, at), 0xee, len + 1u);
	if (ret_data)
		*ret_data = driver_at(&r->drv, at);
	r->drv.free = free;
	return blk_rig_send(r, bufs, 3);
}
