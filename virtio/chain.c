/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving bytes in and out of a request that vq_pop has checked. Declared in queue.h. Positions
 * count through the readable or through the writable part, whatever segments it is made of: a
 * device must not care where the driver cut its buffers (virtio 1.2 §2.7.4.1).
 */
#include "virtio/queue.h"

#include <errno.h>

/* A position in one of the two parts. */
struct chain_pos {
	const struct chain_seg *seg;
	uint32_t off; /* within *seg */
};

static uint64_t chain_bytes(const struct chain *c, bool writable)
{
	return writable ? c->wr_bytes : c->rd_bytes;
}

/* off must be less than the part's size. */
static struct chain_pos chain_seek(const struct chain *c, bool writable, uint64_t off)
{
	const struct chain_seg *s = writable ? &c->seg[c->rd_count] : c->seg;

	while (off >= s->len) {
		off -= s->len;
		s++;
	}
	return (struct chain_pos){.seg = s, .off = (uint32_t)off};
}

static unsigned char __guest *chain_pos_host(const struct chain_pos *p)
{
	return (unsigned char __guest *)p->seg->host + p->off;
}

int chain_read(const struct chain *c, uint64_t off, void *dst, uint32_t len)
{
	unsigned char *to = dst;
	struct chain_pos p;

	if (!in_range(off, len, c->rd_bytes))
		return -EFAULT;
	if (len == 0)
		return 0;
	for (p = chain_seek(c, false, off);; p = (struct chain_pos){.seg = p.seg + 1}) {
		uint32_t n = MIN(len, p.seg->len - p.off);

		gmem_copy_from(to, chain_pos_host(&p), n);
		to += n;
		len -= n;
		if (len == 0)
			return 0;
	}
}

int chain_write(const struct chain *c, uint64_t off, const void *src, uint32_t len)
{
	const unsigned char *from = src;
	struct chain_pos p;

	if (!in_range(off, len, c->wr_bytes))
		return -EFAULT;
	if (len == 0)
		return 0;
	for (p = chain_seek(c, true, off);; p = (struct chain_pos){.seg = p.seg + 1}) {
		uint32_t n = MIN(len, p.seg->len - p.off);

		gmem_copy_to(chain_pos_host(&p), from, n);
		gmem_mark_dirty(c->mem, GPA(p.seg->at.v + p.off), n);
		from += n;
		len -= n;
		if (len == 0)
			return 0;
	}
}

int chain_iov(const struct chain *c, bool writable, uint64_t off, uint64_t len, struct iovec *iov,
	int max)
{
	struct chain_pos p;
	int count = 0;

	if (!in_range(off, len, chain_bytes(c, writable)))
		return -EFAULT;
	if (len == 0)
		return 0;
	for (p = chain_seek(c, writable, off);; p = (struct chain_pos){.seg = p.seg + 1}) {
		uint64_t n = MIN(len, (uint64_t)(p.seg->len - p.off));

		if (count == max)
			return -E2BIG;
		iov[count++] = (struct iovec){
			.iov_base = gmem_host_addr(chain_pos_host(&p)), .iov_len = n};
		len -= n;
		if (len == 0)
			return count;
	}
}

void chain_mark_dirty(const struct chain *c, uint64_t off, uint64_t len)
{
	struct chain_pos p;

	if (!c->mem->dirty || off >= c->wr_bytes || len == 0)
		return;
	len = MIN(len, c->wr_bytes - off);
	for (p = chain_seek(c, true, off); len > 0; p = (struct chain_pos){.seg = p.seg + 1}) {
		uint64_t n = MIN(len, (uint64_t)(p.seg->len - p.off));

		gmem_mark_dirty(c->mem, GPA(p.seg->at.v + p.off), n);
		len -= n;
	}
}
