/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The split virtqueue, device side. See queue.h for the theory of operation.
 *
 * Offsets, virtio 1.2 §2.7: a descriptor is 16 bytes; the available ring is flags, idx, ring[size],
 * used_event, two bytes each; the used ring is flags, idx (two bytes each), ring[size] of eight
 * bytes, avail_event of two.
 */
#include "virtio/queue.h"

#include "virtio/feature.h"
#include "vmm/base/check.h"

#include <errno.h>

#define VQ_DESC_F_NEXT      1u
#define VQ_DESC_F_WRITE     2u
#define VQ_DESC_F_INDIRECT  4u
#define VQ_AVAIL_F_NO_IRQ   1u
#define VQ_USED_F_NO_NOTIFY 1u
#define VQ_RING_IDX         2u
#define VQ_RING_ENTRIES     4u
#define VQ_USED_ENTRY_SIZE  8u

struct vq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/* Where a walk finds descriptors: the queue's own table, or an indirect one. */
struct vq_table {
	const unsigned char __guest *host;
	uint32_t count;  /* entries; indices below this may be used */
	uint32_t budget; /* entries that a chain may take, from this table and those before */
};

static const struct field vq_state_fields[] = {
	FIELD(1, 1, struct vq_state, desc, 0),
	FIELD(2, 1, struct vq_state, avail, 0),
	FIELD(3, 1, struct vq_state, used, 0),
	FIELD(4, 1, struct vq_state, size, VQ_SIZE_MAX),
	FIELD(5, 1, struct vq_state, next_avail, 0),
	FIELD(6, 1, struct vq_state, next_used, 0),
	FIELD(7, 1, struct vq_state, signalled_used, 0),
	FIELD(8, 1, struct vq_state, ready, 1),
	FIELD(9, 1, struct vq_state, signalled_valid, 1),
	FIELD_ARRAY(10, 1, struct vq_state, reserved, 0),
};

static int vq_state_check(const void *state, struct err *e)
{
	const struct vq_state *s = state;
	static const uint8_t zero[sizeof(s->reserved)];

	if (memcmp(s->reserved, zero, sizeof(zero)) != 0)
		return err_set(e, -EINVAL, "vq.reserved is not zero");
	if (s->size & (s->size - 1))
		return err_set(e, -EINVAL, "vq.size is %u; it must be a power of two", s->size);
	if (s->ready && (uint16_t)(s->next_avail - s->next_used) > s->size)
		return err_set(e, -EINVAL,
			"vq.next_used is %u, more than a queue of %u away from "
			"next_avail, %u",
			s->next_used, s->size, s->next_avail);
	return 0;
}

const struct field_table vq_state_table =
	FIELD_TABLE("vq", struct vq_state, vq_state_fields, vq_state_check);

void vq_init(struct vq *q, struct gmem *mem, uint16_t size_max)
{
	CHECK(size_max > 0 && size_max <= VQ_SIZE_MAX && !(size_max & (size_max - 1)));
	*q = (struct vq){.mem = mem, .size_max = size_max};
}

void vq_reset(struct vq *q)
{
	vq_init(q, q->mem, q->size_max);
}

void vq_disable(struct vq *q)
{
	q->st.ready = 0;
	q->desc = NULL;
	q->avail = NULL;
	q->used = NULL;
}

int vq_enable(struct vq *q, uint64_t features)
{
	const struct vq_state *s = &q->st;
	bool event_idx = (features >> VIRTIO_F_EVENT_IDX) & 1;
	uint64_t event_size = event_idx ? sizeof(uint16_t) : 0;
	unsigned char __guest *desc, __guest *avail, __guest *used;

	if (s->size == 0 || s->size > q->size_max || (s->size & (s->size - 1)))
		return -EINVAL;
	if (!IS_ALIGNED(s->desc, 16) || !IS_ALIGNED(s->avail, 2) || !IS_ALIGNED(s->used, 4))
		return -EINVAL;
	desc = gmem_window(q->mem, GPA(s->desc), (uint64_t)s->size * sizeof(struct vq_desc));
	avail = gmem_window(q->mem, GPA(s->avail),
		VQ_RING_ENTRIES + (uint64_t)s->size * sizeof(uint16_t) + event_size);
	used = gmem_window(q->mem, GPA(s->used),
		VQ_RING_ENTRIES + (uint64_t)s->size * VQ_USED_ENTRY_SIZE + event_size);
	if (!desc || !avail || !used)
		return -EFAULT;
	q->event_idx = event_idx;
	q->indirect = (features >> VIRTIO_F_INDIRECT_DESC) & 1;
	q->desc = desc;
	q->avail = avail;
	q->used = used;
	return 0;
}

