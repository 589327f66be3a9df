/* SPDX-License-Identifier: Apache-2.0 */
/* A block device over a temporary file, with a driver that sends it requests. */
#pragma once

#include "tests/unit/lib/driver.h"
#include "virtio/blk.h"

enum {
	BLK_IN = 0,
	BLK_OUT = 1,
	BLK_FLUSH = 4,
	BLK_GET_ID = 8,
	BLK_DISCARD = 11,
	BLK_WRITE_ZEROES = 13
};
enum { BLK_OK = 0, BLK_IOERR = 1, BLK_UNSUPP = 2, BLK_NOT_WRITTEN = 0xff };

#define BLK_RIG_SECTORS 64u

struct blk_rig {
	struct driver drv;
	struct virtio_dev *dev; /* owned */
	int fd;                 /* owned: our own view of the file */
	char path[256];
	uint64_t features;  /* of the last start */
	uint64_t status_at; /* guest address of the last request's status byte */
	uint32_t used_len;  /* as the device told for the last request */
};

/* The file's byte at off: depends on all of off, so that a wrong sector does not pass. */
unsigned char blk_rig_pattern(uint64_t off);

/* A file of size bytes with the pattern, and a device over it, live. c's drive_id and path are set. */
void blk_rig_init(struct blk_rig *r, struct blk_config c, uint64_t size);
/* Resets the device and brings it up again with these features. */
void blk_rig_start(struct blk_rig *r, uint64_t features);
void blk_rig_fini(struct blk_rig *r);

/*
 * One request with header, data and status in buffers of their own; data is at *ret_data. Returns
 * the status byte, BLK_NOT_WRITTEN if the device left it alone.
 */
uint8_t blk_rig_request(struct blk_rig *r, uint32_t type, uint64_t sector, const void *data,
	uint32_t len, unsigned char **ret_data);

/* Everything taken so far is answered afterwards. */
void blk_rig_drain(struct blk_rig *r);

/* The same with the whole chain as the test cuts it; the last writable byte is the status. */
uint8_t blk_rig_send(struct blk_rig *r, const struct driver_buf *bufs, unsigned count);

/* A header in guest memory; its address. */
uint64_t blk_rig_header(struct blk_rig *r, uint32_t type, uint64_t sector);
