/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue whose rings, descriptors and indirect tables are any bytes. Whatever is popped must lie
 * in guest memory, add up, and bear being read, written and pushed.
 */
#include "tests/fuzz/virtio_target.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_chain(const struct chain *c)
{
	static unsigned char buf[TARGET_RAM_SIZE];
	struct iovec iov[CHAIN_SEGS_MAX];
	uint64_t bytes[2] = {0};

	TARGET_REQUIRE(c->rd_count + c->wr_count <= CHAIN_SEGS_MAX);
	for (uint32_t i = 0; i < (uint32_t)c->rd_count + c->wr_count; i++) {
		const struct chain_seg *s = &c->seg[i];

		TARGET_REQUIRE(s->len > 0 && s->at.v >= TARGET_RAM_START);
		TARGET_REQUIRE(in_range(s->at.v - TARGET_RAM_START, s->len, TARGET_RAM_SIZE));
		TARGET_REQUIRE(
			gmem_host_addr(s->host) == target_ram + (s->at.v - TARGET_RAM_START));
		bytes[i >= c->rd_count] += s->len;
	}
	TARGET_REQUIRE(bytes[0] == c->rd_bytes && bytes[1] == c->wr_bytes);
	TARGET_REQUIRE(chain_iov(c, false, 0, c->rd_bytes, iov, NELEM(iov)) == c->rd_count);
	TARGET_REQUIRE(chain_iov(c, true, 0, c->wr_bytes, iov, NELEM(iov)) == c->wr_count);
	for (uint64_t off = 0; off < c->rd_bytes; off += sizeof(buf))
		TARGET_REQUIRE(
			!chain_read(c, off, buf, (uint32_t)MIN(sizeof(buf), c->rd_bytes - off)));
	if (c->wr_bytes > 0)
		TARGET_REQUIRE(!chain_write(c, c->wr_bytes - 1, buf, 1));
	TARGET_REQUIRE(chain_read(c, c->rd_bytes, buf, 1) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct chain chain;
	const char *why = NULL;
	uint64_t features;
	struct vq q;

	if (size < 2)
		return -1;
	features = (uint64_t)data[0] << VIRTIO_F_INDIRECT_DESC; /* EVENT_IDX is the next bit */
	target_fill(data + 2, size - 2);
	vq_init(&q, &target_mem, TARGET_QUEUE);
	q.st = target_rings();
	q.st.next_avail = q.st.next_used = data[1];
	TARGET_REQUIRE(vq_enable(&q, features) == 0);
	vq_kicks_off(&q);
	for (unsigned i = 0; i < 64 && vq_pop(&q, &chain, &why) == 1; i++) {
		check_chain(&chain);
		vq_push(&q, &chain, (uint32_t)chain.wr_bytes);
	}
	(void)vq_need_irq(&q);
	(void)vq_kicks_on(&q);
	return 0;
}