/* Adds the pieces of one checked descriptor to *c. NULL, or what is wrong with it. */
static const char *chain_add(struct chain *c, const struct vq_desc *d)
{
	bool writable = d->flags & VQ_DESC_F_WRITE;
	gpa_t at = GPA(d->addr);
	uint64_t left = d->len;

	if (!writable && c->wr_count > 0)
		return "a readable descriptor follows a writable one";
	if (c->rd_bytes + c->wr_bytes + left > UINT32_MAX)
		return "a chain of 4 GiB or more";
	if (left > UINT64_MAX - at.v)
		return "a buffer wraps around the address space";
	while (left > 0) {
		uint32_t n = (uint32_t)c->rd_count + c->wr_count;
		uint64_t len = 0;
		void __guest *host = gmem_window_part(c->mem, at, left, &len);

		if (!host)
			return "a buffer lies outside guest memory";
		if (n == CHAIN_SEGS_MAX)
			return "a chain of too many pieces";
		c->seg[n] = (struct chain_seg){.at = at, .len = (uint32_t)len, .host = host};
		*(writable ? &c->wr_count : &c->rd_count) += 1;
		*(writable ? &c->wr_bytes : &c->rd_bytes) += len;
		at.v += len;
		left -= len;
	}
	return NULL;
}

static const char *vq_load_desc(const struct vq_table *t, uint32_t i, struct vq_desc *ret)
{
	if (i >= t->count)
		return "a descriptor index is past the end of its table";
	gmem_copy_from(ret, t->host + (size_t)i * sizeof(*ret), sizeof(*ret));
	return NULL;
}

/*
 * virtio 1.2 §2.7.5.3. The WRITE flag of the descriptor that names the table means nothing. The
 * table must lie in one region: a driver gets it from an allocator, which knows where RAM ends.
 */
static const char *vq_open_indirect(
	const struct vq *q, const struct vq_desc *d, struct vq_table *ret)
{
	if (!q->indirect)
		return "an indirect descriptor without the feature";
	if (d->flags & VQ_DESC_F_NEXT)
		return "an indirect descriptor with a successor";
	if (d->len == 0 || d->len % sizeof(*d) != 0)
		return "an indirect table whose length is not a multiple of 16";
	*ret = (struct vq_table){
		.host = gmem_window(q->mem, GPA(d->addr), d->len),
		.count = d->len / (uint32_t)sizeof(*d),
		.budget = VQ_SIZE_MAX,
	};
	return ret->host ? NULL : "an indirect table lies outside guest memory";
}

/* Collects the chain that starts at head. NULL, or the rule that the driver broke. */
static const char *vq_walk(const struct vq *q, uint16_t head, struct chain *c)
{
	struct vq_table table = {.host = q->desc, .count = q->st.size, .budget = q->st.size};
	bool nested = false;
	uint32_t taken = 0;
	uint32_t i = head;

	for (;;) {
		const char *why;
		struct vq_desc d;

		if (taken == table.budget)
			return "a chain loops or is too long";
		why = vq_load_desc(&table, i, &d);
		if (why)
			return why;
		taken++;
		if (d.flags & VQ_DESC_F_INDIRECT) {
			if (nested)
				return "an indirect table inside an indirect table";
			why = vq_open_indirect(q, &d, &table);
			if (why)
				return why;
			nested = true;
			taken--; /* it carries no data itself */
			i = 0;
			continue;
		}
		why = chain_add(c, &d);
		if (why || !(d.flags & VQ_DESC_F_NEXT))
			return why;
		i = d.next;
	}
}

int vq_pop(struct vq *q, struct chain *ret, const char **ret_why)
{
	uint16_t idx, head, pending;

	if (!q->avail)
		return 0;
	/* Acquire: the ring entry and the descriptors were written before the index. */
	idx = gmem_window_load16_acq(q->avail + VQ_RING_IDX);
	pending = (uint16_t)(idx - q->st.next_avail);
	if (pending == 0)
		return 0;
	if (pending > q->st.size) {
		*ret_why = "the available index jumped by more than the queue size";
		return -EPROTO;
	}
	head = gmem_window_load16_acq(q->avail + VQ_RING_ENTRIES +
				      (size_t)(q->st.next_avail % q->st.size) * sizeof(uint16_t));
	ret->mem = q->mem;
	ret->head = head;
	ret->rd_count = ret->wr_count = 0;
	ret->rd_bytes = ret->wr_bytes = 0;
	*ret_why = vq_walk(q, head, ret);
	if (*ret_why)
		return -EPROTO;
	q->st.next_avail++;
	return 1;
}

