/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The split virtqueue, device side (virtio 1.2 §2.7), with VIRTIO_F_EVENT_IDX and
 * VIRTIO_F_INDIRECT_DESC.
 *
 * Theory of operation. The driver owns all three areas in guest RAM and may change them at any
 * moment, also while we look. vq_pop is the only place that reads descriptors: it copies each
 * one once (16 bytes), checks the copy, and gives out a struct chain of checked copies. Nothing
 * below ever reads a descriptor again; dirty marks come from the stored chain. Ring indices go
 * by single 2-byte acquire / release accesses.
 *
 *	state     ready  windows  what may be done              next
 *	off       0      no       st may be written             ready, by st.ready = 1
 *	ready     1      no       vq_enable, at DRIVER_OK       enabled
 *	enabled   1      yes      vq_pop, vq_push, vq_need_irq  off, by vq_disable or vq_reset
 *
 * A chain has at most as many direct descriptors as the queue is long, and at most VQ_SIZE_MAX in
 * all. The second bound, not the first, holds for an indirect table: Linux sizes those by what
 * the device says it takes (seg_max), also when it had to settle for a shorter queue.
 *
 * Threads: a queue belongs to its device and is used under the device's lock (virtio/device.h).
 */
#pragma once

#include "vmm/base/field.h"
#include "vmm/mem/gmem.h"

#include <sys/uio.h>

#define VQ_SIZE_MAX 256u
/* A chain has at most VQ_SIZE_MAX descriptors; each place where RAM regions touch may split one. */
#define CHAIN_SEGS_MAX (VQ_SIZE_MAX + GMEM_REGIONS_MAX)

/* What survives a snapshot. Addresses are as the driver wrote them; they count once enabled. */
struct vq_state {
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
	uint16_t size;           /* 1 .. VQ_SIZE_MAX, a power of two */
	uint16_t next_avail;     /* free-running index of the next entry to pop */
	uint16_t next_used;      /* free-running index of the next entry to push */
	uint16_t signalled_used; /* next_used when the driver was last interrupted */
	uint8_t ready;
	uint8_t signalled_valid;
	uint8_t reserved[6]; /* zero */
};
extern const struct field_table vq_state_table;

struct vq {
	struct vq_state st;
	uint16_t size_max; /* what QueueNumMax says */
	bool event_idx;    /* negotiated, set by vq_enable */
	bool indirect;
	struct gmem *mem; /* borrowed */
	/* Checked windows onto the three areas; NULL unless enabled. */
	const unsigned char __guest *desc;
	unsigned char __guest *avail;
	unsigned char __guest *used;
};

/*
 * One request: device-readable segments first, then writable ones (virtio 1.2 §2.7.4.2), all of
 * them inside RAM. An empty descriptor leaves no segment, because the standard neither forbids it
 * nor lets it mean anything; one that crosses two RAM regions that touch leaves two.
 */
struct chain_seg {
	gpa_t at;
	uint32_t len;
	void __guest *host;
};

struct chain {
	struct gmem *mem; /* borrowed from the queue */
	uint16_t head;
	uint16_t rd_count, wr_count; /* segments that the device reads / writes */
	uint64_t rd_bytes, wr_bytes;
	struct chain_seg seg[CHAIN_SEGS_MAX];
};

void vq_init(struct vq *q, struct gmem *mem, uint16_t size_max);

/* Back to power-on: not ready, size 0, indices 0. */
void vq_reset(struct vq *q);

/* Not ready any more; vq_pop finds nothing. */
void vq_disable(struct vq *q);

/*
 * Checks size and the three areas (alignment, inside one RAM region) and opens the windows. Other
 * members of st stay, so that a restored queue goes on where it was. features are
 * the negotiated ones. 0, -EINVAL (size, alignment) or -EFAULT (outside RAM).
 */
int vq_enable(struct vq *q, uint64_t features) MUST_USE;

/*
 * Takes the next request. 1: *ret holds it; 0: none; < 0: the driver broke the rules (*ret_why,
 * a static string, says how) and the caller must declare the device broken.
 */
int vq_pop(struct vq *q, struct chain *ret, const char **ret_why) MUST_USE;

/* Un-pops the most recently popped chain, so that the next vq_pop gives it again. */
void vq_unpop(struct vq *q);

/*
 * Returns a chain to the driver; written is the number of bytes from the start of its writable
 * part that the device wrote, without a gap. Marks those bytes and the ring dirty, publishes with
 * release.
 */
void vq_push(struct vq *q, const struct chain *c, uint32_t written);

/*
 * vq_push in two steps, for chains that must appear to the driver at the same moment: any number of
 * vq_push_hidden, then one vq_publish.
 */
void vq_push_hidden(struct vq *q, const struct chain *c, uint32_t written);
void vq_publish(struct vq *q);

/*
 * True if the driver wants an interrupt for what was pushed since it last got one. Contains the
 * full fence between publishing used->idx and reading used_event / avail->flags.
 */
bool vq_need_irq(struct vq *q);

/*
 * Around a batch: vq_kicks_off asks the driver not to notify; vq_kicks_on asks for the next
 * notification and, after a full fence, returns true if requests have arrived meanwhile (then
 * process again). A polling-free device ends each batch with vq_kicks_on.
 */
void vq_kicks_off(struct vq *q);
bool vq_kicks_on(struct vq *q);

/*
 * As vq_kicks_on, but with event_idx the notification comes, and true is returned, only when count
 * requests are there. A driver that gives fewer never notifies: the caller has other means to look.
 */
bool vq_kicks_on_after(struct vq *q, uint16_t count);

/* Requests that vq_pop would find. Nothing is checked: it may be more than the queue holds. */
uint16_t vq_available(const struct vq *q);

/*
 * Asks for a notification when the driver adds to what is there now, also if that has not all been
 * popped. Returns the driver's index as it is then: any other value later means that it has added.
 */
uint16_t vq_kick_next(struct vq *q);

/* Copies len bytes at offset off of the readable part out, once. All or -EFAULT. */
int chain_read(const struct chain *c, uint64_t off, void *dst, uint32_t len) MUST_USE;

/* Copies len bytes into the writable part at off and marks them dirty. All or -EFAULT. */
int chain_write(const struct chain *c, uint64_t off, const void *src, uint32_t len) MUST_USE;

/*
 * Host iovecs for [off, off+len) of the writable or readable part. Returns their number, or
 * -EFAULT if the part is shorter, or -E2BIG past max. The pointers are for the
 * kernel only.
 */
int chain_iov(const struct chain *c, bool writable, uint64_t off, uint64_t len, struct iovec *iov,
	int max) MUST_USE;

/*
 * Marks [off, off+len) of the writable part dirty, as far as it exists: for what the kernel wrote
 * through iovecs and vq_push is not told of (a transfer that failed half way).
 */
void chain_mark_dirty(const struct chain *c, uint64_t off, uint64_t len);
