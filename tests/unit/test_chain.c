/* SPDX-License-Identifier: Apache-2.0 */
/* Moving bytes in and out of a chain, wherever the driver cut it; and what gets marked dirty. */
#include "virtio/queue.h"

#include "tests/unit/lib/cm.h"
#include "tests/unit/lib/driver.h"

#include <errno.h>

static const uint32_t cuts[] = {1, 4, 2, 7, 1, 1, 9};
#define PART_SIZE 25u

static struct driver drv;
static struct vq q;
static struct chain chain;

/* A chain with the same cuts in its readable and its writable part, scattered over memory. */
static int setup(void **state)
{
	struct driver_buf bufs[2 * NELEM(cuts)];
	const char *why = NULL;
	unsigned char next = 1;

	(void)state;
	driver_init(&drv, 16);
	for (size_t i = 0; i < NELEM(bufs); i++) {
		uint32_t len = cuts[i % NELEM(cuts)];

		bufs[i] =
			(struct driver_buf){driver_alloc(&drv, len + 3, 1), len, i >= NELEM(cuts)};
		for (uint32_t k = 0; k < len && !bufs[i].writable; k++)
			*(unsigned char *)driver_at(&drv, bufs[i].at + k) = next++;
	}
	driver_chain(&drv, bufs, NELEM(bufs));
	vq_init(&q, &drv.mem, VQ_SIZE_MAX);
	q.st = driver_vq_state(&drv);
	assert_int_equal(vq_enable(&q, DRIVER_FEATURES), 0);
	assert_int_equal(vq_pop(&q, &chain, &why), 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	driver_fini(&drv);
	return 0;
}

/* The writable part as one array. */
static void flatten(unsigned char *to)
{
	for (unsigned i = 0; i < chain.wr_count; i++) {
		const struct chain_seg *s = &chain.seg[chain.rd_count + i];

		memcpy(to, driver_at(&drv, s->at.v), s->len);
		to += s->len;
	}
}

static void read_finds_every_range(void **state)
{
	(void)state;
	for (uint32_t off = 0; off <= PART_SIZE; off++) {
		for (uint32_t len = 0; off + len <= PART_SIZE; len++) {
			unsigned char got[PART_SIZE] = {0};

			assert_int_equal(chain_read(&chain, off, got, len), 0);
			for (uint32_t i = 0; i < len; i++)
				assert_int_equal(got[i], off + i + 1);
		}
	}
}

static void write_fills_every_range_and_no_more(void **state)
{
	unsigned char data[PART_SIZE], zero[PART_SIZE] = {0}, flat[PART_SIZE] = {0};

	(void)state;
	memset(data, 0xee, sizeof(data));
	for (uint32_t off = 0; off <= PART_SIZE; off++) {
		for (uint32_t len = 0; off + len <= PART_SIZE; len++) {
			assert_int_equal(chain_write(&chain, 0, zero, PART_SIZE), 0);
			assert_int_equal(chain_write(&chain, off, data, len), 0);
			flatten(flat);
			for (uint32_t i = 0; i < PART_SIZE; i++)
				assert_int_equal(flat[i], i >= off && i < off + len ? 0xee : 0);
		}
	}
}

static void iov_covers_every_range(void **state)
{
	struct iovec iov[CHAIN_SEGS_MAX] = {0};

	(void)state;
	for (uint32_t off = 0; off <= PART_SIZE; off++) {
		for (uint32_t len = 0; off + len <= PART_SIZE; len++) {
			int n = chain_iov(&chain, false, off, len, iov, NELEM(iov));
			unsigned char want = (unsigned char)(off + 1);
			size_t total = 0;

			assert_true(n >= (len > 0));
			for (int i = 0; i < n; i++) {
				const unsigned char *p = iov[i].iov_base;

				assert_true(iov[i].iov_len > 0);
				total += iov[i].iov_len;
				for (size_t k = 0; k < iov[i].iov_len; k++)
					assert_int_equal(p[k], want++);
			}
			assert_int_equal(total, len);
		}
	}
}

static void ranges_past_the_end_are_refused(void **state)
{
	unsigned char buf[64] = {0};
	struct iovec iov[2];

	(void)state;
	assert_int_equal(chain_read(&chain, 0, buf, PART_SIZE + 1), -EFAULT);
	assert_int_equal(chain_read(&chain, PART_SIZE, buf, 1), -EFAULT);
	assert_int_equal(chain_read(&chain, UINT64_MAX, buf, 2), -EFAULT);
	assert_int_equal(chain_write(&chain, 1, buf, PART_SIZE), -EFAULT);
	assert_int_equal(chain_write(&chain, UINT64_MAX - 1, buf, 2), -EFAULT);
	assert_int_equal(chain_iov(&chain, true, 0, PART_SIZE + 1, iov, 2), -EFAULT);
	assert_int_equal(chain_iov(&chain, true, 1, UINT64_MAX, iov, 2), -EFAULT);
}

static void iov_that_does_not_fit_is_refused(void **state)
{
	struct iovec iov[NELEM(cuts)];

	(void)state;
	assert_int_equal(chain_iov(&chain, true, 0, PART_SIZE, iov, NELEM(cuts) - 1), -E2BIG);
	assert_int_equal(chain_iov(&chain, true, 0, PART_SIZE, iov, NELEM(cuts)), NELEM(cuts));
	assert_int_equal(chain_iov(&chain, true, 0, 1, iov, 0), -E2BIG);
	assert_int_equal(chain_iov(&chain, true, 0, 0, iov, 0), 0);
}

/* Writable segments of 100 bytes at pages 2 and 5, and one of two pages and 2 bytes at 7.9. */
static void dirty_chain(struct gmem *m, struct chain *c)
{
	const struct gmem_config config = {.size = MIB, .track_dirty = true};
	const uint64_t at[] = {2 * 4096, 5 * 4096, 8 * 4096 - 1};
	const uint32_t len[] = {100, 100, 2 * 4096 + 2};

	assert_int_equal(gmem_init(m, &config, NULL), 0);
	*c = (struct chain){.mem = m, .wr_count = 3};
	for (size_t i = 0; i < 3; i++) {
		c->seg[i] = (struct chain_seg){.at = GPA(at[i]),
			.len = len[i],
			.host = gmem_window(m, GPA(at[i]), len[i])};
		c->wr_bytes += len[i];
	}
}

static void write_marks_what_it_writes(void **state)
{
	struct gmem m;

	(void)state;
	dirty_chain(&m, &chain);
	assert_int_equal(chain_write(&chain, 99, "ab", 2), 0);
	assert_int_equal(m.dirty[0], 1u << 2 | 1u << 5);
	assert_int_equal(chain_write(&chain, chain.wr_bytes - 1, "c", 1), 0);
	assert_int_equal(m.dirty[0], 1u << 2 | 1u << 5 | 1u << 10);
	gmem_fini(&m);
}

static void marking_is_clipped_to_the_writable_part(void **state)
{
	struct gmem m;

	(void)state;
	dirty_chain(&m, &chain);
	chain_mark_dirty(&chain, chain.wr_bytes, 1);
	chain_mark_dirty(&chain, UINT64_MAX, UINT64_MAX);
	chain_mark_dirty(&chain, 0, 0);
	assert_int_equal(m.dirty[0], 0);
	chain_mark_dirty(&chain, 150, UINT64_MAX);
	assert_int_equal(m.dirty[0], 1u << 5 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 10);
	gmem_fini(&m);
}

static void push_marks_data_and_ring(void **state)
{
	struct gmem m;
	struct vq vq;

	(void)state;
	dirty_chain(&m, &chain);
	vq_init(&vq, &m, 8);
	vq.st = (struct vq_state){
		.desc = 0x20000, .avail = 0x21000, .used = 0x23000, .size = 8, .ready = 1};
	assert_int_equal(vq_enable(&vq, DRIVER_FEATURES), 0);
	vq_push(&vq, &chain, 100);
	assert_int_equal(m.dirty[0], 1ull << 2 | 1ull << 0x23);
	vq_push(&vq, &chain, 101);
	assert_int_equal(m.dirty[0], 1ull << 2 | 1ull << 5 | 1ull << 0x23);

	vq.st.used = 0x25ffc; /* the index at the end of a page, entries on the next */
	assert_int_equal(vq_enable(&vq, DRIVER_FEATURES), 0);
	vq_push(&vq, &chain, 0);
	assert_int_equal(m.dirty[0] >> 0x25, 3);
	gmem_fini(&m);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(read_finds_every_range),
		T(write_fills_every_range_and_no_more),
		T(iov_covers_every_range),
		T(ranges_past_the_end_are_refused),
		T(iov_that_does_not_fit_is_refused),
		T(write_marks_what_it_writes),
		T(marking_is_clipped_to_the_writable_part),
		T(push_marks_data_and_ring),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