void vq_unpop(struct vq *q)
{
	q->st.next_avail--;
}

static void vq_store_used16(struct vq *q, uint64_t off, uint16_t value)
{
	gmem_window_store16_rel(q->used + off, value);
	gmem_mark_dirty(q->mem, GPA(q->st.used + off), sizeof(value));
}

void vq_push_hidden(struct vq *q, const struct chain *c, uint32_t written)
{
	const uint32_t entry[2] = {c->head, written};
	uint64_t off;

	CHECK(written <= c->wr_bytes);
	chain_mark_dirty(c, 0, written);
	if (!q->used)
		return; /* stopped by the driver while the request was under way */
	off = VQ_RING_ENTRIES + (uint64_t)(q->st.next_used % q->st.size) * VQ_USED_ENTRY_SIZE;
	gmem_copy_to(q->used + off, entry, sizeof(entry));
	gmem_mark_dirty(q->mem, GPA(q->st.used + off), sizeof(entry));
	q->st.next_used++;
	/* A whole turn without an interrupt: the distance to signalled_used means nothing now. */
	if (q->st.next_used == q->st.signalled_used)
		q->st.signalled_valid = 0;
}

void vq_publish(struct vq *q)
{
	if (q->used)
		vq_store_used16(q, VQ_RING_IDX, q->st.next_used);
}

void vq_push(struct vq *q, const struct chain *c, uint32_t written)
{
	vq_push_hidden(q, c, written);
	vq_publish(q);
}

bool vq_need_irq(struct vq *q)
{
	uint16_t now = q->st.next_used, old = q->st.signalled_used, event;
	bool valid = q->st.signalled_valid;

	if (!q->used)
		return false;
	/*
	 * Store used->idx, then load used_event or the flags. The driver does it the other way
	 * round: it stores used_event, then loads used->idx. One of the two sees the other's store.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!q->event_idx)
		return !(gmem_window_load16_acq(q->avail) & VQ_AVAIL_F_NO_IRQ);
	event = gmem_window_load16_acq(
		q->avail + VQ_RING_ENTRIES + (size_t)q->st.size * sizeof(uint16_t));
	q->st.signalled_used = now;
	q->st.signalled_valid = 1;
	return !valid || (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

void vq_kicks_off(struct vq *q)
{
	/* With event_idx an avail_event left behind already keeps the driver quiet. */
	if (q->used && !q->event_idx)
		vq_store_used16(q, 0, VQ_USED_F_NO_NOTIFY);
}

bool vq_kicks_on(struct vq *q)
{
	return vq_kicks_on_after(q, 1);
}

bool vq_kicks_on_after(struct vq *q, uint16_t count)
{
	if (!q->used)
		return false;
	if (q->event_idx)
		vq_store_used16(q, VQ_RING_ENTRIES + (uint64_t)q->st.size * VQ_USED_ENTRY_SIZE,
			(uint16_t)(q->st.next_avail + count - 1));
	else
		vq_store_used16(q, 0, 0);
	/* Store avail_event, then load avail->idx; the driver does it the other way round. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return vq_available(q) >= (q->event_idx ? count : 1);
}

uint16_t vq_available(const struct vq *q)
{
	if (!q->avail)
		return 0;
	return (uint16_t)(gmem_window_load16_acq(q->avail + VQ_RING_IDX) - q->st.next_avail);
}

uint16_t vq_kick_next(struct vq *q)
{
	uint16_t idx;

	if (!q->used)
		return 0;
	idx = gmem_window_load16_acq(q->avail + VQ_RING_IDX);
	if (q->event_idx)
		vq_store_used16(
			q, VQ_RING_ENTRIES + (uint64_t)q->st.size * VQ_USED_ENTRY_SIZE, idx);
	else
		vq_store_used16(q, 0, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* as in vq_kicks_on */
	return gmem_window_load16_acq(q->avail + VQ_RING_IDX);
}
